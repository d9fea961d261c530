"""A run that was cut goes on as if it had never been, whatever the module and its loaders are."""

import csv
from pathlib import Path

import pytest

from sweeplab.records.record import Status, read
from tests.conftest import Compose, equal_weights
from tests.foreign.conftest import CHOICES
from tests.training import resume, run

STOP = "+callbacks.stop={_target_: tests.sweeplab.training.test_exact_resume.CtrlC, step: %d}"
# Steps of an epoch; the GAN takes two a batch.
STEPS = {"tables": 9, "gan": 16, "letters": 21, "autoencoder": 16, "silent": 16, "template": 3}


def logged(folder: Path) -> list[dict[str, str]]:
    """What the run logged, by row, empty cells left out; of a row that was logged again the later one."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]
    return list({(row["step"], *sorted(row)): row for row in rows}.values())


def check_that_a_cut_leaves_no_trace(foreign: Compose, name: str, cut_at: int, *overrides: str) -> None:
    whole = foreign(name, *overrides, folder="whole")
    run(whole)
    cut = foreign(name, *overrides, STOP % cut_at, folder="cut")
    with pytest.raises(SystemExit):
        run(cut)
    first, second = Path(whole.folder), Path(cut.folder)
    assert read(second)["status"] == Status.INTERRUPTED
    resume(second, ["~callbacks.stop"])
    for checkpoint in ("last.ckpt", "best.ckpt"):
        assert equal_weights(first / "checkpoints" / checkpoint, second / "checkpoints" / checkpoint)
    assert read(first)["objective"] == read(second)["objective"]
    assert read(first)["metrics"] == read(second)["metrics"]
    assert sorted(map(str, logged(first))) == sorted(map(str, logged(second)))


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOICES)
def test_a_run_cut_in_its_second_epoch_goes_on_behind_the_first(foreign: Compose, name: str) -> None:
    check_that_a_cut_leaves_no_trace(foreign, name, STEPS[name] + 2)


@pytest.mark.parametrize("name", CHOICES)
def test_a_run_cut_inside_an_epoch_goes_on_with_the_next_batch(foreign: Compose, name: str) -> None:
    cut_at = STEPS[name] + (2 if name == "template" else 6)
    check_that_a_cut_leaves_no_trace(foreign, name, cut_at, "callbacks.last.every_n_steps=2")


def test_a_run_cut_inside_its_first_epoch_goes_on_with_the_next_batch(foreign: Compose) -> None:
    check_that_a_cut_leaves_no_trace(foreign, "tables", 6, "callbacks.last.every_n_steps=2")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tables", "autoencoder"])
def test_workers_go_on_with_the_next_batch(foreign: Compose, name: str) -> None:
    more = ("callbacks.last.every_n_steps=2", "data.num_workers=1")
    check_that_a_cut_leaves_no_trace(foreign, name, STEPS[name] + 6, *more)


def test_a_loader_with_a_generator_of_its_own_goes_on_with_the_next_batch(foreign: Compose) -> None:
    more = ("callbacks.last.every_n_steps=2", "+data.seed=3")
    check_that_a_cut_leaves_no_trace(foreign, "tables", 15, *more)


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        "trainer.accumulate_grad_batches=2",
        "+trainer.val_check_interval=0.5",
        "+trainer.check_val_every_n_epoch=2",
        "+trainer.max_steps=25",
    ],
)
def test_a_cut_leaves_no_trace_however_the_trainer_is_set(foreign: Compose, more: str) -> None:
    step = 8 if "accumulate" in more else 15
    check_that_a_cut_leaves_no_trace(foreign, "tables", step, "callbacks.last.every_n_steps=2", more)
