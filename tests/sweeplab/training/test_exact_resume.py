import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ChainedScheduler, ConstantLR, CosineAnnealingLR, LinearLR, SequentialLR

from sweeplab.errors import UserError
from sweeplab.records.record import Status, read
from sweeplab.training.preflight import _last_step
from tests.conftest import Compose, equal_weights
from tests.training import resume, run

SPOIL = "+callbacks.spoil._target_=tests.sweeplab.training.test_exact_resume.Spoil"
LAST = Path("checkpoints", "last.ckpt")
# Dropout draws from the generators.
DROPOUT = ("model=mlp", "model.dropout=0.3", "trainer.max_epochs=4")
SCHEDULERS = {
    # It never sees the metric fall, so it moves the learning rate after every epoch.
    "plateau": ("scheduler=plateau", "scheduler.mode=min", "scheduler.patience=0", "scheduler.factor=0.5"),
    "cosine": ("scheduler=cosine",),
    "onecycle": ("scheduler=onecycle",),
}


class CtrlC(Callback):
    """Stops a training behind a step, as a person would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        if trainer.global_step == self.step:
            raise KeyboardInterrupt


class Spoil(Callback):
    """Makes the model forget everything at each step."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        for weights in pl_module.parameters():
            weights.data.zero_()


def whole(configured: Compose, *overrides: str) -> Path:
    config = configured(*overrides, folder="whole")
    run(config)
    return Path(config.folder)


def cut(configured: Compose, *overrides: str, step: int) -> Path:
    stop = f"+callbacks.stop={{_target_: tests.sweeplab.training.test_exact_resume.CtrlC, step: {step}}}"
    config = configured(*overrides, stop, folder="cut")
    with pytest.raises(SystemExit):
        run(config)
    folder = Path(config.folder)
    assert read(folder)["status"] == Status.INTERRUPTED
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    """What metrics.csv holds, empty cells left out."""
    with (folder / "metrics.csv").open(newline="") as file:
        return [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_run_cut_in_two_ends_with_the_weights_of_one_in_a_piece(configured: Compose, scheduler: str) -> None:
    options = (*DROPOUT, *SCHEDULERS[scheduler])
    first = whole(configured, *options)
    second = cut(configured, *options, step=50)  # in the third epoch: it goes on from the end of the second
    resume(second, ["~callbacks.stop"])
    assert equal_weights(first / LAST, second / LAST)
    assert read(first)["objective"] == read(second)["objective"]
    assert read(first)["metrics"] == read(second)["metrics"]


@pytest.mark.slow
def test_a_run_cut_inside_an_epoch_goes_on_with_the_next_batch(configured: Compose) -> None:
    options = (*DROPOUT, "callbacks.last.every_n_steps=7")
    first = whole(configured, *options)
    second = cut(configured, *options, step=50)  # it goes on from step 49
    resume(second, ["~callbacks.stop"])
    assert equal_weights(first / LAST, second / LAST)


@pytest.mark.slow
def test_data_loader_workers_resume_exactly_too(configured: Compose) -> None:
    options = (*DROPOUT, "data.num_workers=1")
    first = whole(configured, *options)
    second = cut(configured, *options, step=50)
    resume(second, ["~callbacks.stop"])
    assert equal_weights(first / LAST, second / LAST)


def test_resume_keeps_rows_attempts_and_the_former_configuration(configured: Compose) -> None:
    folder = cut(configured, *DROPOUT, step=50)
    before = rows(folder)
    former = (folder / "config.yaml").read_text()
    resume(folder, ["~callbacks.stop"])
    assert rows(folder)[: len(before)] == before
    assert len(rows(folder)) > len(before)
    assert (folder / "config-1.yaml").read_text() == former
    facts = read(folder)
    assert facts["status"] == Status.COMPLETE
    assert [attempt["status"] for attempt in facts["attempts"]] == [Status.INTERRUPTED]


def test_a_run_that_stopped_early_is_over(configured: Compose) -> None:
    config = configured("trainer.max_epochs=9", "test=false")
    config.callbacks.early_stopping = {
        "_target_": "lightning.pytorch.callbacks.EarlyStopping", "monitor": "val/loss", "mode": "max", "patience": 1,
    }  # fmt: skip
    run(config)
    folder = Path(config.folder)
    before = len(rows(folder))
    resume(folder, ["test=true"])
    assert len(rows(folder)) == before + 1  # the test, and nothing else
    assert "test/acc" in rows(folder)[-1]


def test_a_run_that_was_moved_keeps_its_best_checkpoint(configured: Compose, tmp_path: Path) -> None:
    # The learning rate of the second part spoils the model, so that the best stays the one from before.
    folder = whole(configured, "trainer.max_epochs=3", "optimizer=sgd", "optimizer.lr=0.1")
    before = read(folder)
    moved = folder.rename(tmp_path / "moved")
    resume(moved, ["trainer.max_epochs=4", "callbacks.last=null", SPOIL])
    after = read(moved)
    assert after["objective"] == before["objective"]
    assert after["metrics"]["val/acc"] < before["objective"]["value"]
    assert after["metrics"]["test/acc"] == before["metrics"]["test/acc"]


def test_a_complete_run_is_resumed_only_to_train_longer(configured: Compose) -> None:
    folder = whole(configured, "trainer.max_epochs=3")
    with pytest.raises(UserError, match=r"complete; to train longer, add trainer.max_epochs=6"):
        resume(folder)
    with pytest.raises(UserError, match=r"has already trained 3 epochs; raise trainer\.max_epochs=1"):
        resume(folder, ["trainer.max_epochs=1"])
    resume(folder, ["trainer.max_epochs=4"])
    assert read(folder)["objective"]["value"] > 0


def test_a_run_that_still_lives_is_not_resumed(configured: Compose) -> None:
    folder = whole(configured, "trainer.max_epochs=1")
    record = folder / "run.json"
    record.write_text(record.read_text().replace('"complete"', '"running"'))
    with pytest.raises(UserError, match="still running"):
        resume(folder)


@pytest.mark.parametrize("ends", [True, False])
def test_the_last_of_several_schedules_in_a_row_has_the_end(ends: bool) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    warm = LinearLR(optimizer, total_iters=5)
    last = CosineAnnealingLR(optimizer, T_max=20) if ends else ConstantLR(optimizer)
    inner = ChainedScheduler([last, ConstantLR(optimizer)])
    row = SequentialLR(optimizer, [warm, last], milestones=[5])
    assert (_last_step(row), _last_step(inner)) == ((25, 20) if ends else (None, None))


def test_a_schedule_in_a_row_is_not_trained_beyond_its_end(configured: Compose) -> None:
    rows = ("scheduler._target_=tests.sweeplab.training.test_exact_resume.warmed", "~scheduler.final_lr")
    config = configured("model=linear", "scheduler=cosine", *rows)
    run(config)
    with pytest.raises(UserError, match="SequentialLR was set up for 34 steps, and this training takes 51"):
        resume(Path(config.folder), ["trainer.max_epochs=3"])


def warmed(optimizer: Optimizer, steps: int) -> dict[str, Any]:
    parts = [LinearLR(optimizer, total_iters=4), CosineAnnealingLR(optimizer, T_max=steps - 4)]
    return {"scheduler": SequentialLR(optimizer, parts, milestones=[4]), "interval": "step"}
