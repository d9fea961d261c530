"""What Lightning promises to a module and to callbacks stays true."""

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

import sweeplab
from sweeplab.records.record import read
from tests.conftest import Compose
from tests.foreign.template import LitModule
from tests.training import evaluate, run

EMA = ("+callbacks.ema._target_=lightning.pytorch.callbacks.EMAWeightAveraging", "+callbacks.ema.decay=0.9")


class Look(Callback):
    """Looks at the weights that are tested."""

    seen: ClassVar[list[Tensor]] = []

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.seen.append(pl_module.state_dict()["net.model.0.weight"].clone())


class Transfers(LitModule):
    """Notes which hooks around the transfer of a batch, a tuple, were called."""

    called: ClassVar[set[str]] = set()

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        self.called.add("before")
        return tuple(batch)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        self.called.add("transfer")
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        assert isinstance(batch, tuple)
        self.called.add("after")
        return batch

    def on_before_zero_grad(self, optimizer: torch.optim.Optimizer) -> None:
        self.called.add("zero_grad")


@pytest.mark.filterwarnings("ignore:You have overridden")  # Lightning's word on a data module beside such a module
@pytest.mark.parametrize("trainer", ["lightning.pytorch.Trainer", "sweeplab.trainers.LeanTrainer"])
def test_hooks_that_a_module_has_are_called(foreign: Compose, trainer: str) -> None:
    Transfers.called.clear()
    run(foreign("template", "model._target_=tests.foreign.test_hooks.Transfers", f"trainer._target_={trainer}"))
    assert Transfers.called == {"before", "transfer", "after", "zero_grad"}


def test_averaged_weights_are_tested_as_they_were_validated(foreign: Compose) -> None:
    config = foreign("template", *EMA, "trainer.max_epochs=4")
    run(config)
    folder = Path(config.folder)
    facts = read(folder)
    tested = json.loads(evaluate(folder, "test").read_text())["test/acc"]
    assert facts["metrics"]["test/acc"] == pytest.approx(tested)
    validated = json.loads(evaluate(folder, "validate").read_text())["val/acc"]
    assert validated == pytest.approx(facts["objective"]["value"])
    content = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    averaged, current = (content[key]["net.model.0.weight"] for key in ("state_dict", "current_model_state"))
    assert not torch.equal(averaged, current)
    assert torch.equal(sweeplab.load_model(folder).state_dict()["net.model.0.weight"], averaged)


def test_the_test_of_a_training_has_the_averaged_weights(foreign: Compose) -> None:
    Look.seen.clear()
    config = foreign("template", *EMA, "+callbacks.look._target_=tests.foreign.test_hooks.Look")
    run(config)
    weights = torch.load(Path(config.folder) / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert torch.equal(Look.seen[0], weights["net.model.0.weight"])
