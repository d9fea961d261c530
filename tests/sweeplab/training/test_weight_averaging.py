import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.demos.boring_classes import BoringModel
from torch import Tensor

from sweeplab.callbacks import StochasticWeightAveraging
from sweeplab.errors import UserError
from sweeplab.records.record import read
from tests.conftest import Compose
from tests.training import evaluate, run

QUIET = ("callbacks.progress=null", "callbacks.summary=null")


class Weights(Callback):
    """Notes the weights behind each step, and those of each validation."""

    def __init__(self) -> None:
        self.steps: list[Tensor] = []
        self.validations: list[Tensor] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        self.steps.append(pl_module.layer.weight.detach().clone())  # type: ignore[union-attr,operator]  # a Linear

    def on_validation_batch_start(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        self.validations.append(pl_module.layer.weight.detach().clone())  # type: ignore[union-attr,operator]  # a Linear


def trainer(folder: Path, *callbacks: Callback, **more: Any) -> Trainer:
    return Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        callbacks=list(callbacks),
        limit_train_batches=5,
        limit_val_batches=1,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        **more,
    )


def test_the_mean_begins_late_and_is_validated_from_then_on(tmp_path: Path) -> None:
    weights, model = Weights(), BoringModel()
    trainer(tmp_path, StochasticWeightAveraging(start=0.5), weights, max_epochs=4).fit(model)
    current, before_it = weights.validations[:2], (weights.steps[4], weights.steps[9])
    assert all(torch.equal(one, other) for one, other in zip(current, before_it, strict=True))
    torch.testing.assert_close(weights.validations[2], torch.stack(weights.steps[10:15]).mean(0))
    torch.testing.assert_close(weights.validations[3], torch.stack(weights.steps[10:]).mean(0))
    assert torch.equal(model.layer.weight, weights.validations[3])


def test_a_training_without_an_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^averaging must know when training ends"):
        trainer(tmp_path, StochasticWeightAveraging(), max_epochs=-1).fit(BoringModel())


def test_a_start_outside_the_training_is_refused() -> None:
    with pytest.raises(UserError, match=r"^start=5 must be a share of the training"):
        StochasticWeightAveraging(5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ema", "swa"])
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_presets_test_and_save_what_was_validated(configured: Compose, name: str, model: str) -> None:
    config = configured(f"callbacks=[default,{name}]", f"model={model}", "trainer.max_epochs=4", *QUIET)
    run(config)
    folder = Path(config.folder)
    facts = read(folder)
    assert json.loads(evaluate(folder, "validate").read_text())["val/acc"] == facts["objective"]["value"]
    assert json.loads(evaluate(folder, "test").read_text())["test/acc"] == facts["metrics"]["test/acc"]


def test_an_average_that_nobody_tests_is_told_of(configured: Compose, caplog: pytest.LogCaptureFixture) -> None:
    swa = "+callbacks.swa={_target_: lightning.pytorch.callbacks.StochasticWeightAveraging, swa_lrs: 0.01}"
    with caplog.at_level(logging.WARNING, "sweeplab"):
        run(configured(swa, "trainer.max_epochs=1"))
    assert "callbacks=[default,swa]" in caplog.text
