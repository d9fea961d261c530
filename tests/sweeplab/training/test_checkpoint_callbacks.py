"""A checkpoint is plain data, whatever hyperparameters its module and its data keep."""

from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.demos.boring_classes import BoringDataModule, BoringModel
from omegaconf import OmegaConf
from torch import Tensor, nn

from sweeplab.errors import UserError
from sweeplab.training.checkpoint_callbacks import CheckpointContents, plain_items
from sweeplab.training.model import DESCRIPTION
from tests.conftest import Compose
from tests.training import resume, run

QUIET: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
SHORT: dict[str, Any] = {"accelerator": "cpu", "max_epochs": 1, "limit_train_batches": 1, "limit_val_batches": 0}


class Module(BoringModel):
    def __init__(self, net: nn.Module, optimizer: Any, width: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.save_hyperparameters()


class Data(BoringDataModule):
    def __init__(self, transform: Any, batch_size: int) -> None:
        super().__init__()
        self.save_hyperparameters()


def saved(folder: Path, description: dict[str, Any] | None) -> dict[str, Any]:
    """What a checkpoint holds, loaded as a stranger's file is."""
    trainer = Trainer(default_root_dir=folder, callbacks=[CheckpointContents(description)], **QUIET, **SHORT)
    trainer.fit(Module(nn.Linear(2, 2), partial(torch.optim.Adam, lr=0.1), 3, (4, 5)), Data(nn.Identity(), 8))
    trainer.save_checkpoint(folder / "last.ckpt")
    content: dict[str, Any] = torch.load(folder / "last.ckpt", weights_only=True)
    return content


@pytest.mark.filterwarnings("ignore:Attribute 'net' is an instance of", "ignore:Attribute 'transform' is an instance")
def test_hyperparameters_that_are_objects_are_left_out(tmp_path: Path) -> None:
    content = saved(tmp_path, {"_target_": "somebody.Module", "width": 3})
    assert content["hyper_parameters"] == {"width": 3, "sizes": (4, 5)}
    assert content["datamodule_hyper_parameters"] == {"batch_size": 8}
    assert content[DESCRIPTION] == {"_target_": "somebody.Module", "width": 3}


@pytest.mark.filterwarnings("ignore:Attribute 'net' is an instance of", "ignore:Attribute 'transform' is an instance")
def test_without_a_description_none_is_written(tmp_path: Path) -> None:
    content = saved(tmp_path, None)
    assert DESCRIPTION not in content
    assert content["hyper_parameters"] == {"width": 3, "sizes": (4, 5)}


class Text(str):
    """A text of a class of its own, which a checkpoint would have to import."""


@pytest.mark.parametrize(
    "value",
    [nn.ReLU(), nn.ReLU, len, Path("x"), Text("x"), [1, nn.ReLU()], {"a": {"b": Path("x")}}, OrderedDict(a=1)],
    ids=["module", "class", "function", "path", "subclass", "in a list", "in a dict in a dict", "another mapping"],
)
def test_an_object_is_left_out_wherever_it_stands(value: Any) -> None:
    assert plain_items({"object": value, "width": 3}) == {"width": 3}


@pytest.mark.parametrize(
    "value",
    [True, 1, 0.5, 1j, "x", b"x", None, [1, (2, {"a": {3}})], torch.float16, torch.device("cpu"), torch.Size([1, 2])],
    ids=str,
)
def test_plain_data_is_kept_and_loads_again(value: Any, tmp_path: Path) -> None:
    torch.save(plain_items({"value": value}), tmp_path / "file")
    assert torch.load(tmp_path / "file", weights_only=True) == {"value": value}


def test_tensors_are_plain_data() -> None:
    weights = torch.tensor([1.0, 2.0])
    kept: Tensor = plain_items({"class_weights": weights})["class_weights"]
    assert torch.equal(kept, weights)


def test_a_configuration_becomes_a_dict_with_its_values() -> None:
    config = OmegaConf.create({"width": 3, "twice": {"width": "${width}"}})
    items = plain_items(config)
    assert items == {"width": 3, "twice": {"width": 3}}
    assert type(items["twice"]) is dict


def test_lightnings_own_key_of_the_class_of_hyperparameters_is_left_out(tmp_path: Path) -> None:
    checkpoint: dict[str, Any] = {LightningModule.CHECKPOINT_HYPER_PARAMS_TYPE: dict}
    trainer = Trainer(default_root_dir=tmp_path, accelerator="cpu", **QUIET)
    CheckpointContents(None).on_save_checkpoint(trainer, BoringModel(), checkpoint)
    assert checkpoint == {}


@pytest.mark.parametrize("name", ["{folder}/checkpoints/../../important", "memory://important"])
def test_a_checkpoint_cannot_have_files_removed_that_lie_elsewhere(
    configured: Compose, tmp_path: Path, name: str
) -> None:
    config = configured("model=linear", "trainer.max_epochs=1")
    run(config)
    folder = Path(config.folder)
    path = folder / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    (state,) = (state for state in content["callbacks"].values() if "best_k_models" in state)
    state["best_k_models"] = {name.format(folder=folder): torch.tensor(0.0)}
    torch.save(content, path)
    (tmp_path / "important").touch()
    with pytest.raises(UserError, match="important as one of its own, which it would remove"):
        resume(folder, ["trainer.max_epochs=2"])
    assert (tmp_path / "important").exists()
