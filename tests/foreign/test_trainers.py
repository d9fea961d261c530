"""Modules that somebody else brings come to the same with either trainer."""

from pathlib import Path

import pytest

from tests.conftest import Compose
from tests.foreign.conftest import CHOICES
from tests.foreign.test_exactness import EVERY, INSIDE, STEPS, STOP, TWO, assert_same, whole
from tests.training import resume, run

TRAINERS = {"default": "lightning.pytorch.Trainer", "lean": "sweeplab.trainers.LeanTrainer"}
WAYS = {
    "as they are": (),
    "in parts": ("trainer.accumulate_grad_batches=2", "trainer.gradient_clip_val=0.1", "trainer.precision=bf16-mixed"),
    "validated often": ("++trainer.val_check_interval=2", STEPS),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", CHOICES)
def test_both_trainers_come_to_the_same(foreign: Compose, kind: str, way: str) -> None:
    if kind == "gan" and way == "in parts":
        pytest.skip("Lightning leaves parts to a manual optimization")
    folders = []
    for name, target in TRAINERS.items():
        config = foreign(kind, TWO, *WAYS[way], f"trainer._target_={target}", folder=name)
        run(config)
        folders.append(Path(config.folder))
    assert_same(*folders)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CHOICES)
@pytest.mark.parametrize("first", TRAINERS)
def test_a_training_cut_inside_an_epoch_goes_on_with_the_other(foreign: Compose, kind: str, first: str) -> None:
    (other,) = TRAINERS.keys() - {first}
    uncut = whole(foreign, kind, TWO, EVERY, STEPS)
    stop = (STOP, f"+callbacks.stop.batch={INSIDE[kind]}")
    config = foreign(kind, TWO, EVERY, STEPS, *stop, f"trainer._target_={TRAINERS[first]}", folder="cut")
    with pytest.raises(SystemExit):
        run(config)
    resume(Path(config.folder), ["~callbacks.stop", f"trainer._target_={TRAINERS[other]}"])
    assert_same(uncut, Path(config.folder))
