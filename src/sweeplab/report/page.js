// The page as a whole: what stands at its top, and what is drawn again when something was chosen.

let passing = data.runs;

const PLOTS = [
  { id: "history", title: "History", draw: historyPlot, caption: "Each run's value, and the best so far. What is far from the complete runs stands at the edge, and so does what has no value.", wide: keys.length < 2 },
  { id: "importance", title: "Importance", draw: importancePlot, caption: () => `How much each key decides ${objectives[0].label}: PED-ANOVA over all ${plural(data.importance.count, "complete run")}, whatever the filter.`, if: () => keys.length > 1 },
  { id: "parallel", title: "Parallel coordinates", draw: parallelPlot, caption: "A line a run. Drag over an axis to filter.", legend: true, wide: true, scroll: true, if: () => keys.length > 1 },
  { id: "curves", title: "Learning curves", draw: curvesPlot, caption: "The values that complete runs took; a double click shows what went beyond them.", legend: true, wide: true, controls: curveControls },
  { id: "slices", title: "Slices", draw: slicesPlot, caption: "Each key against the objective; what was pruned or failed has the signs of the history.", legend: true, wide: true, several: true, if: () => keys.length > 0 },
  { id: "map", title: "Map", draw: mapPlot, caption: () => `${objectives[0].label} over the two keys that matter most, linear between all complete runs; the dots are those that pass the filter.`, if: () => keys.length > 1 },
  { id: "pareto", title: "Pareto front", draw: paretoPlot, caption: "", controls: paretoControls, if: () => objectives.length > 1 },
  // Beside the map where that stands alone.
  { id: "timeline", title: "Timeline", draw: timelinePlot, caption: "When each run ran, and on which slot.", wide: (keys.length > 1) === (objectives.length > 1) },
];

function choose(label, name, options) {
  return el("label", {}, `${label} `, el("select", { onchange: (event) => { remember({ [name]: event.target.value }); redraw(); } },
    ...options.map(([value, text]) => el("option", { value, selected: value === state[name] }, text))));
}

function curveControls() {
  if (!metrics.length) return [];
  const slider = el("input", { type: "range", min: 0, max: 0.98, step: 0.02, value: state.smooth, oninput: (event) => { remember({ smooth: event.target.value }); redraw(["curves"]); } });
  return [choose("Metric", "metric", metrics.map((name) => [name, name])), choose("over", "x", [...(hasEpochs ? [["epoch", "epoch"]] : []), ["step", "step"]]),
    choose("of", "curves", [["10", "the best 10"], ["50", "the best 50"], ["all", "all"]]), el("label", {}, "Smoothing ", slider)];
}

function paretoControls() {
  const options = objectives.map((column, index) => [String(index), column.label]);
  return objectives.length > 2 ? [choose("Across", "px", options), choose("Up", "py", options)] : [];
}

// Frames of the plots; each is drawn when it comes into view, and again when it has to be.

const frames = new Map();
const CONFIG = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] };
const inView = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const frame = frames.get(entry.target.id);
    frame.visible = entry.isIntersecting;
    if (frame.visible && frame.stale) draw(frame);
  }
}, { rootMargin: "200px" });

function makeFrames() {
  for (const plot of PLOTS.filter((one) => !one.if || one.if())) {
    const caption = typeof plot.caption === "function" ? plot.caption() : plot.caption;
    const charts = el("div", { class: plot.several ? "charts several" : plot.scroll ? "charts scroll" : "charts" });
    const legendBox = el("span"), note = el("p", { class: "caption note", hidden: true });
    const section = el("section", { id: plot.id, class: plot.wide ? "wide" : null, "aria-labelledby": `${plot.id}-title` },
      el("h2", { id: `${plot.id}-title` }, plot.title), el("p", { class: "caption" }, caption, " ", legendBox), el("div", { class: "controls" }, ...(plot.controls?.() ?? [])), note, charts);
    document.getElementById("plots").append(section);
    frames.set(plot.id, { plot, section, charts, note, legendBox, stale: true, visible: false });
  }
  document.querySelector("nav").append(...[...frames.values()].map(({ plot }) => el("a", { href: `#${plot.id}`, onclick: jump }, plot.title)), el("a", { href: "#runs", onclick: jump }, "Runs"));
}

// The address holds what was chosen, so a link within the page only scrolls.
function jump(event) {
  event.preventDefault();
  document.getElementById(event.target.hash.slice(1)).scrollIntoView({ behavior: "smooth" });
}

