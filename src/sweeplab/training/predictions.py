"""What a model predicts, as files: a table with a row a sample, arrays for the rest."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from sweeplab.records.files import cells, write_text, written_whole
from sweeplab.records.layout import EvaluationFile

MAX_COLUMNS = 256  # columns that one output becomes in a table
VALUE = "value"  # what an output without a name is called
Predictions = dict[str, Any]


def gathered(batches: Sequence[Any], loaders: int = 1) -> Predictions:
    """Return the outputs of `predict_step` of all batches as one, by name.

    Tensors of several batches are joined along their first axis where they can be, else left as a list; so are lists
    and texts. With several loaders there is a list of batches for each, and the outputs of the second have names that
    end in `_1`, and so on.
    """
    if loaders > 1:
        named = [(f"_{number}" if number else "", gathered(each)) for number, each in enumerate(batches)]
        return {f"{name}{end}": value for end, outputs in named for name, value in outputs.items()}
    parts: dict[str, list[Any]] = {}
    for batch in batches:
        for name, value in _named(batch).items():
            parts.setdefault(name, []).append(value)
    return {name: _joined(values) for name, values in parts.items()}


def averaged(members: Sequence[Predictions]) -> tuple[Predictions, list[str]]:
    """Return the mean of several models' predictions, and the names of what has no mean: that of the first stays.

    Numbers that are the same everywhere, such as labels, stay what they are.
    """
    means, not_averaged = {}, []
    for name, first in members[0].items():
        values = [member.get(name) for member in members]
        if all(isinstance(v, Tensor) and v.is_floating_point() and v.shape == first.shape for v in values):
            means[name] = torch.stack(values).mean(dim=0)  # type: ignore[arg-type]  # all tensors, as was just seen
            continue
        means[name] = first
        if not all(_same(first, value) for value in values):
            not_averaged.append(name)
    return means, not_averaged


def write_predictions(folder: Path, predictions: Predictions, model: LightningModule | None = None) -> Path:
    """Write `predictions.csv`, a row a sample, and `predictions.npz` for what has no row; return the first written.

    A method `prediction_columns(predictions)` of the model says what the columns are.
    """
    columns_of = getattr(model, "prediction_columns", None)
    columns = dict(columns_of(predictions)) if columns_of else predictions
    flat: dict[str, list[Any]] = {}
    arrays: dict[str, Any] = {}
    for name, value in columns.items():
        as_columns = _columns(name, value)
        (flat if as_columns else arrays).update(as_columns or {name: value})
    lengths = {len(column) for column in flat.values()}
    if len(lengths) > 1:  # not a row a sample
        arrays, flat = dict(columns), {}
    written = [_write_table(folder / EvaluationFile.PREDICTIONS, flat)] if flat else []
    if arrays:
        written.append(_write_arrays(folder, arrays))
    return written[0] if written else _write_table(folder / EvaluationFile.PREDICTIONS, {})


def _named(output: Any) -> dict[str, Any]:
    if isinstance(output, Mapping):
        return {str(name): value for name, value in output.items()}
    if isinstance(output, tuple):
        fields = getattr(output, "_fields", [f"{VALUE}{number}" for number in range(len(output))])
        return dict(zip(fields, output, strict=True))
    return {} if output is None else {VALUE: output}


def _joined(values: Sequence[Any]) -> Any:
    if all(isinstance(value, Tensor) for value in values):
        values = [value.detach().cpu() for value in values]
        if all(value.dim() and value.shape[1:] == values[0].shape[1:] for value in values):
            return torch.cat(list(values))
        return torch.stack(list(values)) if all(value.dim() == 0 for value in values) else list(values)
    return [item for value in values for item in (value if isinstance(value, list | tuple) else [value])]


def _columns(name: str, value: Any) -> dict[str, list[Any]]:
    """Return the columns of an output; none where it has no number, or row of numbers, a sample."""
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        if value.dim() == 1:
            return {name: value.tolist()}
        if value.dim() == 2 and value.shape[1] <= MAX_COLUMNS:
            return {f"{name}_{number}": value[:, number].tolist() for number in range(value.shape[1])}
        return {}
    if isinstance(value, list) and all(isinstance(item, bool | int | float | str) for item in value):
        return {name: value}
    return {}


def _write_table(path: Path, columns: Mapping[str, Sequence[Any]]) -> Path:
    with written_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(cells(["sample", *columns]))
        rows = zip(*columns.values(), strict=True)
        writer.writerows(cells([number, *map(_cell, row)]) for number, row in enumerate(rows))
    return path


def _cell(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def _write_arrays(folder: Path, outputs: Mapping[str, Any]) -> Path:
    """Write tensors to `predictions.npz`, one that differ in shape under numbered names; other things to JSON."""
    arrays: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, value in outputs.items():
        if isinstance(value, Tensor):
            arrays[name] = _array(value)
        elif isinstance(value, list) and value and all(isinstance(item, Tensor) for item in value):
            arrays |= {f"{name}_{number}": _array(item) for number, item in enumerate(value)}
        else:
            rest[name] = value
    if rest:
        write_text(folder / EvaluationFile.NESTED, json.dumps(rest, indent=2, default=_plain) + "\n")
    if not arrays:
        return folder / EvaluationFile.NESTED
    path = folder / EvaluationFile.ARRAYS
    with written_whole(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)
    return path


def _array(value: Tensor) -> Any:
    value = value.detach().cpu()
    return (value.float() if value.dtype is torch.bfloat16 else value).numpy()  # numpy has no bfloat16


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and bool((one == other).all())
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other) if type(one) is type(other) else False
