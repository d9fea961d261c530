"""A run that was cut has every number of one in a piece, where metrics, loaders and schedules are of many kinds."""

import csv
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback, LightningModule, Trainer

from sweeplab.records.record import Status, read
from tests.conftest import Compose, equal_weights
from tests.foreign.conftest import CHOICES
from tests.foreign.template import LitModule
from tests.training import resume, run

pytestmark = pytest.mark.slow

EVERY = "callbacks.last.every_n_steps=1"
STEPS = "trainer.log_every_n_steps=1"
STOP = "+callbacks.stop._target_=tests.foreign.test_exactness.CtrlC"
TWO = "trainer.max_epochs=2"
Values = dict[tuple[str, str], float]


class CtrlC(Callback):
    """Stops a training behind a batch, counted over all epochs, as a person would."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.seen = 0

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: object) -> None:
        self.seen += 1
        if self.seen == self.batch:
            raise KeyboardInterrupt


def logged(folder: Path) -> Values:
    """What metrics.csv holds, by step and name; the last where a step was taken twice."""
    with (folder / "metrics.csv").open(newline="") as file:
        return {
            (row["step"], name): float(value)
            for row in csv.DictReader(file)
            for name, value in row.items()
            if value and name != "step"
        }


def whole(foreign: Compose, kind: str, *overrides: str) -> Path:
    config = foreign(kind, *overrides, folder="whole")
    run(config)
    return Path(config.folder)


def cut(foreign: Compose, kind: str, *overrides: str, batch: int) -> Path:
    """Train up to a batch, and then to the end."""
    config = foreign(kind, *overrides, STOP, f"+callbacks.stop.batch={batch}", folder="cut")
    with pytest.raises(SystemExit):
        run(config)
    folder = Path(config.folder)
    assert read(folder)["status"] == Status.INTERRUPTED
    resume(folder, ["~callbacks.stop"])
    return folder


def assert_same(one: Path, other: Path) -> None:
    first, second = logged(one), logged(other)
    assert {name: (first.get(name), value) for name, value in second.items() if value != first.get(name)} == {}
    assert first.keys() == second.keys()
    assert equal_weights(one / "checkpoints" / "last.ckpt", other / "checkpoints" / "last.ckpt")
    for fact in ("objective", "best", "metrics"):
        assert read(one)[fact] == read(other)[fact]


# A batch in the middle of the second epoch.
INSIDE = {"tables": 13, "gan": 12, "letters": 30, "autoencoder": 23, "silent": 23, "template": 5}


@pytest.mark.parametrize("kind", CHOICES)
def test_a_run_cut_inside_its_second_epoch_logs_the_same_steps(foreign: Compose, kind: str) -> None:
    options = (EVERY, STEPS, TWO)
    assert_same(whole(foreign, kind, *options), cut(foreign, kind, *options, batch=INSIDE[kind]))


@pytest.mark.slow
@pytest.mark.parametrize("kind", CHOICES)
def test_a_run_cut_inside_its_first_epoch_logs_the_same_steps(foreign: Compose, kind: str) -> None:
    options = (EVERY, STEPS, TWO)
    assert_same(whole(foreign, kind, *options), cut(foreign, kind, *options, batch=2))


class Lenient(LitModule):
    """Lets its schedule wait where nothing was validated yet."""

    def configure_optimizers(self) -> Any:
        configured = super().configure_optimizers()
        configured["lr_scheduler"]["strict"] = False
        return configured


@pytest.mark.filterwarnings("ignore:ReduceLROnPlateau conditioned on metric")
def test_a_schedule_finds_the_validation_before_the_cut(foreign: Compose) -> None:
    lenient = "model._target_=tests.foreign.test_exactness.Lenient"
    # It takes the same number twice for no gain: behind the third epoch, which has no validation.
    options = (lenient, "trainer.max_epochs=4", "+trainer.check_val_every_n_epoch=2", "model.scheduler.patience=0")
    first = whole(foreign, "template", *options)
    assert logged(first)[("9", "lr-Adam")] == pytest.approx(0.001)
    assert_same(first, cut(foreign, "template", *options, batch=8))


ODD = {
    "many-metrics": ("model._target_=tests.foreign.odd.ManyMetrics",),
    "many-metrics-accumulated": (
        "model._target_=tests.foreign.odd.ManyMetrics",
        "trainer.accumulate_grad_batches=2",
        "+trainer.val_check_interval=0.5",
    ),
    "two-loaders": ("model._target_=tests.foreign.odd.OfTwoLoaders", "data._target_=tests.foreign.odd.TwoLoaders"),
    "sampled": ("data._target_=tests.foreign.odd.Sampled",),
    "sampled-by-a-worker": ("data._target_=tests.foreign.odd.Sampled", "data.num_workers=1"),
    "weighted": ("data._target_=tests.foreign.odd.Weighted",),
    "ema": ("+callbacks.ema._target_=lightning.pytorch.callbacks.EMAWeightAveraging", "+callbacks.ema.decay=0.9"),
    "swa": ("callbacks=[default,swa]", "callbacks.swa.start=0.4", "callbacks.progress=null", "callbacks.summary=null"),
    "limited": ("+trainer.limit_train_batches=5",),
    "loaders-made-anew": ("+trainer.reload_dataloaders_every_n_epochs=1",),
    "validated-by-batches": ("+trainer.val_check_interval=7", "+trainer.check_val_every_n_epoch=null"),
}
ODD_ENOUGH = ("many-metrics", "sampled", "two-loaders")


@pytest.mark.slow
@pytest.mark.parametrize("batch", [3, 13], ids=["first-epoch", "second-epoch"])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in ODD_ENOUGH)) for name in ODD]
)
def test_a_run_cut_inside_an_epoch_has_every_number(foreign: Compose, name: str, batch: int) -> None:
    options = (EVERY, STEPS, TWO, *ODD[name])
    batch = min(batch, 8) if name == "limited" else batch
    assert_same(whole(foreign, "tables", *options), cut(foreign, "tables", *options, batch=batch))


DRAWS = ("model._target_=tests.foreign.odd.Drawing", "+callbacks.draws._target_=tests.foreign.odd.Draws")


def test_numbers_that_are_drawn_as_a_training_begins_leave_the_next_epoch_as_it_was(foreign: Compose) -> None:
    assert_same(whole(foreign, "tables", *DRAWS), cut(foreign, "tables", *DRAWS, batch=20))
