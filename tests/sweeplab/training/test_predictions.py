import csv
import json
from collections import namedtuple
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from sweeplab.training.predictions import averaged, gathered, write_predictions

A, B = torch.arange(3.0), torch.arange(3.0, 5.0)
Pair = namedtuple("Pair", ["near", "far"])


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        ([A, B], {"value": [0, 1, 2, 3, 4]}),
        ([{"p": A}, {"p": B}], {"p": [0, 1, 2, 3, 4]}),
        ([(A, B), (B, A)], {"value0": [0, 1, 2, 3, 4], "value1": [3, 4, 0, 1, 2]}),
        ([Pair(A, B), Pair(B, A)], {"near": [0, 1, 2, 3, 4], "far": [3, 4, 0, 1, 2]}),
        ([A.sum(), B.sum()], {"value": [3, 7]}),
        ([["a", "b"], ["c"]], {"value": ["a", "b", "c"]}),
        ([{"text": "a"}, {"text": "b"}], {"text": ["a", "b"]}),
        ([None, None], {}),
        ([], {}),
    ],
)
def test_batches_become_one(batches: list[Any], expected: dict[str, list[Any]]) -> None:
    found = gathered(batches)
    assert {name: value.tolist() if isinstance(value, Tensor) else value for name, value in found.items()} == expected


def test_the_outputs_of_several_loaders_have_names_of_their_own() -> None:
    found = gathered([[{"p": A}, {"p": B}], [{"p": B}]], loaders=2)
    assert {name: value.tolist() for name, value in found.items()} == {"p": [0, 1, 2, 3, 4], "p_1": [3, 4]}


def test_a_list_of_tensors_is_the_output_of_a_batch_and_not_of_a_loader() -> None:
    assert [value.tolist() for value in gathered([[A, B], [A, B]])["value"]] == [[0, 1, 2], [3, 4], [0, 1, 2], [3, 4]]


def test_what_cannot_be_joined_is_a_list() -> None:
    found = gathered([torch.zeros(2, 5), torch.zeros(2, 7)])["value"]
    assert [tuple(each.shape) for each in found] == [(2, 5), (2, 7)]


def test_the_mean_of_several_leaves_what_has_none() -> None:
    first = {"p": A, "label": torch.tensor([1, 2, 3]), "text": ["a", "b", "c"], "own": A, "shape": A}
    second = {"p": A + 2, "label": torch.tensor([1, 2, 3]), "text": ["a", "b", "d"], "shape": B}
    mean, left = averaged([first, second])
    assert mean["p"].tolist() == [1, 2, 3]
    assert mean["label"].tolist() == [1, 2, 3]
    assert mean["text"] == ["a", "b", "c"]
    assert left == ["text", "own", "shape"]


def test_arrays_of_numpy_that_are_the_same_everywhere_stay() -> None:
    same = {"ids": [np.array([1, 2]), np.array([3, 4])]}
    assert averaged([same, {"ids": [ids.copy() for ids in same["ids"]]}]) == (same, [])
    assert averaged([same, {"ids": [np.array([1, 2]), np.array([3, 5])]}]) == (same, ["ids"])


def test_a_number_or_a_row_of_numbers_a_sample_is_a_table(tmp_path: Path) -> None:
    outputs = {"value": A / 3, "pair": torch.tensor([[1, 2], [3, 4], [5, 6]]), "name": ["x", "y, z", "ü"]}
    written = write_predictions(tmp_path, outputs)
    assert written == tmp_path / "predictions.csv"
    assert table(written) == [
        {"sample": "0", "value": "0", "pair_0": "1", "pair_1": "2", "name": "x"},
        {"sample": "1", "value": "0.333333", "pair_0": "3", "pair_1": "4", "name": "y, z"},
        {"sample": "2", "value": "0.666667", "pair_0": "5", "pair_1": "6", "name": "ü"},
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.csv"]


def test_what_has_no_column_is_an_array_beside_the_table(tmp_path: Path) -> None:
    outputs = {"value": A, "image": torch.ones(3, 2, 2), "wide": torch.ones(3, 257)}
    assert write_predictions(tmp_path, outputs).name == "predictions.csv"
    assert list(table(tmp_path / "predictions.csv")[0]) == ["sample", "value"]
    arrays = np.load(tmp_path / "predictions.npz")
    assert {name: arrays[name].shape for name in arrays} == {"image": (3, 2, 2), "wide": (3, 257)}


def test_outputs_of_several_lengths_are_arrays(tmp_path: Path) -> None:
    outputs = {"value": A, "value_1": B, "name": ["x"], "parts": [torch.ones(1), torch.ones(2)]}
    written = write_predictions(tmp_path, outputs)
    assert written == tmp_path / "predictions.npz"
    arrays = np.load(written)
    assert {name: arrays[name].shape for name in arrays} == {
        "value": (3,),
        "value_1": (2,),
        "parts_0": (1,),
        "parts_1": (2,),
    }
    assert json.loads((tmp_path / "predictions.json").read_text()) == {"name": ["x"]}


def test_other_things_are_json(tmp_path: Path) -> None:
    written = write_predictions(tmp_path, {"boxes": [{"at": A, "of": Path("a")}]})
    assert written == tmp_path / "predictions.json"
    assert json.loads(written.read_text()) == {"boxes": [{"at": [0, 1, 2], "of": "a"}]}


def test_half_precision_is_written(tmp_path: Path) -> None:
    outputs = {"value": A.bfloat16(), "image": torch.full((3, 2, 2), 0.5, dtype=torch.bfloat16)}
    write_predictions(tmp_path, {**outputs, "parts": [A.bfloat16(), B.bfloat16()]})
    assert [row["value"] for row in table(tmp_path / "predictions.csv")] == ["0", "1", "2"]
    arrays = np.load(tmp_path / "predictions.npz")
    assert {name: float(arrays[name].max()) for name in arrays} == {"image": 0.5, "parts_0": 2, "parts_1": 4}


def test_a_model_says_what_its_columns_are(tmp_path: Path) -> None:
    class Named(LightningModule):
        def prediction_columns(self, predictions: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {"best": predictions["p"].argmax(dim=1)}

    written = write_predictions(tmp_path, {"p": torch.eye(2)}, Named())
    assert table(written) == [{"sample": "0", "best": "0"}, {"sample": "1", "best": "1"}]


def test_no_predictions_are_an_empty_table(tmp_path: Path) -> None:
    assert table(write_predictions(tmp_path, {})) == []
