"""What runs are compared by."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sweeplab.errors import UserError, did_you_mean
from sweeplab.runs.record import Status
from sweeplab.runs.run import Run

MODES = ("min", "max")


@dataclass(frozen=True)
class Judge:
    """A metric, and where it should go: `min` or `max`."""

    metric: str
    mode: str

    def value(self, run: Run) -> float | None:
        """Return the run's finite value of the metric, None if it has none."""
        value = run.values().get(self.metric)
        return value if value is not None and math.isfinite(value) else None

    def rank(self, value: float) -> float:
        """Return a number that is the smaller the better the value is."""
        return -value if self.mode == "max" else value

    def counts(self, run: Run) -> bool:
        """Say whether a run can be the best: it is complete, has a value, and keeps its constraints."""
        return run.status is Status.COMPLETE and run.keeps_constraints and self.value(run) is not None

    def order(self, run: Run) -> tuple[bool, bool, bool, float]:
        """Return what sorts runs: those that can be best, then other complete ones, those without a value last."""
        value = self.value(run)
        done = run.status is Status.COMPLETE
        return not self.counts(run), not done, value is None, 0.0 if value is None else self.rank(value)


def judge(runs: Sequence[Run], metric: str | None = None, mode: str | None = None) -> Judge:
    """Return what the runs are judged by: the `metric` that is asked for, else what most of them have as objective.

    Raises:
        UserError: no run has such a metric, or nobody says where it should go.
    """
    declared = Counter((run.metric, run.mode) for run in runs if run.metric and run.mode)
    if metric is None:
        if not declared:
            return Judge("objective", mode or "min")  # no run has a value yet
        (found, direction), _ = declared.most_common(1)[0]
        return Judge(str(found), mode or str(direction))
    known = {name for run in runs for name in run.values()}
    if metric not in known:
        raise UserError(f"no run has the metric {metric}{did_you_mean(metric, sorted(known))}")
    return Judge(metric, mode or _direction(metric, [(str(name), str(way)) for name, way in declared]))


def _direction(metric: str, declared: Sequence[tuple[str, str]]) -> str:
    """Return the direction of an objective that is called the same in another part of the data; a loss goes down."""
    for name, way in declared:
        if name.rpartition("/")[2] == metric.rpartition("/")[2]:
            return way
    if metric.endswith("loss"):
        return "min"
    raise UserError(f"nobody says where {metric} should go; add --mode max or --mode min.")
