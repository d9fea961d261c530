// The plots. Each takes the runs that pass the filter and returns its figures, or the sentence why it has none.

const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const MANY = 20000; // points, from which on WebGL draws them

// The text is made once for each objective: a plot of many runs asks for thousands.
function hoverText(run) {
  run.hoverTexts ??= {};
  return (run.hoverTexts[state.objective] ??= hover(run));
}

function hover(run) {
  const facts = [`<b>${plain(nameOf(run))}</b>  ${statusOf(run)}`];
  if (valueOf(run) !== null) facts.push(`${plain(objective().label)} ${short(valueOf(run))}`);
  for (const key of keys.slice(0, 10)) {
    if (cell(run, key) !== null) facts.push(`${plain(key.label)} ${plain(short(cell(run, key)))}`.slice(0, 80));
  }
  return facts.join("<br>");
}

const dots = (runs, x, y, marker, more = {}) => ({
  type: "scatter", mode: "markers", x: runs.map(x), y: runs.map(y), customdata: runs.map((run) => run.index),
  text: runs.map(hoverText), hovertemplate: "%{text}<extra></extra>", marker: { size: 7, ...marker }, ...more,
});

// Several lines in one trace, with gaps between them.
function threads(lines, line, more = {}) {
  const trace = { type: "scatter", mode: "lines", x: [], y: [], customdata: [], text: [], line, hovertemplate: "%{text}<extra></extra>", ...more };
  for (const { run, x, y } of lines) {
    const text = hoverText(run);
    for (let index = 0; index < x.length; index++) {
      trace.x.push(x[index]); trace.y.push(y[index]); trace.customdata.push(run.index); trace.text.push(text);
    }
    trace.x.push(null); trace.y.push(null); trace.customdata.push(run.index); trace.text.push("");
  }
  return trace;
}

const clipped = (text, length) => (String(text).length > length ? `…${String(text).slice(1 - length)}` : String(text)); // names differ at their end
const axisOf = (key) => ({
  title: { text: plain(key.label) }, type: key.choices ? "category" : key.log ? "log" : "linear",
  ...(key.log ? { tickvals: ticks(key), ticktext: ticks(key).map((value) => short(value, 2)) } : {}),
  ...(key.choices ? { categoryorder: "array", categoryarray: key.choices.map(plain), tickvals: key.choices.map(plain), ticktext: key.choices.map((choice) => plain(clipped(choice, 14))) } : {}),
});
const along = (key) => (run) => (key.choices ? plain(cell(run, key)) : cell(run, key));
const isPlaced = (key) => (run) => (cell(run, key) ?? null) !== null && (key.choices || typeof cell(run, key) === "number");
const ring = (run, x, y) => dots([run], x, y, { size: 14, symbol: "circle-open", color: style("ink"), line: { width: 2.5 } }, { showlegend: false });

function withRing(traces, runs, x, y) {
  const run = selected();
  return run && runs.includes(run) ? [...traces, ring(run, x, y)] : traces;
}

function byStatus(runs, x, y, colour = null) {
  return Object.entries(STATUSES).map(([status, look]) => {
    const members = runs.filter((run) => statusOf(run) === status);
    return members.length && dots(members, x, y, { symbol: look.symbol, color: colour && status === "complete" ? members.map(colour) : style(look.colour), line: look.filled ? { width: 1, color: style("ground") } : { width: 1.5 } }, { name: status });
  }).filter(Boolean);
}

// The range of values that is worth its room: that of complete runs, and half as much for worse ones.
function room(runs) {
  const done = runs.filter(isComplete), values = (done.length > 1 ? done : runs).map(valueOf);
  let [low, high] = span(values);
  const more = 0.5 * (high - low), all = runs.map(valueOf);
  if (objective().mode === "max") low = Math.max(low - more, Math.min(...all));
  else high = Math.min(high + more, Math.max(...all));
  const pad = 0.06 * (high - low) || 0.5;
  return { low, high, pad, inside: (value) => Math.min(Math.max(value, low - pad), high + pad) };
}

