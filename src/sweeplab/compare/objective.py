"""What runs are compared by."""

from collections import Counter
from collections.abc import Sequence

from sweeplab.errors import UserError, did_you_mean
from sweeplab.records.names import without_part
from sweeplab.records.objective import Objective
from sweeplab.records.run import Run

MODES = ("min", "max")


def judge(runs: Sequence[Run], metric: str | None = None, mode: str | None = None) -> Objective:
    """Return what the runs are judged by: the `metric` that is asked for, else what most of them have as objective.

    Raises:
        UserError: no run has such a metric, or nobody says where it should go.
    """
    declared = Counter((run.metric, run.mode) for run in runs if run.metric and run.mode)
    if metric is None:
        if not declared:
            return Objective("objective", mode or "min")  # no run has a value yet
        (found, direction), _ = declared.most_common(1)[0]
        return Objective(str(found), mode or str(direction))
    known = {name for run in runs for name in run.values()}
    if metric not in known:
        raise UserError(f"no run has the metric {metric}{did_you_mean(metric, sorted(known))}")
    return Objective(metric, mode or _direction(metric, [(str(name), str(way)) for name, way in declared]))


def _direction(metric: str, declared: Sequence[tuple[str, str]]) -> str:
    """Return the direction of an objective that is called the same in another part of the data; a loss goes down."""
    for name, way in declared:
        if without_part(name) == without_part(metric):
            return way
    if metric.endswith("loss"):
        return "min"
    raise UserError(f"nobody says where {metric} should go; add --mode max or --mode min.")
