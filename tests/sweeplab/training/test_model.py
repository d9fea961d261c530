"""Models from checkpoints, whole or in part."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

import sweeplab
from sweeplab.errors import SetupError, UserError
from sweeplab.training.model import build_model, compared, load_fitting, load_weights

HERE = "tests.sweeplab.training.test_model"


class Line(LightningModule):
    """A line in the plane, or a wider one."""

    def __init__(self, width: int = 2) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(width, 3), nn.Linear(3, 1)


class Bent(Line):
    """One with a weight more."""

    def __init__(self, width: int = 2) -> None:
        super().__init__(width)
        self.bend = nn.Parameter(torch.ones(1))


WEIGHTS = Line().state_dict()


def write(path: Path, **content: Any) -> Path:
    """Write a checkpoint of a line; the content can be changed, or left out."""
    whole = {"state_dict": WEIGHTS, "model_config": {"_target_": f"{HERE}.Line"}, **content}
    torch.save({key: value for key, value in whole.items() if value is not None}, path)
    return path


def same(one: nn.Module, weights: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, weights[name]) for name, value in one.state_dict().items())


def test_a_checkpoint_says_what_it_is_of(tmp_path: Path) -> None:
    model = sweeplab.load_model(write(tmp_path / "a.ckpt"))
    assert isinstance(model, Line)
    assert same(model, WEIGHTS)
    assert not model.training


def test_another_description_takes_the_place_of_the_checkpoints_own(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ckpt", model_config={"_target_": "gone.Line", "breadth": 2})
    with pytest.raises(
        UserError, match=r"the model of .*a\.ckpt cannot be built \(.*gone.*\); .* load_model\(path, \{"
    ):
        sweeplab.load_model(path, trust=True)
    assert same(sweeplab.load_model(path, {"_target_": f"{HERE}.Line"}), WEIGHTS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"model_config": None}, r"does not name its model; .*load_from_checkpoint\('.*a\.ckpt'"),
        ({"model_config": {"_target_": f"{HERE}.Lin"}}, rf"Lin does not exist: .*; did you mean '{HERE}\.Line'"),
        ({"model_config": {"_target_": f"{HERE}.Line", "wdth": 2}}, "did you mean 'width'"),
        (
            {"model_config": {"_target_": "torch.nn.Linear", "in_features": 1, "out_features": 1}},
            "is a Linear, not a L",
        ),
        ({"model_config": {"_target_": f"{HERE}.Bent"}}, r"are not those of .*\.Bent: the file has no bend"),
        ({"state_dict": {**WEIGHTS, "more": torch.ones(1)}}, r"those of .*\.Line: the file has a more"),
        ({"model_config": {"_target_": f"{HERE}.Line", "width": 4}}, r"has another shape of layer\.weight"),
        ({"state_dict": None}, "is not a checkpoint of Lightning's: it has no state_dict"),
        ({"own": Path("a")}, r"holds an object and not plain data alone \(.*PosixPath.*\); keep objects out"),
    ],
)
def test_a_checkpoint_that_gives_no_model_says_why(tmp_path: Path, content: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        sweeplab.load_model(write(tmp_path / "a.ckpt", **content))


@pytest.mark.parametrize("damage", ["text", "cut", "empty"])
def test_a_damaged_file_is_told(tmp_path: Path, damage: str) -> None:
    path = write(tmp_path / "a.ckpt")
    whole = path.read_bytes()
    path.write_bytes({"text": b"no checkpoint\n", "cut": whole[: len(whole) // 2], "empty": b""}[damage])
    with pytest.raises(UserError, match=r"a\.ckpt"):
        sweeplab.load_model(path)


def test_where_there_is_no_checkpoint_one_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.ckpt is not a file; name a checkpoint such as"):
        sweeplab.load_model(tmp_path / "none.ckpt")
    with pytest.raises(UserError):
        sweeplab.load_model(tmp_path)  # no folder of a run


def test_a_description_must_be_of_a_lightning_module() -> None:
    with pytest.raises(SetupError, match=r"model\._target_=torch\.nn\.Identity is a Identity, not a LightningModule"):
        build_model({"_target_": "torch.nn.Identity"})


def test_names_and_shapes_are_compared() -> None:
    weights = {**WEIGHTS, "more": torch.ones(1), "head.bias": torch.ones(2)}
    assert compared(Bent(), weights) == (["bend"], ["more"], ["head.bias"])


def test_weights_that_do_not_fit_change_nothing() -> None:
    model = Line(width=4)
    before = OrderedDict((name, value.clone()) for name, value in model.state_dict().items())
    with pytest.raises(UserError, match="another shape"):
        load_weights(model, WEIGHTS, Path("a.ckpt"))
    assert same(model, before)


def test_what_fits_is_taken_and_the_rest_named() -> None:
    model = Bent(width=4)
    own = model.layer.weight.clone()
    fresh = load_fitting(model, {**WEIGHTS, "more": torch.ones(1)}, Path("a.ckpt"))
    assert fresh == ["bend", "layer.weight"]
    assert torch.equal(model.layer.weight, own)
    assert torch.equal(model.head.weight, WEIGHTS["head.weight"])
    assert torch.equal(model.layer.bias, WEIGHTS["layer.bias"])


def test_where_nothing_fits_nothing_is_taken() -> None:
    with pytest.raises(UserError, match=r"no weight in a\.ckpt fits .*\.Line"):
        load_fitting(Line(), {"other": torch.ones(1)}, Path("a.ckpt"))
