// Colours: of values, on a scale that all eyes can read, its best end where the contrast is; and of endings.

const VIRIDIS = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];
const SHADES = 16;
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const STATUSES = {
  complete: { symbol: "circle", colour: "accent", filled: true },
  pruned: { symbol: "line-ew-open", colour: "pruned" },
  failed: { symbol: "x", colour: "failed", filled: true },
  killed: { symbol: "x-thin-open", colour: "failed" },
  timeout: { symbol: "hourglass", colour: "stopped", filled: true },
  interrupted: { symbol: "square-open", colour: "stopped" },
  running: { symbol: "circle-open", colour: "running" },
};

function mixed(at) {
  const position = Math.min(Math.max(at, 0), 1) * (VIRIDIS.length - 1);
  const low = Math.min(Math.floor(position), VIRIDIS.length - 2);
  const part = (hex, byte) => parseInt(hex.slice(1 + 2 * byte, 3 + 2 * byte), 16);
  const mix = (byte) => Math.round(part(VIRIDIS[low], byte) + (position - low) * (part(VIRIDIS[low + 1], byte) - part(VIRIDIS[low], byte)));
  return `rgb(${mix(0)},${mix(1)},${mix(2)})`;
}

// 0 is the worst, 1 the best.
const shade = (quality) => (isDark() ? mixed(0.18 + 0.82 * quality) : mixed(0.9 * (1 - quality)));

function quantile(sorted, part) {
  const position = part * (sorted.length - 1), low = Math.floor(position);
  return sorted[low] + (position - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}

// The range in which values differ: those far below or above the others do not stretch it.
function span(values) {
  const sorted = values.filter((value) => value !== null).sort((a, b) => a - b);
  if (!sorted.length) return [0, 1];
  const low = quantile(sorted, 0.25), high = quantile(sorted, 0.75), fence = 2 * (high - low) || Infinity;
  return [Math.max(sorted[0], low - fence), Math.min(sorted.at(-1), high + fence)];
}

// Of all runs that came to a value, whatever the filter: a run keeps its colour.
function scale() {
  const done = data.runs.filter(isComplete).map(valueOf).filter((value) => value !== null);
  const [low, high] = span(done.length > 1 ? done : data.runs.map(valueOf));
  const quality = (value) => {
    const part = high > low ? Math.min(Math.max((value - low) / (high - low), 0), 1) : 1;
    return objective().mode === "max" || high <= low ? part : 1 - part;
  };
  const worst = objective().mode === "max" ? low : high, best = objective().mode === "max" ? high : low;
  const beyond = data.runs.map(valueOf).some((value) => value !== null && better(worst, value));
  return { quality, worst, best, beyond };
}

// Runs in a few groups of like values, the worst first and lightest: one trace each, however many runs.
function shades(runs) {
  const { quality } = scale();
  const groups = new Map();
  for (const run of runs) {
    const value = valueOf(run);
    const level = value === null ? -1 : Math.round(quality(value) * (SHADES - 1));
    if (!groups.has(level)) groups.set(level, []);
    groups.get(level).push(run);
  }
  const colour = (level) => (level < 0 ? style("faint") : shade(level / (SHADES - 1)));
  return [...groups].sort(([a], [b]) => a - b).map(([level, members]) => ({ colour: colour(level), weight: 0.55 + (0.45 * Math.max(level, 0)) / (SHADES - 1), runs: members }));
}

function legend() {
  const { worst, best, beyond } = scale();
  const stops = [0, 0.25, 0.5, 0.75, 1].map(shade).join(",");
  return el("span", { class: "legend" }, `${objective().label} ${short(worst)}${beyond ? " or worse" : ""} `,
    el("i", { style: `background:linear-gradient(to right,${stops})` }), ` ${short(best)} (best)`);
}