function draw(frame) {
  frame.stale = false;
  const drawn = frame.plot.draw(passing);
  const figures = typeof drawn === "string" ? [] : drawn;
  frame.section.setAttribute("aria-busy", "false");
  frame.note.hidden = frame.charts.hidden = false;
  frame[figures.length ? "note" : "charts"].hidden = true;
  frame.note.textContent = figures.length ? "" : drawn;
  frame.legendBox.replaceChildren(frame.plot.legend && figures.length ? legend() : "");
  while (frame.charts.childElementCount > figures.length) { Plotly.purge(frame.charts.lastChild); frame.charts.lastChild.remove(); }
  while (frame.charts.childElementCount < figures.length) frame.charts.append(el("div", { class: "chart" }));
  figures.forEach((figure, index) => {
    const node = frame.charts.children[index], isNew = !node.figure;
    node.style.minWidth = figure.axes ? `${90 * figure.axes.length}px` : "";
    node.figure = figure;
    Plotly.react(node, figure.traces, layoutOf(figure.layout), CONFIG);
    if (isNew) listen(node);
  });
}

function listen(node) {
  node.on("plotly_click", (event) => {
    const index = event.points.map((point) => point.customdata).find((one) => one !== undefined && one !== null);
    if (index !== undefined) select(data.runs[index]);
  });
  node.on("plotly_selected", (event) => { if (event?.range && node.figure.axes) setFilter(brushed(node.figure, event.range)); });
}

function layoutOf({ xaxis = {}, yaxis = {}, ...more }) {
  const ink = style("soft"), rule = style("rule");
  const axis = { gridcolor: rule, zeroline: false, linecolor: rule, automargin: true, exponentformat: "power" };
  return {
    height: parseInt(style("chart")), margin: { l: 62, r: 16, t: 36, b: 48 }, modebar: { bgcolor: "rgba(0,0,0,0)", color: rule, activecolor: ink }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
    font: { family: style("face"), size: 12, color: ink }, hoverlabel: { align: "left", bgcolor: style("ground"), bordercolor: rule, font: { color: style("ink"), family: style("face") } },
    legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)" }, hovermode: "closest", xaxis: { ...axis, ...xaxis }, yaxis: { ...axis, ...yaxis }, ...more,
  };
}

function redraw(ids = [...frames.keys()]) {
  for (const id of ids) {
    const frame = frames.get(id);
    frame.stale = true;
    frame.section.setAttribute("aria-busy", "true");
    if (frame.visible) drawSoon(frame);
  }
}

// One plot a turn, so that the page answers meanwhile; what is out of view again waits.
function drawSoon(frame) {
  setTimeout(() => { if (frame.stale && frame.visible) draw(frame); });
}

function select(run) {
  remember({ selected: run === null || run === selected() ? "" : String(run.index) });
  showDetails();
  markSelected();
  redraw();
}

const box = document.getElementById("filter");
function setFilter(text) {
  box.value = text;
  applyFilter();
}

function applyFilter() {
  remember({ filter: box.value });
  const { runs, mistakes } = filtered(state.filter);
  passing = runs;
  const note = document.getElementById("mistakes");
  note.hidden = !mistakes.length;
  note.textContent = mistakes.join(" ");
  document.getElementById("count").textContent = passing.length === data.runs.length ? `all ${plural(data.runs.length, "run")}` : `${plural(passing.length, "run")} of ${data.runs.length}`;
  document.getElementById("clear").hidden = state.filter === "";
  drawTable();
  redraw();
}

function drawTop() {
  document.querySelector("h1").textContent = data.title;
  const endings = Object.keys(STATUSES).map((status) => [status, data.runs.filter((run) => statusOf(run) === status).length]).filter(([, count]) => count);
  const total = data.study?.total ? [`${data.trials} of ${plural(data.study.total, "trial")}`] : [];
  const running = data.runs.filter((run) => statusOf(run) === "running").length;
  const others = Object.entries(data.others).map(([name, count]) => `${plural(count, "run")} with the objective ${name} ${count === 1 ? "has" : "have"} no place in the plots of ${objectives[0].label}`);
  const facts = [
    ...objectives.map((one) => `${one.label}, ${one.mode === "max" ? "higher" : "lower"} is better`).slice(0, 3),
    ...total, `${plural(data.runs.length, "run")}: ${endings.map(([status, count]) => `${count} ${status}`).join(", ")}`,
    ...(data.sources.length ? [data.sources.join(", ")] : []), ...others,
    `written ${data.written.slice(0, 16).replace("T", " ")}`,
    ...(running ? [`${running} running now${data.every ? `; this page loads itself again every ${data.every} s` : ""}`] : []),
  ];
  document.getElementById("facts").replaceChildren(...facts.map((fact) => el("span", {}, fact)));
  const best = data.mean ? data.runs[data.mean.run] : inOrder(data.runs).filter(counts)[0];
  document.getElementById("best").replaceChildren(...(best ? bestRun(best) : [el("p", {}, "No run is complete with a value, so none is the best.")]));
}

