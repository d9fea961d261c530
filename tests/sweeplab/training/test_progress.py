import logging
import sys
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.demos.boring_classes import BoringModel

from sweeplab.callbacks import EpochLines, progress


class Logging(BoringModel):
    """Logs a metric of each step, of which Lightning makes three."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        output: Any = super().training_step(batch, batch_idx)
        self.log("loss", output["loss"], on_step=True, on_epoch=True)
        return output


def fit(folder: Path, lines: EpochLines) -> None:
    trainer = Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        callbacks=[lines],
        max_epochs=2,
        limit_train_batches=2,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    trainer.fit(Logging())


def test_each_epoch_is_one_line_with_each_metric_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "sweeplab.training.progress"):
        fit(tmp_path, EpochLines())
    lines = [record.getMessage() for record in caplog.records if record.name == "sweeplab.training.progress"]
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert all(line.count("loss") == 1 for line in lines)


def test_only_the_first_process_writes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = EpochLines()
    lines.disable()
    with caplog.at_level(logging.INFO, "sweeplab.training.progress"):
        fit(tmp_path, lines)
    assert not [record for record in caplog.records if record.name == "sweeplab.training.progress"]


@pytest.mark.parametrize(("is_terminal", "kind"), [(True, RichProgressBar), (False, EpochLines)])
def test_a_bar_is_for_terminals_alone(monkeypatch: pytest.MonkeyPatch, is_terminal: bool, kind: type) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    assert isinstance(progress(), kind)
