"""What stands in a cell of a table."""

from typing import Any

from sweeplab.compare.fields import FACTS, Fields, when
from sweeplab.records.names import clock, short_value
from sweeplab.records.run import Run


def number(value: float | None) -> str:
    """Return a measured value: four places behind the point where it is small, counts as they are."""
    if value is None:
        return ""
    if 1e-3 <= abs(value) < 10:
        return f"{value:.4f}"
    return f"{value:.0f}" if value.is_integer() and abs(value) < 1e9 else f"{value:.4g}"


def cell(field: str, run: Run) -> str:
    """Return what a table shows of a run's field: nothing where it has none, `null` where it is set to that."""
    value = Fields.value(run, field)
    if value is None:
        return "null" if field in run.settings else ""
    if field == "seconds":
        return duration(value)
    if field == "started":
        return f"{when(run):%Y-%m-%d %H:%M}"
    return text(value) if field in FACTS or field in run.settings else number(value)


def duration(seconds: float) -> str:
    """Return a time as people say it: `4.2 s`, `3:20`, `1:02:03`."""
    return f"{seconds:.1f} s" if seconds < 60 else clock(seconds)


def text(value: Any) -> str:
    """Return a setting in few characters."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return short_value(value)


def plural(count: int, noun: str) -> str:
    """Return `1 run`, `2 runs`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def interval(low: float | None, high: float | None) -> str:
    """Return an interval; nothing where there is none."""
    return "" if low is None or high is None else f"{number(low)} to {number(high)}"