function historyPlot(runs) {
  const valued = runs.filter((run) => valueOf(run) !== null), none = runs.filter((run) => valueOf(run) === null && statusOf(run) !== "running");
  if (!valued.length) return "No run has a value yet.";
  const numbers = data.study && runs.every((run) => run.number !== undefined);
  const rank = new Map([...data.runs].sort((a, b) => a.start - b.start).map((run, index) => [run, index]));
  const x = (run) => (numbers ? run.number : rank.get(run));
  const { low, high, pad, inside } = room(valued), edge = objective().mode === "max" ? low - pad : high + pad;
  let best = null;
  const steps = valued.filter(counts).sort((a, b) => x(a) - x(b)).map((run) => (best = best === null || better(valueOf(run), best) ? valueOf(run) : best, { x: x(run), y: best }));
  const last = Math.max(...runs.map(x));
  if (steps.length) steps.push({ x: last, y: best });
  const y = (run) => (valueOf(run) === null ? edge : inside(valueOf(run)));
  return [{
    traces: withRing([
      { type: "scatter", mode: "lines", x: steps.map((s) => s.x), y: steps.map((s) => inside(s.y)), line: { shape: "hv", color: style("ink"), width: 1.5 }, name: "best so far", hoverinfo: "skip" },
      ...byStatus([...valued, ...none], x, y),
    ], runs, x, y),
    layout: { xaxis: { title: { text: numbers ? "trial" : "runs by their start" } }, yaxis: { title: { text: plain(objective().label) }, range: [low - 1.6 * pad, high + 1.6 * pad] }, showlegend: true },
  }];
}

function importancePlot() {
  const shares = Object.entries(data.importance.shares).reverse();
  if (!shares.length) return data.importance.note;
  return [{
    traces: [{ type: "bar", orientation: "h", x: shares.map(([, share]) => share), y: shares.map(([label]) => plain(label)), text: shares.map(([, share]) => `${Math.round(100 * share)} %`), textposition: "outside", cliponaxis: false, marker: { color: style("accent") }, hoverinfo: "skip" }],
    layout: { xaxis: { visible: false, range: [0, 1.12 * Math.max(...shares.map(([, share]) => share))] }, yaxis: { automargin: true, showgrid: false, ticksuffix: " " }, bargap: 0.4, margin: { t: 4, b: 8, l: 62, r: 16 }, height: Math.min(600, 24 + 38 * shares.length) },
  }];
}

function smoothed(values, weight) {
  let mean = 0, share = 0;
  return values.map((value) => {
    if (value === null) return null;
    mean = weight * mean + (1 - weight) * value;
    share = weight * share + (1 - weight);
    return mean / share;
  });
}

const metrics = Object.keys(data.curves.metrics);
const hasEpochs = data.curves.epochs.some((epochs) => epochs.some((epoch) => epoch !== null));
const metric = () => (metrics.includes(state.metric) ? state.metric : metrics[0]);

// That of the complete runs, where the others would press their curves flat; null where all fit.
function rangeOfCurves(lines) {
  const ends = (some) => some.reduce(([low, high], value) => (value === null ? [low, high] : [Math.min(low, value), Math.max(high, value)]), [Infinity, -Infinity]);
  const [low, high] = ends(lines.filter(({ run }) => statusOf(run) === "complete").flatMap(({ y }) => y));
  const [lowest, highest] = ends(lines.flatMap(({ y }) => y));
  return high > low && highest - lowest > 1.5 * (high - low) ? [low - 0.06 * (high - low), high + 0.06 * (high - low)] : null;
}

function curvesPlot(runs) {
  if (!metrics.length) return "No run has a metrics.csv with two points or more of a metric.";
  const by = state.x === "epoch" && hasEpochs ? data.curves.epochs : data.curves.steps;
  const logged = data.curves.metrics[metric()], weight = Number(state.smooth);
  const chosen = inOrder(runs.filter((run) => logged[run.index])).slice(0, state.curves === "all" ? undefined : Number(state.curves));
  if (!chosen.length) return `None of these runs logged ${metric()}.`;
  const raw = (run) => ({ run, x: by[logged[run.index][0]], y: logged[run.index][1] });
  const line = (run) => { const { x, y } = raw(run); return { run, x: x.slice(0, y.length), y: weight ? smoothed(y, weight) : y }; };
  const cut = (run) => { const one = raw(run); return { ...one, x: one.x.slice(0, one.y.length) }; };
  const points = chosen.reduce((sum, run) => sum + logged[run.index][1].length, 0);
  const type = points > MANY ? "scattergl" : "scatter", traces = [];
  const dim = selected() && chosen.includes(selected()) ? 0.35 : 1;
  for (const { colour, weight: force, runs: members } of shades(chosen)) {
    if (weight) traces.push(threads(members.map(cut), { color: colour, width: 1 }, { type, opacity: 0.22 * dim * force, hoverinfo: "skip" }));
    traces.push(threads(members.map(line), { color: colour, width: 1.5 }, { type, opacity: dim * force }));
  }
  if (dim < 1) traces.push(threads([line(selected())], { color: style("ink"), width: 3 }, { type }));
  const range = rangeOfCurves(chosen.map(line));
  return [{ traces, layout: { xaxis: { title: { text: by === data.curves.epochs ? "epoch" : "step" } }, yaxis: { title: { text: plain(metric()) }, ...range && { range } }, hovermode: "closest" } }];
}

