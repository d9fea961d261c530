"""The figure of docs/benchmarks.md: accuracy against wall time for each way to search, and what a trial costs."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from engines import ENGINES, OURS, TRAIN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours can be told apart by all eyes; ours are one blue, by the kind of line.
BLUE = "#0072B2"
COLOURS = {"hos-1.4 joblib": "#D55E00", "ray tune": "#009E73", "optuna loop": "#000000"}
DASHES = {"random": ":", "tpe": "--", "tpe + asha": "-"}
TASKS = {"noop": ("no-op", 0.45), "lightning": ("Lightning", 1.0)}
GREY = "#767676"
SHORTEST = 1  # millisecond that is drawn
SEEN = 0.2  # of accuracy, below the worst way's end


def mark(quality: Mapping[str, Any], trial: Mapping[str, Any]) -> str:
    """Return what the picture carries, so that one of other results, or drawn by other code, is noticed."""
    drawn = json.dumps([quality["rows"], trial["rows"]]) + Path(__file__).read_text(encoding="utf-8")
    return f"drawn from {hashlib.sha256(drawn.encode()).hexdigest()[:16]}"


def draw(quality: Mapping[str, Any], trial: Mapping[str, Any]) -> str:
    """Return the figure as SVG, the same for the same results."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    with (
        mpl.rc_context(
            {
                "axes.spines.top": False,
                "axes.spines.right": False,
                "figure.constrained_layout.wspace": 0.06,  # for the labels of the curves
                "font.size": 9.5,
                "svg.hashsalt": "bench",
            }
        ),
        io.StringIO() as file,
    ):
        whole, (left, right) = plt.subplots(1, 2, figsize=(10, 4.8), width_ratios=[1.25, 1], layout="constrained")
        curves(left, [row for row in quality["rows"] if "median curve" in row])
        bars(right, [row for row in trial["rows"] if row.get("task") in TASKS and row.get("runs")])
        whole.savefig(file, format="svg", metadata={"Date": None, "Description": mark(quality, trial)})
        plt.close(whole)
        return file.getvalue()


def curves(axes: "Axes", rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw the median of each way over its seeds, and its quartiles as a band."""
    import numpy as np

    ends = []
    for row in rows:
        engine, _, how = row["way"].partition(": ")
        colour = BLUE if engine == OURS else COLOURS.get(engine, GREY)
        found = np.array(row["curves"])
        quartiles = np.percentile(found, [25, 50, 75], axis=0)
        lower, middle, upper = np.where(quartiles > 0, quartiles, np.nan)  # nothing is drawn before the first value
        seconds = row["seconds"] * np.arange(1, found.shape[1] + 1) / found.shape[1]
        axes.fill_between(seconds, lower, upper, color=colour, alpha=0.12, linewidth=0)
        axes.plot(seconds, middle, color=colour, linestyle=DASHES[how], linewidth=2.2 if engine == OURS else 1.4)
        if middle[-1] > 0:
            ends.append((middle[-1], row["way"].replace(": ", ", "), colour))
    last = max(row["seconds"] for row in rows)
    high = axes.get_ylim()[1]
    low = max(0.0, min((end for end, *_ in ends), default=0.0) - SEEN)
    for height, (end, name, colour) in zip(apart([end for end, *_ in ends], (high - low) / 18), ends, strict=True):
        axes.plot([last, last * 1.03], [end, height], color=colour, linewidth=0.7, clip_on=False)
        axes.text(last * 1.04, height, name, color=colour, va="center")
    axes.set(xlim=(0, last), ylim=(low, high), xlabel="seconds since the command was typed")
    axes.set_title("best validation accuracy so far: median and quartiles", loc="left", fontsize=10)


def apart(heights: Sequence[float], gap: float) -> list[float]:
    """Return the heights moved apart, so that labels do not overlap; their order and about their middle are kept."""
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    moved = list(heights)
    for _ in range(100):
        for below, above in pairwise(order):
            lack = gap - (moved[above] - moved[below])
            if lack > 0:
                moved[below] -= lack / 2
                moved[above] += lack / 2
    return moved


def bars(axes: "Axes", rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw the wall milliseconds of each engine's trials."""
    engines = [name for name in ENGINES if name != TRAIN and any(row["engine"] == name for row in rows)]
    for number, engine in enumerate(engines):
        for place, (task, (label, strength)) in zip((-0.2, 0.2), TASKS.items(), strict=True):
            for row in rows:
                if (row["engine"], row["task"]) == (engine, task):
                    value = median(run["each"] for run in row["runs"])
                    length = max(value, SHORTEST)
                    axes.barh(number + place, length, 0.38, color=BLUE if engine == OURS else GREY, alpha=strength)
                    told = f"{value:,.0f}" if value >= SHORTEST else f"under {SHORTEST}"
                    told += f" ms, {label}" if number == 0 else ""
                    axes.text(length * 1.08, number + place, told, va="center", fontsize=8.5)
    axes.set(xscale="log", yticks=range(len(engines)), yticklabels=engines)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.minorticks_off()
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.set_title("wall milliseconds a trial, 2 slots", loc="left", fontsize=10)
