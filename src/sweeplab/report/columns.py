"""The columns of the page's table; those of the keys are the axes of its plots too."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

from sweeplab.compare.comparison import Comparison
from sweeplab.records.names import short_keys
from sweeplab.records.record import Status
from sweeplab.records.run import Run
from sweeplab.records.study import Axis, Study
from sweeplab.report.plain import Plain, is_number, number, setting

FACTS = ("run", "status", "seconds", "started", "folder")


@dataclass
class Column:
    """A column: what it holds of each run, by `key`; `label` is its short word.

    One of a key that varies is an axis: of numbers from `low` to `high`, or of `choices`.
    """

    role: Literal["run", "status", "objective", "test", "key", "seed", "seconds", "started"]
    key: str
    label: str
    cells: list[Plain]
    mode: str | None = None
    log: bool = False
    low: float | None = None
    high: float | None = None
    choices: list[str] | None = None
    values: list[Any] = field(default_factory=list)

    @property
    def numeric(self) -> bool:
        """Whether it is an axis of numbers."""
        return self.choices is None

    def described(self) -> dict[str, Any]:
        """Return what the page is told, but for the cells."""
        told = {"role": self.role, "key": self.key, "label": self.label, "mode": self.mode, "choices": self.choices}
        axis = {"log": self.log, "low": number(self.low), "high": number(self.high)} if self.role == "key" else {}
        return {name: value for name, value in (told | axis).items() if value is not None}


def columns(comparison: Comparison, objectives: Sequence[tuple[str, str]], study: Study | None) -> list[Column]:
    """Return all columns, in the order of the table."""
    runs = comparison.runs
    searched = [key for key in (study.axes if study else ()) if any(key in run.settings for run in runs)]
    keys = list(dict.fromkeys([*searched, *comparison.varied]))
    labels = short_keys(keys, taken=(*FACTS, *(metric for metric, _ in objectives)))
    values = [run.values() for run in runs]
    found = [
        Column("run", "run", "run", list(_names(runs))),
        Column("status", "status", "status", [str(run.status) for run in runs]),
    ]
    for metric, mode in objectives:
        found.append(Column("objective", metric, metric, [number(own.get(metric)) for own in values], mode))
    for metric in comparison.tests:
        cells: list[Plain] = [number(own.get(metric)) for own in values]
        found.append(Column("test", metric, metric, cells, _direction(metric, objectives)))
    for key in keys:
        own = [run.settings.get(key, _ABSENT) for run in runs]
        axis = study.axes.get(key) if study else None
        role: Literal["seed", "key"] = "seed" if key in comparison.seed_keys else "key"
        found.append(_axis(role, key, labels[key], own, _weighty(own, runs), axis))
    found.append(Column("seconds", "seconds", "seconds", [number(run.seconds) for run in runs]))
    found.append(Column("started", "started", "started", [str(run.facts["started"])[:19] for run in runs]))
    return found


_ABSENT: Any = object()  # null is a value


def _weighty(values: list[Any], runs: Sequence[Run]) -> list[Any]:
    """Return the values that say what kind a key is: those of complete runs where there are any."""
    complete = [v for v, run in zip(values, runs, strict=True) if run.status is Status.COMPLETE and v is not _ABSENT]
    return complete or [value for value in values if value is not _ABSENT]


def _axis(
    role: Literal["seed", "key"], key: str, label: str, values: list[Any], weighty: list[Any], axis: Axis | None
) -> Column:
    cells = [None if value is _ABSENT else setting(value) for value in values]
    column = Column(role, key, label, cells, values=values)
    numbers = [value for value in values if is_number(value)]
    if numbers and all(isinstance(value, int | float) and not isinstance(value, bool) for value in weighty):
        bounds = [axis.low, axis.high] if axis and axis.low is not None and axis.high is not None else []
        column.low, column.high = min([*numbers, *bounds]), max([*numbers, *bounds])
        column.log = axis.log if axis and axis.choices is None else _looks_logarithmic(numbers)
        column.log = column.log and column.low > 0
    else:
        chosen = [str(setting(choice)) for choice in (axis.choices if axis and axis.choices else ())]
        seen = sorted({str(cell) for cell in cells if cell is not None})
        column.choices = list(dict.fromkeys([*(c for c in chosen if c in seen), *seen]))
    return column


def _direction(metric: str, objectives: Sequence[tuple[str, str]]) -> str | None:
    """Return where a metric of the test should go, if an objective of its name says so."""
    return {name.rpartition("/")[2]: mode for name, mode in objectives}.get(metric.rpartition("/")[2])


def _looks_logarithmic(values: Iterable[float]) -> bool:
    """Say whether numbers that nobody describes lie more evenly on a logarithmic axis."""
    distinct = sorted(set(values))
    low, high = distinct[0], distinct[-1]
    if low <= 0 or len(distinct) < 3 or high / low < 8:
        return False
    return bool(median(distinct) < ((low * high) ** 0.5 + (low + high) / 2) / 2)


def _names(runs: Sequence[Run]) -> Iterable[str]:
    """Name each run, without the study's name where all are of the same."""
    names = [run.name for run in runs]
    shared = {name.partition("/")[0] for name in names}
    alike = len(shared) == 1 and all(run.number is not None for run in runs)
    return (name.partition("/")[2] if alike else name for name in names)