// Where a value stands on an axis of parallel coordinates, from 0 to 1.
function unit(column, value) {
  if (value === null || value === undefined) return null;
  if (column.choices) return column.choices.length > 1 ? column.choices.indexOf(String(value)) / (column.choices.length - 1) : 0.5;
  if (typeof value !== "number") return null;
  if (column.high === column.low) return 0.5;
  const of = column.log ? Math.log : Number;
  return (of(value) - of(column.low)) / (of(column.high) - of(column.low));
}

function ticks(column) {
  if (column.choices) return column.choices;
  const { low, high, log } = column;
  if (low === high) return [low];
  if (log && high / low >= 30) {
    const marks = [];
    for (let power = Math.ceil(Math.log10(low) - 1e-9); 10 ** power <= high * 1.000001; power++) marks.push(10 ** power);
    if (marks.length > 1) return marks;
  }
  if (log) return [0, 1, 2, 3].map((part) => Number((low * (high / low) ** (part / 3)).toPrecision(2)));
  const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.7);
  const marks = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-6; at += step) marks.push(Number(at.toPrecision(10)));
  return marks;
}

const AXES = 12;
function parallelAxes() {
  const order = Object.keys(data.importance.shares);
  const rank = (key) => (order.includes(key.label) ? order.indexOf(key.label) : order.length);
  const chosen = keys.length > AXES ? [...keys].sort((a, b) => rank(a) - rank(b)).slice(0, AXES) : keys;
  const measured = objectives.map((column) => {
    const values = data.runs.map((run) => cell(run, column)).filter((value) => value !== null);
    return { ...column, low: Math.min(...values), high: Math.max(...values), values };
  });
  return [...chosen, ...measured.filter((column) => column.values.length)];
}

function parallelPlot(runs) {
  const axes = parallelAxes(), drawn = runs.filter((run) => valueOf(run) !== null);
  if (axes.length < 2 || !keys.length) return "Parallel coordinates take a key that runs differ by, and a value.";
  if (!drawn.length) return "None of these runs has a value.";
  const line = (run) => ({ run, x: axes.map((_, index) => index), y: axes.map((axis) => unit(axis, cell(run, axis))) });
  const passed = new Set(runs), others = data.runs.filter((run) => !passed.has(run) && valueOf(run) !== null);
  const type = drawn.length + others.length > 2500 ? "scattergl" : "scatter", opacity = drawn.length > 300 ? 0.4 : drawn.length > 60 ? 0.7 : 0.9;
  const dim = selected() && drawn.includes(selected()) ? 0.3 : 1;
  const traces = [threads(others.map(line), { color: style("faint"), width: 0.6 }, { type, opacity: 0.3, hoverinfo: "skip", hovertemplate: null })];
  for (const { colour, weight, runs: members } of shades(drawn)) traces.push(threads(members.map(line), { color: colour, width: 1.3 }, { type, opacity: opacity * dim * weight }));
  if (dim < 1) traces.push(threads([line(selected())], { color: style("ink"), width: 3 }, { type }));
  const shapes = axes.map((_, index) => ({ type: "line", x0: index, x1: index, y0: 0, y1: 1, line: { color: style("soft"), width: 1 } }));
  const label = (x, y, text, more) => ({ x, y, text: plain(text), showarrow: false, ...more });
  const annotations = axes.flatMap((axis, index) => {
    const marks = ticks(axis), every = Math.ceil(marks.length / 9);
    return [
      label(index, 1, clipped(axis.label, 24), { yanchor: "bottom", yshift: 12, font: { color: style("ink"), size: 12.5 } }),
      ...marks.filter((_, mark) => mark % every === 0).map((mark) => label(index, unit(axis, mark), clipped(short(mark, 3), 16), { xanchor: "left", xshift: 3, bgcolor: style("veil"), borderpad: 1, font: { size: 11 } })),
    ];
  });
  return [{
    axes, traces,
    layout: { shapes, annotations, height: 380, margin: { l: 30, r: 60, t: 44, b: 14 }, dragmode: matchMedia("(pointer: coarse)").matches ? false : "select",
      xaxis: { visible: false, fixedrange: true, range: [-0.1, axes.length - 0.75] }, yaxis: { visible: false, fixedrange: true, range: [-0.04, 1.04] }, hovermode: "closest", selections: [] },
  }];
}

