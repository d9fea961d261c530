"""`metrics.csv`: what a run logged on its way, one row for whatever was logged together."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeplab.errors import UserError, did_you_mean
from sweeplab.records.files import read_text
from sweeplab.records.layout import RunFile

STEP = "step"
LAST_STEP = 2**62
MAX_METRICS_BYTES = 2**31  # of a metrics.csv that is read

Column = NDArray[np.float64]
Steps = NDArray[np.int64]


def columns(folder: Path) -> dict[str, Column]:
    """Return the columns of the run in `folder` by their names; NaN where a row has nothing.

    A last row that is being written now, or was cut, is left out.

    Raises:
        UserError: there is no such file, or something in it is not a number.
    """
    path = folder / RunFile.METRICS
    try:
        text = read_text(path, MAX_METRICS_BYTES)
    except FileNotFoundError:
        why = "it logged nothing yet, or was trained without logger=csv"
        raise UserError(f"{folder} has no {path.name}: {why}.") from None
    rows = csv.reader(io.StringIO(text[: text.rfind("\n") + 1]))
    try:
        header = next(rows, None)
        if header is None:
            return {}
        if STEP not in header:
            raise UserError(f"{path} has no column {STEP}: no run of this project wrote it.")
        numbers = [[float(cell) if cell else np.nan for cell in row] for row in rows if row]
        table = np.array(numbers).reshape(len(numbers), len(header))
    except UserError:
        raise
    except (ValueError, csv.Error) as error:
        raise UserError(f"{path} is broken: {error}.") from error
    if not (np.abs(table[:, header.index(STEP)]) < LAST_STEP).all():
        raise UserError(f"{path} is broken: a {STEP} is not a whole number.")
    return {name: table[:, number] for number, name in enumerate(header)}


def curve(logged: Mapping[str, Column], name: str) -> tuple[Steps, Column]:
    """Return the steps at which a metric was logged, and its values there.

    Where a run was resumed and came to a step twice, the later value counts.

    Raises:
        UserError: it was never logged.
    """
    if name not in logged:
        raise UserError(f"{name} was not logged{did_you_mean(name, logged)}")
    values = logged[name]
    given = ~np.isnan(values)
    steps = logged[STEP][given].astype(np.int64)
    # Of equal ones `unique` names the first, which backwards is the last.
    steps, last = np.unique(steps[::-1], return_index=True)
    return steps, values[given][::-1][last]
