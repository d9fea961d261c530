"""The training function is the user's: stages, folds, and what they leave."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback

from sweeplab.errors import UserError
from sweeplab.records.ending import TrialPruned
from sweeplab.records.record import Status, read
from sweeplab.sweep.trial import Trial, enter
from sweeplab.training.start import resume, start
from tests.conftest import Compose, equal_weights
from tests.foreign import trainings

TRAININGS = {"two_stages": ["pretrain", "head"], "folds": ["fold0", "fold1", "fold2"]}


@pytest.mark.parametrize("name", TRAININGS)
def test_each_stage_has_checkpoints_and_a_record(foreign: Compose, name: str) -> None:
    config = foreign("tables", "+data.seed=0")
    value = start(getattr(trainings, name), config)
    folder = Path(config.folder)
    facts = read(folder)
    assert facts["status"] == Status.COMPLETE
    assert list(facts["stages"]) == TRAININGS[name]
    for stage, done in facts["stages"].items():
        assert done["checkpoint"] == f"checkpoints/{stage}/best.ckpt"
        assert (folder / done["checkpoint"]).is_file()
    values = [done["objective"] for done in facts["stages"].values()]
    assert value == pytest.approx(values[-1] if name == "two_stages" else sum(values) / 3)
    assert facts["objective"]["value"] == value


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAININGS)
@pytest.mark.parametrize("step", [4, 14, 22])
def test_a_run_of_stages_that_was_cut_is_resumed(
    foreign: Compose, monkeypatch: pytest.MonkeyPatch, name: str, step: int
) -> None:
    train: Callable[..., Any] = getattr(trainings, name)
    choices = ("+data.seed=0", "callbacks.last.every_n_steps=2")
    stop = f"+callbacks.stop={{_target_: tests.foreign.test_trainings.CtrlC, step: {step}}}"
    whole = foreign("tables", *choices, folder="whole")
    cut = foreign("tables", *choices, stop, folder="cut")
    start(train, whole)
    monkeypatch.setattr(CtrlC, "seen", 0)
    with pytest.raises(SystemExit):
        start(train, cut)
    first, second = Path(whole.folder), Path(cut.folder)
    resume(train, second, ["callbacks.stop=null"])
    assert read(second)["objective"]["value"] == pytest.approx(read(first)["objective"]["value"], rel=1e-6)
    last = TRAININGS[name][-1]
    assert equal_weights(first / f"checkpoints/{last}/last.ckpt", second / f"checkpoints/{last}/last.ckpt")


class CtrlC(Callback):
    """Stops a run behind so many steps of all its stages together."""

    seen = 0

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, *args: Any) -> None:
        CtrlC.seen += 1
        if CtrlC.seen == self.step:
            raise KeyboardInterrupt


def test_the_second_stage_trains_the_head_alone(foreign: Compose) -> None:
    config = foreign("tables")
    start(trainings.two_stages, config)
    folder = Path(config.folder) / "checkpoints"
    first, second = (
        torch.load(folder / name, weights_only=True)["state_dict"] for name in ("pretrain/best.ckpt", "head/last.ckpt")
    )
    assert torch.equal(first["net.0.weight"], second["net.0.weight"])
    assert not torch.equal(first["net.3.weight"], second["net.3.weight"])


@pytest.fixture
def reports() -> Iterator[list[int]]:
    """The steps at which a trial reported; it is stopped at the fifth."""
    steps: list[int] = []

    def report(value: float, step: int) -> bool:
        steps.append(step)
        return step == 5

    enter(Trial("study", 0, {}, prunes=True, _report=report))
    yield steps
    enter(None)


def test_a_trial_of_stages_counts_its_steps_on_and_is_pruned(foreign: Compose, reports: list[int]) -> None:
    config = foreign("tables", "+data.seed=0")
    with pytest.raises(TrialPruned):
        start(trainings.folds, config)
    assert reports == [1, 2, 3, 4, 5]
    assert read(Path(config.folder))["status"] == Status.PRUNED
    assert list(read(Path(config.folder))["stages"]) == ["fold0"]


@pytest.mark.parametrize(
    ("name", "words"), [("two_trainers", r"run\.stage\('head'\)"), ("no_trainer", "must either fit the trainer")]
)
def test_a_training_that_cannot_be_is_told_what_to_write(foreign: Compose, name: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        start(getattr(trainings, name), foreign("tables"))
