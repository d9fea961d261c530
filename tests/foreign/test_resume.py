"""A run that was cut goes on as if it had never been, whatever the module and its loaders are."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sweeplab.records.record import Status, read
from sweeplab.sweep.trial import Trial, TrialPruned, enter
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


def attempt(number: int) -> None:
    enter(Trial("study", 0, {}, attempt=number))


@pytest.fixture
def cut_trial(foreign: Compose, request: pytest.FixtureRequest) -> Iterator[Callable[..., tuple[Path, Path]]]:
    """Train as one trial that is not cut, and as one that is and goes on; return their folders."""

    def train(name: str, cut_at: int, *overrides: str) -> tuple[Path, Path]:
        attempt(0)
        whole, cut = foreign(name, *overrides, folder="whole"), foreign(name, *overrides, STOP % cut_at, folder="cut")
        run(whole)
        with pytest.raises(SystemExit):
            run(cut)
        attempt(1)
        run(foreign(name, *overrides, folder="cut"))
        return Path(whole.folder), Path(cut.folder)

    yield train
    enter(None)


@pytest.mark.parametrize("name", CHOICES)
def test_a_trial_that_was_cut_goes_on_by_itself_to_the_same_weights(
    cut_trial: Callable[..., tuple[Path, Path]], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    cut_at = STEPS[name] + (2 if name == "template" else 6)
    whole, cut = cut_trial(name, cut_at, "callbacks.last.every_n_steps=2", "seed=null")
    assert f"Attempt 2 goes on from {cut / 'checkpoints' / 'last.ckpt'}" in caplog.text
    first, second = read(whole), read(cut)
    assert (second["status"], second["trial"]["attempt"], first["trial"].get("attempt")) == ("complete", 1, None)
    assert [each["status"] for each in second["attempts"]] == ["interrupted"]
    assert second["seed"] != first["seed"]  # each drew its own, and the second attempt that of the first


@pytest.mark.parametrize("name", ["tables", "gan"])
def test_the_weights_of_a_trial_that_was_cut_are_those_of_one_that_was_not(
    cut_trial: Callable[..., tuple[Path, Path]], name: str
) -> None:
    whole, cut = cut_trial(name, STEPS[name] + 6, "callbacks.last.every_n_steps=2")
    for checkpoint in ("last.ckpt", "best.ckpt"):
        assert equal_weights(whole / "checkpoints" / checkpoint, cut / "checkpoints" / checkpoint)
    assert read(whole)["objective"] == read(cut)["objective"]
    assert read(whole)["metrics"] == read(cut)["metrics"]
    assert sorted(map(str, logged(whole))) == sorted(map(str, logged(cut)))


def test_a_trial_that_was_cut_before_its_first_checkpoint_begins_anew_and_says_so(
    cut_trial: Callable[..., tuple[Path, Path]], caplog: pytest.LogCaptureFixture
) -> None:
    whole, cut = cut_trial("tables", 6, "trainer.log_every_n_steps=1")
    assert "Attempt 2 begins anew: there is no checkpoint yet." in caplog.text
    assert equal_weights(whole / "checkpoints" / "best.ckpt", cut / "checkpoints" / "best.ckpt")
    assert logged(whole) == logged(cut)
    assert [each["status"] for each in read(cut)["attempts"]] == ["interrupted"]
    assert (cut / "attempt-0" / "run.json").is_file()


def test_a_trial_whose_checkpoint_is_damaged_begins_anew_and_keeps_what_there_was(
    foreign: Compose, cut_trial: Callable[..., tuple[Path, Path]], caplog: pytest.LogCaptureFixture
) -> None:
    _, cut = cut_trial("tables", 15)
    value = read(cut)["objective"]["value"]
    (cut / "checkpoints" / "last.ckpt").write_bytes(b"damaged")
    (cut / "run.json").write_text((cut / "run.json").read_text().replace('"complete"', '"killed"'))
    attempt(2)
    assert run(foreign("tables", folder="cut")) == value
    assert "Attempt 3 begins anew: " in caplog.text
    assert "last.ckpt is not a checkpoint" in caplog.text
    assert (cut / "attempt-1" / "checkpoints" / "last.ckpt").read_bytes() == b"damaged"
    assert (cut / "attempt-1" / "metrics.csv").is_file()
    assert [each["status"] for each in read(cut)["attempts"]] == ["interrupted", "killed"]


@pytest.mark.parametrize("status", ["complete", "pruned"])
def test_a_trial_that_was_cut_when_its_run_was_over_is_not_trained_again(
    foreign: Compose, cut_trial: Callable[..., tuple[Path, Path]], status: str
) -> None:
    _, cut = cut_trial("tables", 15)
    (cut / "run.json").write_text((cut / "run.json").read_text().replace('"complete"', f'"{status}"'))
    before = {path: path.read_bytes() for path in cut.rglob("*") if path.is_file()}
    attempt(2)
    if status == "complete":
        assert run(foreign("tables", folder="cut")) == read(cut)["objective"]["value"]
    else:
        with pytest.raises(TrialPruned):
            run(foreign("tables", folder="cut"))
    assert {path: path.read_bytes() for path in cut.rglob("*") if path.is_file()} == before


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
