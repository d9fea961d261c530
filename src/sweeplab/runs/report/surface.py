"""The objective over two keys, between the trials that there are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeplab.runs.report.columns import Column
from sweeplab.runs.report.plain import number

CELLS = 40  # of the grid, along each key
FEWEST = 5  # trials


def surface(x: Column, y: Column, places: Sequence[int], values: Sequence[float]) -> dict[str, Any] | None:
    """Interpolate linearly between runs at `places` of the columns; nothing outside their hull, None for too few."""
    from scipy.interpolate import griddata
    from scipy.spatial import QhullError

    points = np.array([[_unit(x, x.values[place]), _unit(y, y.values[place])] for place in places])
    if len(points) < FEWEST:
        return None
    points, values_at = _one_each(points, np.array(values))
    side = np.linspace(0, 1, CELLS)
    try:
        grid = griddata(points, values_at, tuple(np.meshgrid(side, side)), method="linear")
    except (QhullError, ValueError):  # all on one line
        return None
    return {
        "xs": [number(_back(x, at)) for at in side],
        "ys": [number(_back(y, at)) for at in side],
        "zs": [[number(float(f"{value:.4g}")) for value in row] for row in grid],
    }


def _one_each(points: NDArray[Any], values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Take the mean of runs at the same point."""
    distinct, places = np.unique(points, axis=0, return_inverse=True)
    places = places.reshape(-1)
    return distinct, np.bincount(places, weights=values) / np.bincount(places)


def _unit(column: Column, value: float) -> float:
    assert column.low is not None
    assert column.high is not None
    low, high, at = (float(np.log(v)) if column.log else v for v in (column.low, column.high, value))
    return (at - low) / (high - low)


def _back(column: Column, at: float) -> float:
    assert column.low is not None
    assert column.high is not None
    if column.log:
        return float(column.low * (column.high / column.low) ** at)
    return float(column.low + (column.high - column.low) * at)