function bestRun(run) {
  const others = columns.filter((column) => column.role === "test" || (column.role === "objective" && column !== objective())).slice(0, 3);
  const measured = others.filter((column) => (cell(run, column) ?? null) !== null).map((column) => `${column.label} ${short(cell(run, column))}`);
  const settings = keys.filter((key) => (cell(run, key) ?? null) !== null).slice(0, 14).map((key) => [key.label, short(cell(run, key))]);
  return [
    el("div", { class: "figure" }, ...figure(run), el("span", {}, measured.join(" · "))),
    el("div", {}, el("p", {}, el("button", { type: "button", class: "link", onclick: () => select(run) }, `Run ${nameOf(run)}`), " · ", el("a", { href: run.folder }, "its folder")), pairs(settings),
      run.command ? el("div", {}, el("p", { class: "caption" }, "This trains it again:"), command(run.command)) : null),
  ];
}

function figure(run) {
  const { label } = objective();
  if (!data.mean) return [el("strong", {}, short(valueOf(run))), el("span", {}, `${label}, the best of ${data.runs.filter(counts).length}`)];
  const { value, sd, seeds, of } = data.mean;
  return [
    el("strong", {}, short(value)),
    el("span", {}, `${label}, the mean of ${plural(seeds, "seed")}${sd ? ` (sd ${short(sd)})` : ""}, the best of ${plural(of, "configuration")}`),
    el("span", {}, `its best run: ${short(valueOf(run))}`),
  ];
}

function statistics() {
  for (const { title, columns: heads, rows: lines, notes, significance } of data.tables) {
    const section = el("section", {}, el("h2", {}, title), significance ? el("p", { class: "significance" }, significance) : null,
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, el("table", {}, el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))), el("tbody", {}, ...lines.slice(0, 200).map((line) => el("tr", {}, ...line.map((text) => el("td", {}, text))))))),
      ...[...notes, ...(lines.length > 200 ? [`${lines.length - 200} more are left out here.`] : [])].map((note) => el("p", { class: "caption" }, note)));
    document.getElementById("tables").append(section);
  }
}

const themeButton = document.getElementById("theme");
function applyTheme(theme) {
  setTheme(theme);
  themeButton.textContent = isDark() ? "Light" : "Dark";
  themeButton.setAttribute("aria-label", isDark() ? "Use light colours" : "Use dark colours");
  redraw();
}
themeButton.addEventListener("click", () => { storeTheme(isDark() ? "light" : "dark"); applyTheme(); });
system.addEventListener("change", () => applyTheme());

function begin() {
  if (objectives.length > 1) {
    const label = document.getElementById("objective");
    label.hidden = false;
    label.querySelector("select").append(...objectives.map((column, index) => el("option", { value: index, selected: String(index) === state.objective }, column.label)));
    label.querySelector("select").addEventListener("change", (event) => { remember({ objective: event.target.value }); drawTop(); drawTable(); redraw(); });
  }
  const example = [keys.find((key) => !key.choices), keys.find((key) => key.choices)].filter(Boolean).map((key) => (key.choices ? `${key.label}=${key.choices[0]}` : `${key.label}<${short(key.high)}`));
  box.placeholder = [...example, "status=complete"].join(" ");
  box.addEventListener("input", applyFilter);
  document.getElementById("clear").addEventListener("click", () => setFilter(""));
  drawTop();
  statistics();
  makeFrames();
  applyTheme();
  setFilter(state.filter);
  showDetails();
}

begin();
// Plotly comes last in the file: the table stands before it is read.
addEventListener("DOMContentLoaded", () => {
  for (const frame of frames.values()) inView.observe(frame.section);
  const position = Number(sessionStorage.getItem("scroll"));
  if (position) scrollTo(0, position);
});

// While runs run, the page loads itself again; not while somebody writes into the filter.
let reload = null;
function reloadLater() {
  clearTimeout(reload);
  if (data.every) reload = setTimeout(() => location.reload(), 1000 * Math.max(1, data.every));
}
reloadLater();
box.addEventListener("input", reloadLater);
addEventListener("pagehide", () => sessionStorage.setItem("scroll", String(scrollY)));
addEventListener("beforeprint", () => { for (const frame of frames.values()) draw(frame); addRows(rows.length); });
