from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.demos.boring_classes import BoringModel
from torchmetrics import MeanMetric

from sweeplab.training.metric_states import RestoredMetrics, logged_states, metric_states


class Logging(BoringModel):
    """Logs one number in every step, if it has any."""

    def __init__(self, value: float | None) -> None:
        super().__init__()
        self.value = value

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        if self.value is not None:
            self.log("value", torch.tensor(self.value), on_step=False, on_epoch=True, batch_size=1)
        return super().training_step(batch, batch_idx)


class KeepLogged(Callback):
    """Keeps what a checkpoint behind the last step would have."""

    logged: dict[str, Any]

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        self.logged = logged_states(trainer)


def fit(folder: Path, module: Logging, callback: Callback, steps: int) -> float:
    trainer = Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        callbacks=[callback],
        max_epochs=1,
        limit_train_batches=steps,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module)
    return float(trainer.callback_metrics["value"])


@pytest.mark.parametrize(("value", "mean"), [(4.0, 2.0), (None, 1.0)], ids=["logged again", "not logged again"])
def test_the_mean_of_an_epoch_counts_what_was_logged_before_the_cut(
    tmp_path: Path, value: float | None, mean: float
) -> None:
    before = KeepLogged()
    assert fit(tmp_path, Logging(1.0), before, steps=2) == 1.0
    assert fit(tmp_path, Logging(value), RestoredMetrics({}, before.logged), steps=1) == mean


def test_a_metric_object_gets_its_state_back_once(tmp_path: Path) -> None:
    module = BoringModel()
    mean = module.mean = MeanMetric()
    mean.update(torch.tensor([1.0, 3.0]))
    restored = RestoredMetrics(metric_states(module), {})
    mean.reset()
    for _ in range(2):
        restored.on_train_epoch_start(Trainer(default_root_dir=tmp_path, logger=False), module)
    mean.update(5.0)
    assert float(mean.compute()) == 3.0
