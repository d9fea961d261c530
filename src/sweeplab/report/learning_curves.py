"""The learning curves of runs, thinned to what a screen can show."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeplab.errors import UserError
from sweeplab.records import curves
from sweeplab.records.names import of_training
from sweeplab.records.run import Run
from sweeplab.report.page_columns import json_number

MIN_POINTS, MAX_POINTS = 10, 200  # of a curve
POINTS_PER_PAGE = 600_000  # some 4 MB
NOT_CURVES = ("epoch", curves.STEP)

_Logged = Mapping[str, NDArray[np.float64]]
_Curve = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]  # steps, epochs, values


def learning_curves(runs: Sequence[Run], first: Sequence[str]) -> dict[str, Any]:
    """Return the curves of all runs by metric, the metrics of `first` at the front.

    Runs that were measured at the same steps share them: a curve is the index of its steps in `steps`, and its values;
    None stands for a run without one. `epochs` go with the steps.
    """
    logged = [_logged(run) for run in runs]
    names = dict.fromkeys(name for each in logged for name in each if name not in NOT_CURVES)
    drawn = {name: [_curve(each, name) for each in logged] for name in names}
    drawn = {name: each for name, each in drawn.items() if any(curve and len(curve[0]) > 1 for curve in each)}
    count = sum(curve is not None for each in drawn.values() for curve in each)
    most = max(MIN_POINTS, min(MAX_POINTS, POINTS_PER_PAGE // max(count, 1)))
    axes: dict[tuple[int, ...], tuple[int, list[float | None]]] = {}

    def plain(curve: _Curve | None) -> list[Any] | None:
        if curve is None:
            return None
        steps, epochs, values = _thinned(curve, most)
        key = tuple(steps.tolist())
        if key not in axes:
            axes[key] = len(axes), [json_number(epoch) for epoch in epochs.tolist()]
        return [axes[key][0], [json_number(value) for value in values.tolist()]]

    likely = [*first, *map(of_training, first)]
    ordered = sorted(drawn, key=lambda name: (*_rank(name, likely), name))
    metrics = {name: [plain(curve) for curve in drawn[name]] for name in ordered}
    return {"metrics": metrics, "steps": [list(steps) for steps in axes], "epochs": [each for _, each in axes.values()]}


def _logged(run: Run) -> _Logged:
    """Return what a run logged; a file that is missing or broken has nothing to show."""
    try:
        return curves.columns(run.folder)
    except UserError:
        return {}


def _curve(logged: _Logged, name: str) -> _Curve | None:
    if name not in logged:
        return None
    steps, values = curves.curve(logged, name)
    if not len(steps):
        return None
    at, epochs = curves.curve(logged, "epoch") if "epoch" in logged else (steps[:0], values[:0])
    if not len(at):
        return steps, np.full(len(steps), np.nan), values
    return steps, epochs[np.clip(np.searchsorted(at, steps), 0, len(at) - 1)], values


def _thinned(curve: _Curve, most: int) -> _Curve:
    """Leave out points evenly, neither the first nor the last."""
    steps, epochs, values = curve
    if len(steps) <= most:
        return curve
    kept = np.linspace(0, len(steps) - 1, most).round().astype(int)
    return steps[kept], epochs[kept], values[kept]


def _rank(name: str, likely: Sequence[str]) -> tuple[int, bool]:
    """Return what puts likely metrics first, and values of single steps behind those of epochs."""
    return likely.index(name) if name in likely else len(likely), name.endswith("_step")
