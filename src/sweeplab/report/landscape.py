"""How the keys decide the objective: how much each matters, and the objective over the two that matter most.

Optuna has plots of both, as pictures; the page filters and marks runs in its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sweeplab.compare.comparison import Comparison
from sweeplab.compare.importance import TENTH, shares
from sweeplab.report.page_columns import Column, is_number, json_number

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

CELLS = 60  # of the map's grid, along each key
MIN_RUNS = 5  # runs of a map


def landscape(comparison: Comparison, keys: Sequence[Column], one_at_a_time: bool) -> dict[str, Any]:
    """Return the importance of the keys that all complete runs have, and a map, or notes on why there is none."""
    objective = comparison.objective
    values = {  # of the runs that count, by their indices
        index: value
        for index, run in enumerate(comparison.runs)
        if objective.counts(run) and (value := objective.value(run)) is not None
    }
    usable = [column for column in keys if _varies(column, values)]
    importance: dict[str, Any] = {"shares": {}, "count": len(values), "note": ""}
    if one_at_a_time:
        importance["note"] = "Where one key is changed at a time, the table above says what each change is worth."
    elif len(usable) < 2:
        importance["note"] = "Importance takes two keys or more that all complete runs have, and that differ."
    elif len(values) < TENTH:
        importance["note"] = f"Importance takes {TENTH} complete runs; there are {len(values)}."
    else:
        importance["shares"] = _shares(usable, values, objective.direction)
        importance["note"] = "" if importance["shares"] else "The complete runs are too much alike to say what matters."
    numeric = [column for column in usable if column.choices is None]
    numeric.sort(key=lambda column: -importance["shares"].get(column.label, 0.0))
    return {"importance": importance, "surface": _surface(numeric[:2], values)}


def _varies(column: Column, indices: Iterable[int]) -> bool:
    """Say whether all these runs lie on the key's axis, and not all in the same spot."""
    cells = [column.cells[index] for index in indices]
    on_axis = all(is_number(cell) for cell in cells) if column.choices is None else None not in cells
    return on_axis and len(set(cells)) > 1


def _shares(keys: Sequence[Column], values: Mapping[int, float], direction: str) -> dict[str, float]:
    from optuna.trial import create_trial

    distributions = {column.label: _distribution(column, values) for column in keys}
    trials = [
        create_trial(
            value=value,
            params={each.label: str(each.cells[index]) if each.choices else each.values[index] for each in keys},
            distributions=distributions,
        )
        for index, value in values.items()
    ]
    return {label: float(f"{share:.4g}") for label, share in shares(trials, direction).items()}


def _distribution(column: Column, indices: Iterable[int]) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if column.choices is not None:
        return CategoricalDistribution(column.choices)
    assert column.low is not None
    assert column.high is not None
    if all(isinstance(column.values[index], int) for index in indices):
        return IntDistribution(int(column.low), int(column.high), log=column.log)
    return FloatDistribution(column.low, column.high, log=column.log)


def _surface(axes: Sequence[Column], values: Mapping[int, float]) -> dict[str, Any]:
    """Return the objective between the runs, linear over both axes as they are drawn, and empty outside their hull."""
    if len(axes) < 2:
        return {"note": "A map takes two keys of numbers that all complete runs have, and that differ."}
    too_few = {"note": f"A map takes {MIN_RUNS} complete runs that do not lie on a line; there are {len(values)}."}
    if len(values) < MIN_RUNS:
        return too_few
    from scipy.interpolate import griddata
    from scipy.spatial import QhullError

    points = np.column_stack([_scaled(axis, [axis.values[index] for index in values]) for axis in axes])
    points, groups = np.unique(points, axis=0, return_inverse=True)
    means = np.bincount(groups.ravel(), weights=list(values.values())) / np.bincount(groups.ravel())
    sides = np.linspace(points.min(axis=0), points.max(axis=0), CELLS).T
    try:
        grid = griddata(points, means, tuple(np.meshgrid(*sides)), rescale=True)
    except (QhullError, ValueError):  # all on one line
        return too_few
    xs, ys = (np.exp(side) if axis.log else side for axis, side in zip(axes, sides, strict=True))
    return {
        "x": axes[0].label,
        "y": axes[1].label,
        "xs": [json_number(x) for x in xs.tolist()],
        "ys": [json_number(y) for y in ys.tolist()],
        "zs": [[json_number(float(f"{z:.4g}")) for z in row] for row in grid.tolist()],
    }


def _scaled(axis: Column, values: Sequence[float]) -> NDArray[np.float64]:
    return np.log(values) if axis.log else np.asarray(values, dtype=float)