// A drag over axes becomes conditions in the filter.
function brushed(figure, range) {
  let text = state.filter;
  const [left, right] = [...range.x].sort((a, b) => a - b), [low, high] = [...range.y].sort((a, b) => a - b);
  figure.axes.forEach((axis, index) => {
    if (index < left || index > right) return;
    if (axis.choices) {
      const inside = axis.choices.filter((choice) => unit(axis, choice) >= low && unit(axis, choice) <= high);
      if (inside.length) text = narrowed(text, axis, [`=${inside.join(",")}`]);
      return;
    }
    const back = (at) => Number((axis.log ? axis.low * (axis.high / axis.low) ** at : axis.low + (axis.high - axis.low) * at).toPrecision(3));
    text = narrowed(text, axis, [...(low > 0 ? [`>=${back(low)}`] : []), ...(high < 1 ? [`<=${back(high)}`] : [])]);
  });
  return text;
}

const SLICES = 16;
function slicesPlot(runs) {
  const valued = runs.filter((run) => valueOf(run) !== null);
  if (!keys.length) return "These runs do not differ by any key.";
  if (!valued.length) return "None of these runs has a value.";
  const { quality } = scale(), { low, high, pad, inside } = room(valued);
  const y = (run) => inside(valueOf(run)), colour = (run) => shade(quality(valueOf(run)));
  return keys.slice(0, SLICES).map((key) => {
    const placed = valued.filter(isPlaced(key));
    return { traces: withRing(byStatus(placed, along(key), y, colour), placed, along(key), y), layout: { xaxis: axisOf(key), yaxis: { range: [low - 1.6 * pad, high + 1.6 * pad], title: { text: plain(objective().label) } }, height: 274, margin: { t: 32, r: 8, b: 44, l: 56 } } };
  });
}

function mapPlot(runs) {
  const { x, y, xs, ys, zs, note } = data.surface;
  if (note) return note;
  const [across, up] = [x, y].map((label) => keys.find((key) => key.label === label));
  const complete = runs.filter((run) => isComplete(run) && valueOf(run) !== null);
  const first = objectives[0], best = first.mode === "max";
  const range = span(data.runs.filter(isComplete).map((run) => cell(run, first)));
  const colours = Array.from({ length: 11 }, (_, index) => [index / 10, shade(best ? index / 10 : 1 - index / 10)]);
  return [{
    traces: withRing([
      { type: "contour", x: xs, y: ys, z: zs, zmin: range[0], zmax: range[1], colorscale: colours, contours: { coloring: "heatmap" }, ncontours: 12, line: { width: 0.5, color: style("veil") }, connectgaps: false, hoverinfo: "skip", colorbar: { title: { text: plain(first.label), side: "right" }, thickness: 10, outlinewidth: 0, len: 0.95 } },
      dots(complete, along(across), along(up), { color: style("ground"), line: { color: style("ink"), width: 1 }, size: 6 }, { showlegend: false }),
    ], complete, along(across), along(up)),
    layout: { xaxis: axisOf({ ...across, low: xs[0], high: xs.at(-1) }), yaxis: axisOf({ ...up, low: ys[0], high: ys.at(-1) }) },
  }];
}

function front(runs, chosen) {
  const rank = (run) => chosen.map((column) => (column.mode === "max" ? -1 : 1) * cell(run, column));
  const unbeaten = [];
  const sorted = runs.map((run) => [run, rank(run)]).sort(([, a], [, b]) => { const at = a.findIndex((value, index) => value !== b[index]); return at < 0 ? 0 : a[at] - b[at]; });
  for (const [run, ranks] of sorted) {
    const beaten = unbeaten.some(([, other]) => other.every((value, index) => value <= ranks[index]) && other.some((value, index) => value < ranks[index]));
    if (!beaten) unbeaten.push([run, ranks]);
  }
  return unbeaten.map(([run]) => run);
}

