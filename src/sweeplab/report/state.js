// What the page knows, and what the user chose: kept in the address, so that it outlives a reload.

const data = JSON.parse(document.getElementById("data").textContent);
data.runs.forEach((run, index) => { run.index = index; });
const columns = data.columns.map((column, index) => ({ ...column, index }));
const columnOf = (role) => columns.find((column) => column.role === role);
const objectives = columns.filter((column) => column.role === "objective");
const keys = columns.filter((column) => column.role === "key");
const cell = (run, column) => run.cells[column.index];
const nameOf = (run) => String(cell(run, columnOf("run")));
const statusOf = (run) => cell(run, columnOf("status"));
const isComplete = (run) => statusOf(run) === "complete";

const state = { filter: "", sort: "", objective: "0", selected: "", metric: "", x: "epoch", smooth: "0", curves: "50", px: "0", py: "1" };
const standard = { ...state };
for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
  if (name in state) state[name] = value;
}

function remember(changes) {
  Object.assign(state, changes);
  const words = Object.entries(state).filter(([name, value]) => value !== standard[name]);
  history.replaceState(null, "", `#${new URLSearchParams(words)}`);
}

const objective = () => objectives[Number(state.objective)] ?? objectives[0];
const valueOf = (run) => cell(run, objective()) ?? null;
const better = (one, other) => (objective().mode === "max" ? one > other : one < other);
const byValue = (one, other) => (one === other ? 0 : better(one, other) ? -1 : 1);
const selected = () => (state.selected === "" ? null : data.runs[Number(state.selected)] ?? null);

// What can be the best: complete, with a value, and without a broken constraint.
const counts = (run) => isComplete(run) && valueOf(run) !== null && !run.broken;

// The best at the top; runs that do not count behind, those without a value last.
function inOrder(runs) {
  const group = (run) => (valueOf(run) === null ? 2 : counts(run) ? 0 : 1);
  return [...runs].sort((one, other) => group(one) - group(other) || byValue(valueOf(one), valueOf(other)));
}

function short(value, digits = 4) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e7) return String(value);
  if (size >= 1e-3 && size < 1e7) return String(Number(value.toPrecision(digits)));
  return value.toExponential(Math.min(digits, 3) - 1).replace(/\.?0+e/, "e").replace("e+", "e");
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (number) => String(number).padStart(2, "0");
  const minutes = Math.floor(whole / 60) % 60;
  return whole < 3600 ? `${minutes}:${two(whole % 60)}` : `${Math.floor(whole / 3600)}:${two(minutes)}:${two(whole % 60)}`;
}

function shown(column, value, digits = 4) {
  if (column.role === "seconds") return duration(value);
  if (column.role === "started") return String(value).replace("T", " ");
  const measured = column.role === "objective" || column.role === "test";
  const isFraction = typeof value === "number" && !Number.isInteger(value) && Math.abs(value) >= 1e-3 && Math.abs(value) < 1e4;
  return measured && isFraction ? value.toPrecision(digits) : short(value, digits); // so that points stand below points
}

const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

// Text goes in as text: no name of a run is ever read as HTML.
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}
