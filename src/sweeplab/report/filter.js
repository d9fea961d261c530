// The filter: words that a run's row holds, and conditions such as lr<0.01 or model=cnn,mlp; all must hold.

const CONDITION = /^(.+?)(<=|>=|!=|=|<|>)(.*)$/;
const RELATIONS = {
  "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
};

function tokens(text) {
  const tight = text.replace(/≤/g, "<=").replace(/≥/g, ">=").replace(/\s*(<=|>=|!=|=|<|>)\s*/g, "$1");
  return tight.match(/(?:[^\s"]|"[^"]*"?)+/g) ?? [];
}

const withoutQuotes = (text) => text.replace(/"/g, "");

function named(word) {
  const name = word.toLowerCase();
  return columns.find((column) => column.label.toLowerCase() === name || column.key.toLowerCase() === name);
}

function alike(value, wanted) {
  if (value === undefined || value === null) return wanted === "";
  if (typeof value === "number" && wanted !== "" && Number.isFinite(Number(wanted))) {
    return Math.abs(value - Number(wanted)) <= 1e-5 * Math.abs(value);
  }
  return String(value).toLowerCase() === wanted.toLowerCase();
}

// Returns what a token asks of a run, or throws the sentence that says why it cannot.
function condition(token) {
  const [, name, relation, rest] = token.match(CONDITION) ?? [];
  if (!name) {
    const word = withoutQuotes(token).toLowerCase();
    return (run) => run.text.includes(word);
  }
  const column = named(withoutQuotes(name));
  if (!column) throw `There is no column ${withoutQuotes(name)}; there are ${columns.map((c) => c.label).join(", ")}.`;
  const value = withoutQuotes(rest);
  if (relation in RELATIONS) {
    if (value === "" || !Number.isFinite(Number(value))) throw `${column.label}${relation} needs a number behind it.`;
    if (!data.runs.some((run) => typeof cell(run, column) === "number")) throw `${column.label} has no numbers; write ${column.label}=...`;
    return (run) => typeof cell(run, column) === "number" && RELATIONS[relation](cell(run, column), Number(value));
  }
  const wanted = value.split(",");
  const values = (run) => (column.role === "tags" ? (cell(run, column) ?? "").split(", ") : [cell(run, column)]);
  const holds = (run) => wanted.some((one) => values(run).some((value) => alike(value, one)));
  return relation === "=" ? holds : (run) => !holds(run);
}

function filtered(text) {
  const conditions = [], mistakes = [];
  for (const token of tokens(text)) {
    try { conditions.push(condition(token)); } catch (mistake) {
      if (typeof mistake !== "string") throw mistake;
      mistakes.push(mistake);
    }
  }
  return { runs: data.runs.filter((run) => conditions.every((holds) => holds(run))), mistakes };
}

for (const run of data.runs) {
  run.text = columns.map((column) => cell(run, column) ?? "").join(" ").toLowerCase();
}

// Returns the filter with other conditions on a column, as a drag over an axis sets them.
function narrowed(text, column, conditions) {
  const others = tokens(text).filter((token) => named(withoutQuotes(token.match(CONDITION)?.[1] ?? "")) !== column);
  const word = /[\s"]/.test(column.label) ? `"${column.label}"` : column.label;
  return [...others, ...conditions.map((one) => `${word}${/\s/.test(one) ? one.replace(/^(<=|>=|=)(.*)$/, '$1"$2"') : one}`)].join(" ");
}
