"""The columns of the page's table; those of the keys are the axes of its plots too."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

from sweeplab.compare.comparison import Comparison, mode_of
from sweeplab.records.names import short_keys
from sweeplab.records.record import Status
from sweeplab.records.run import Run
from sweeplab.records.study import Axis, Study

TAKEN = ("run", "status", "tags", "seconds", "started", "folder")
ABSENT: Any = object()  # null is a value
Plain = float | int | str | None


@dataclass
class Column:
    """A column: what it holds of each run, by `key`; `label` is its short word.

    One of a key that varies is an axis: of numbers from `low` to `high`, or of `choices`; `values` are the settings
    that its cells are made of.
    """

    role: Literal["run", "status", "tags", "objective", "test", "key", "seed", "seconds", "started"]
    key: str
    label: str
    cells: Sequence[Plain]
    mode: str | None = None
    log: bool = False
    low: float | None = None
    high: float | None = None
    choices: list[str] | None = None
    values: Sequence[Any] = field(default_factory=list)

    def described(self) -> dict[str, Any]:
        """Return what the page is told, but for the cells."""
        facts = {"role": self.role, "key": self.key, "label": self.label, "mode": self.mode, "log": self.log}
        axis = {"low": json_number(self.low), "high": json_number(self.high), "choices": self.choices}
        return {name: value for name, value in (facts | axis).items() if value is not None}


def columns(comparison: Comparison, study: Study | None) -> list[Column]:
    """Return all columns, in the order of the table."""
    runs, objectives = comparison.runs, comparison.objectives
    axes = study.axes if study else {}
    keys = list(dict.fromkeys([*(key for key in axes if any(key in run.settings for run in runs)), *comparison.varied]))
    labels = short_keys(keys, taken=(*TAKEN, *(objective.metric for objective in objectives)))
    values = [run.values() for run in runs]
    tags = [", ".join(run.tags) or None for run in runs]

    def measured(metric: str) -> list[Plain]:
        return [json_number(each.get(metric)) for each in values]

    return [
        Column("run", "run", "run", _names(runs)),
        Column("status", "status", "status", [str(run.status) for run in runs]),
        *([Column("tags", "tags", "tags", tags)] if any(tags) else []),
        *(Column("objective", o.metric, o.metric, measured(o.metric), o.mode) for o in objectives),
        *(Column("test", name, name, measured(name), mode_of(name, objectives)) for name in comparison.tests),
        *(
            _setting("seed" if key in comparison.seed_keys else "key", key, labels[key], runs, axes.get(key))
            for key in keys
        ),
        Column("seconds", "seconds", "seconds", [json_number(run.seconds) for run in runs]),
        Column("started", "started", "started", [str(run.facts["started"])[:19] for run in runs]),
    ]


def _setting(role: Literal["seed", "key"], key: str, label: str, runs: Sequence[Run], axis: Axis | None) -> Column:
    values = [run.settings.get(key, ABSENT) for run in runs]
    cells = [None if value is ABSENT else json_setting(value) for value in values]
    column = Column(role, key, label, cells, values=values)
    numbers = [value for value in values if is_number(value)]
    # Complete runs say what kind a key is, where there are any: others may have failed by a value of the wrong kind.
    complete = [run.settings[key] for run in runs if key in run.settings and run.status is Status.COMPLETE]
    telling = complete or [value for value in values if value is not ABSENT]
    if numbers and all(isinstance(value, int | float) and not isinstance(value, bool) for value in telling):
        bounds = [axis.low, axis.high] if axis and axis.low is not None and axis.high is not None else []
        column.low, column.high = min([*numbers, *bounds]), max([*numbers, *bounds])
        column.log = axis.log if axis and axis.choices is None else _looks_logarithmic(numbers)
        column.log = column.log and column.low > 0
    else:
        present = sorted({str(cell) for cell in cells if cell is not None})
        ordered = [str(json_setting(choice)) for choice in (axis.choices if axis and axis.choices else ())]
        column.choices = list(dict.fromkeys([*(choice for choice in ordered if choice in present), *present]))
    return column


def _looks_logarithmic(values: Iterable[float]) -> bool:
    """Say whether numbers that nobody describes lie more evenly on a logarithmic axis."""
    distinct = sorted(set(values))
    low, high = distinct[0], distinct[-1]
    if low <= 0 or len(distinct) < 3 or high / low < 8:
        return False
    return bool(median(distinct) < ((low * high) ** 0.5 + (low + high) / 2) / 2)


def _names(runs: Sequence[Run]) -> list[str]:
    """Name each run, without the study's name where all are of the same."""
    names = [run.name for run in runs]
    of_one_study = len({name.partition("/")[0] for name in names}) == 1 and all(run.number is not None for run in runs)
    return [name.partition("/")[2] for name in names] if of_one_study else names


def json_number(value: float | None) -> float | int | None:
    """Return a number to six digits, None where it is not finite: what the page takes, in few characters."""
    if value is None or not math.isfinite(value):
        return None
    if isinstance(value, int):
        return value
    rounded = float(f"{value:.6g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def json_setting(value: Any) -> Plain:
    """Return a setting: a number, or the word that YAML has for it."""
    if is_number(value):
        return json_number(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, list | dict) else str(value)


def is_number(value: Any) -> bool:
    """Say whether a value can stand on an axis of numbers."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
