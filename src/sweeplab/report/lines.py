"""The learning curves of runs, thinned to what a screen can show."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeplab.errors import UserError
from sweeplab.records import curves
from sweeplab.records.names import of_training
from sweeplab.records.run import Run
from sweeplab.report.plain import number

POINTS = 200  # of a curve
TOTAL = 600_000  # of a page: some 4 MB
FEWEST = 10
NOT_CURVES = ("epoch", curves.STEP)


def lines(runs: Sequence[Run], first: Sequence[str]) -> dict[str, Any]:
    """Return the curves of all runs by metric, the metrics of `first` at the front.

    Runs that were measured at the same steps share them: a curve is the place of its steps in `steps`, and its values,
    which may be fewer. `epochs` go with the steps.
    """
    logged = [_logged(run) for run in runs]
    names = dict.fromkeys(name for own in logged for name in own if name not in NOT_CURVES)
    found = {name: [_curve(own, name) for own in logged] for name in names}
    found = {name: each for name, each in found.items() if any(line and len(line[0]) > 1 for line in each)}
    count = sum(line is not None for each in found.values() for line in each)
    most = max(FEWEST, min(POINTS, TOTAL // max(count, 1)))
    axes = _Axes()
    by_metric = {}
    for name in sorted(found, key=lambda name: (_place(name, first), name)):
        by_metric[name] = [line and axes.placed(*_thinned(line, most)) for line in found[name]]
    return {"metrics": by_metric, "steps": axes.steps, "epochs": axes.epochs}


class _Axes:
    """The steps at which curves were measured, each sequence of them once; a shorter one is the start of a longer."""

    def __init__(self) -> None:
        self.steps: list[list[int]] = []
        self.epochs: list[list[float | None]] = []
        self._places: dict[tuple[int, ...], int] = {}

    def placed(self, steps: NDArray[Any], epochs: NDArray[Any], values: NDArray[Any]) -> list[Any]:
        """Return a curve as the page has it."""
        key = tuple(int(step) for step in steps)
        place = self._places.setdefault(key, len(self.steps))
        if place == len(self.steps):
            self.steps.append(list(key))
            self.epochs.append([number(float(epoch)) for epoch in epochs])
        return [place, [number(float(value)) for value in values]]


_Line = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]


def _logged(run: Run) -> dict[str, NDArray[np.float64]]:
    """Return what a run logged; a file that is missing or broken has nothing to show."""
    try:
        return curves.columns(run.folder)
    except UserError:
        return {}


def _curve(logged: dict[str, NDArray[np.float64]], name: str) -> _Line | None:
    if name not in logged:
        return None
    steps, values = curves.curve(logged, name)
    if not len(steps):
        return None
    epochs = np.full(len(steps), np.nan)
    if "epoch" in logged:
        known, numbers = curves.curve(logged, "epoch")
        if len(known):
            at = np.clip(np.searchsorted(known, steps), 0, len(known) - 1)
            epochs = numbers[at]
    return steps, epochs, values


def _thinned(line: _Line, most: int) -> _Line:
    """Leave out points evenly, neither the first nor the last."""
    length = len(line[0])
    if length <= most:
        return line
    kept = np.linspace(0, length - 1, most).round().astype(int)
    return line[0][kept], line[1][kept], line[2][kept]


def _place(name: str, first: Sequence[str]) -> tuple[int, int]:
    likely = [*first, *map(of_training, first)]
    return (likely.index(name) if name in likely else len(likely), name.endswith("_step"))
