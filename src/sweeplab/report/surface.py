"""The objective over two keys, between the trials that there are."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeplab.report.columns import Column
from sweeplab.report.plain import number

CELLS = 60  # of the grid, along each key
FEWEST = 5  # trials


def surface(x: Column, y: Column, places: Sequence[int], values: Sequence[float]) -> dict[str, Any] | None:
    """Interpolate linearly between runs at `places` of the columns; nothing outside their hull, None for too few."""
    from scipy.interpolate import griddata
    from scipy.spatial import QhullError

    if len(places) < FEWEST:
        return None
    across, up = (_Scale(column, places) for column in (x, y))
    points = np.array([[across.unit(x.values[place]), up.unit(y.values[place])] for place in places])
    points, values_at = _one_each(points, np.array(values))
    side = np.linspace(0, 1, CELLS)
    try:
        grid = griddata(points, values_at, tuple(np.meshgrid(side, side)), method="linear")
    except (QhullError, ValueError):  # all on one line
        return None
    return {
        "xs": [number(across.back(at)) for at in side],
        "ys": [number(up.back(at)) for at in side],
        "zs": [[number(float(f"{value:.4g}")) for value in row] for row in grid],
    }


def _one_each(points: NDArray[Any], values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Take the mean of runs at the same point."""
    distinct, places = np.unique(points, axis=0, return_inverse=True)
    places = places.reshape(-1)
    return distinct, np.bincount(places, weights=values) / np.bincount(places)


class _Scale:
    """From the lowest to the highest value of a key, as 0 to 1; by the logarithm where its axis is logarithmic."""

    def __init__(self, column: Column, places: Sequence[int]) -> None:
        values = [self._of(column, column.values[place]) for place in places]
        self.column, self.low, self.width = column, min(values), max(values) - min(values)

    def unit(self, value: float) -> float:
        """Return where a value stands."""
        return (self._of(self.column, value) - self.low) / self.width

    def back(self, at: float) -> float:
        """Return the value that stands there."""
        value = self.low + self.width * at
        return math.exp(value) if self.column.log else value

    @staticmethod
    def _of(column: Column, value: float) -> float:
        return math.log(value) if column.log else float(value)
