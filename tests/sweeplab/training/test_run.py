import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

import sweeplab
from sweeplab.errors import UserError
from sweeplab.records.record import read
from sweeplab.training.run import Run
from tests.conftest import Compose
from tests.training import run


def same(one: nn.Module, weights: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, weights[name]) for name, value in one.state_dict().items())


@pytest.fixture
def trained(configured: Compose) -> Path:
    config = configured("model=mlp", "trainer.max_epochs=1", "seed=3", folder="first")
    run(config)
    return Path(config.folder)


def begun(config: Any, **more: Any) -> LightningModule:
    """The model of a run as its training would find it."""
    under_way = Run(config, **more)
    under_way.build("data")
    return under_way.build("model")  # type: ignore[no-any-return]  # whatever is asked for


def test_a_run_begins_with_the_weights_of_another(configured: Compose, trained: Path) -> None:
    weights = torch.load(trained / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    for source in (trained, trained / "checkpoints" / "best.ckpt"):
        config = configured("model=mlp", f"init_from={source}")
        assert same(begun(config), weights)
        last = Path(config.folder) / "checkpoints" / "last.ckpt"
        last.parent.mkdir(parents=True)
        last.touch()
        assert not same(begun(config, earlier={}), weights), "a resumed run has weights of its own"
        shutil.rmtree(last.parent)
    assert not same(begun(configured("model=mlp")), weights)


@pytest.mark.slow
def test_a_run_notes_what_it_began_with(configured: Compose, trained: Path) -> None:
    config = configured("model=mlp", "trainer.max_epochs=1", f"init_from={trained}")
    run(config)
    assert read(Path(config.folder))["init_from"] == {
        "checkpoint": str(trained / "checkpoints" / "best.ckpt"),
        "taken": len(sweeplab.load_model(trained).state_dict()),
        "fresh": [],
    }


@pytest.mark.slow
def test_weights_of_another_shape_are_left_out_if_asked(configured: Compose, trained: Path) -> None:
    wider = ("model=mlp", "model.width=50", f"init_from={trained}")
    with pytest.raises(UserError, match=r"another shape of network\.first.*; init_strict=false takes what fits\."):
        begun(configured(*wider))
    config = configured(*wider, "init_strict=false", "trainer.max_epochs=1")
    run(config)
    noted = read(Path(config.folder))["init_from"]
    assert "network.first.1.weight" in noted["fresh"]
    assert "network.head.bias" not in noted["fresh"]
    assert noted["taken"] + len(noted["fresh"]) == len(sweeplab.load_model(trained).state_dict())
