// The table of the runs, in portions, and the details of one.

const PORTION = 200; // rows
const table = document.getElementById("table");
const details = document.getElementById("details");

function sorting() {
  const [, down, label] = state.sort.match(/^(-?)(.*)$/);
  return { column: columns.find((column) => column.label === label), down: down === "-" };
}

function sorted(runs) {
  const { column, down } = sorting();
  if (!column) return inOrder(runs);
  const empty = (run) => (cell(run, column) ?? null) === null;
  const compare = (one, other) => {
    const [a, b] = [cell(one, column), cell(other, column)];
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  };
  const filled = runs.filter((run) => !empty(run)).sort(compare);
  return [...(down ? filled.reverse() : filled), ...runs.filter(empty)];
}

function sortBy(column) {
  const now = sorting();
  const begins = column.mode === "max" ? "-" : "";
  const same = now.column === column;
  remember({ sort: `${same ? (now.down ? "" : "-") : begins}${column.label}` });
  drawTable();
  table.querySelector(`th[data-index="${column.index}"] button`).focus();
}

function header(column) {
  const { column: by, down } = sorting();
  const sort = column !== by ? "none" : down ? "descending" : "ascending";
  const arrow = sort === "none" ? "" : down ? " ↓" : " ↑";
  return el("th", { scope: "col", "aria-sort": sort, "data-index": column.index, class: isNumeric(column) ? "number" : null },
    el("button", { type: "button", title: column.key, onclick: () => sortBy(column) }, column.label + arrow));
}

const numeric = new Map();
function isNumeric(column) {
  if (!numeric.has(column)) numeric.set(column, data.runs.every((run) => typeof (cell(run, column) ?? 0) === "number"));
  return numeric.get(column);
}

function row(run) {
  const name = el("th", { scope: "row" }, el("button", { type: "button", "aria-pressed": String(run === selected()) }, nameOf(run)));
  const cells = columns.slice(1).map((column) => {
    const value = cell(run, column);
    const text = shown(column, value);
    const look = column.role === "status" ? `status ${value}` : isNumeric(column) ? "number" : null;
    return el("td", { class: look, title: text.length > 30 || (typeof value === "number" && text !== String(value)) ? String(value) : null }, text);
  });
  const link = el("td", {}, el("a", { href: run.folder, title: decoded(run.folder) }, "open"));
  return el("tr", { "data-index": run.index, class: run === selected() ? "selected" : null }, name, ...cells, link);
}

function decoded(address) {
  try { return decodeURIComponent(address); } catch { return address; }
}

let rows = [], body = null;
const more = el("p", { class: "caption more" });
const nearEnd = new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) addRows(); }, { root: table, rootMargin: "400px" });

function addRows(count = PORTION) {
  const there = body.childElementCount;
  body.append(...rows.slice(there, there + count).map(row));
  more.textContent = body.childElementCount < rows.length ? `${plural(rows.length - body.childElementCount, "more run")} …` : "";
  nearEnd.unobserve(more);
  if (body.childElementCount < rows.length) nearEnd.observe(more);
}

function drawTable() {
  rows = sorted(passing);
  body = el("tbody", { onclick: (event) => {
    const index = event.target.closest("tr")?.dataset.index;
    if (index !== undefined && !event.target.closest("a")) select(data.runs[Number(index)]);
  } });
  const heads = columns.map(header);
  table.replaceChildren(el("table", {}, el("thead", {}, el("tr", {}, ...heads, el("th", { scope: "col" }, "folder"))), body), more);
  addRows();
}

function markSelected() {
  for (const node of body.children) {
    const is = node.dataset.index === state.selected;
    node.classList.toggle("selected", is);
    node.querySelector("button").setAttribute("aria-pressed", String(is));
  }
}

function command(text) {
  const button = el("button", { type: "button", onclick: async () => {
    try { await navigator.clipboard.writeText(text); button.textContent = "Copied"; } catch { getSelection().selectAllChildren(code); button.textContent = "Selected: press Ctrl-C"; }
    setTimeout(() => { button.textContent = "Copy"; }, 2500);
  } }, "Copy");
  const code = el("code", {}, text);
  return el("div", { class: "command" }, code, button);
}

function pairs(items) {
  return el("dl", {}, ...items.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

function showDetails() {
  const run = selected();
  details.hidden = run === null;
  document.body.classList.toggle("with-details", run !== null);
  if (run === null) return;
  const set = (roles) => columns.filter((column) => roles.includes(column.role) && (cell(run, column) ?? null) !== null).map((column) => [column.label, shown(column, cell(run, column), 6)]);
  const values = data.measured.map((name, index) => [name, run.values[index]]).filter(([, value]) => value !== null).map(([name, value]) => [name, short(value, 6)]);
  details.replaceChildren(...[
    el("div", { class: "head" }, el("h2", {}, `Run ${nameOf(run)}`), el("button", { type: "button", onclick: () => select(null), "aria-label": "Close" }, "Close")),
    el("p", {}, el("span", { class: `status ${statusOf(run)}` }, statusOf(run)), run.broken ? ", but breaks a constraint" : "", run.host ? ` on ${run.host}` : "", " · ", el("a", { href: run.folder }, "its folder")),
    run.error ? el("p", { class: "mistake" }, run.error) : null,
    pairs(set(["key", "seed"])), values.length ? el("h3", {}, "At its best moment, and in the test") : null, pairs(values), pairs(set(["tags", "seconds", "started"])),
    run.command ? command(run.command) : null,
  ].filter(Boolean));
}

addEventListener("keydown", (event) => { if (event.key === "Escape" && selected()) select(null); });