function paretoPlot(runs) {
  const done = runs.filter((run) => isComplete(run) && objectives.every((column) => cell(run, column) !== null));
  if (!done.length) return "No complete run has a value of each objective.";
  const [across, up] = [objectives[Number(state.px)] ?? objectives[0], objectives[Number(state.py)] ?? objectives[1]];
  const x = (run) => cell(run, across), y = (run) => cell(run, up);
  const best = front(done.filter(counts), objectives).sort((a, b) => x(a) - x(b)), unbeaten = new Set(best);
  const title = (column) => ({ title: { text: plain(`${column.label} (${column.mode})`) } });
  const traces = [
    dots(done.filter((run) => !unbeaten.has(run)), x, y, { color: style("pruned"), symbol: "circle-open" }, { name: "dominated" }),
    dots(best, x, y, { color: style("accent"), size: 9 }, { name: "no other is better in all", mode: objectives.length === 2 ? "lines+markers" : "markers", line: { shape: "hv", width: 1, color: style("accent") } }),
  ];
  if (objectives.length === 2 && across.mode === up.mode) traces[1].line.shape = across.mode === "min" ? "hv" : "vh";
  else if (objectives.length === 2) traces[1].line.shape = across.mode === "max" ? "vh" : "hv";
  return [{ traces: withRing(traces, done, x, y), layout: { xaxis: title(across), yaxis: title(up), showlegend: true } }];
}

// Packs runs into lanes, machine by machine: as many as ran at once.
function lanes(runs) {
  const free = new Map(), placed = new Map(), hosts = [...new Set(runs.map((run) => run.host ?? ""))];
  for (const run of [...runs].sort((a, b) => a.start - b.start)) {
    const ends = free.get(run.host ?? "") ?? free.set(run.host ?? "", []).get(run.host ?? "");
    let lane = ends.findIndex((end) => end <= run.start + 0.05);
    if (lane < 0) lane = ends.push(0) - 1;
    ends[lane] = Math.max(run.end, run.start);
    placed.set(run, lane);
  }
  const label = (run) => plain(hosts.length > 1 ? `${run.host} ${placed.get(run) + 1}` : `slot ${placed.get(run) + 1}`);
  const labels = hosts.flatMap((host) => (free.get(host) ?? []).map((_, lane) => (hosts.length > 1 ? plain(`${host} ${lane + 1}`) : `slot ${lane + 1}`)));
  return { label, labels };
}

function timelinePlot(runs) {
  const ends = Math.max(...data.runs.map((run) => run.end)), busy = data.runs.reduce((sum, run) => sum + run.end - run.start, 0);
  if (!(busy > 0)) return "No run took any time.";
  if (busy < 0.05 * ends) return "These runs lie too far apart in time to be drawn on one line.";
  const { label, labels } = lanes(data.runs), run = selected();
  const traces = Object.entries(STATUSES).map(([status, look]) => {
    const members = runs.filter((one) => statusOf(one) === status);
    return members.length && {
      type: "bar", orientation: "h", name: status, base: members.map((one) => one.start / 60), x: members.map((one) => Math.max(one.end - one.start, 0.001 * ends) / 60), y: members.map(label), text: members.map(hoverText), textposition: "none",
      hovertemplate: "%{text}<extra></extra>", customdata: members.map((one) => one.index),
      marker: { color: style(look.colour), line: { color: members.map((one) => style(one === run ? "ink" : "ground")), width: members.map((one) => (one === run ? 3 : members.length > 500 ? 0 : 1)) }, pattern: { fillmode: "overlay", fgopacity: 0.6, shape: { pruned: "/", failed: "x", killed: "x", timeout: "\\", interrupted: "." }[status] ?? "", size: 5, solidity: 0.35, fgcolor: style("ground") } },
    };
  }).filter(Boolean);
  return [{ traces, layout: { barmode: "overlay", bargap: 0.25, height: Math.min(700, 130 + 34 * labels.length), showlegend: true, xaxis: { title: { text: "minutes since the start" }, range: [0, (1.01 * ends) / 60] }, yaxis: { type: "category", categoryorder: "array", categoryarray: [...labels].reverse(), range: [-0.5, labels.length - 0.5], automargin: true } } }];
}
