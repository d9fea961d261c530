"""Trials that share a process come to what they come to in processes of their own."""

from pathlib import Path

import pytest

from sweeplab.records.record import read
from tests.conftest import ROOT, Command, equal_weights
from tests.foreign.conftest import CHOICES, CONF, SMALL
from tests.foreign.test_exactness import logged
from tests.wandb_log import offline_runs, summary

pytestmark = pytest.mark.slow

SPOILS = "+callbacks.spoils._target_=tests.foreign.observers.Spoils"


def swept(command: Command, study: str, *words: str) -> Path:
    where = ("--config-dir", str(CONF), "-m", f"study={study}", f"hydra.sweep.dir={study}", "logger=wandb")
    command("train.py", *where, *SMALL, *words, PYTHONPATH=str(ROOT))
    return Path(study)


@pytest.mark.parametrize("kind", ["tables", "letters", "template"])
def test_trials_that_spoil_each_other_come_to_the_same(command: Command, tmp_path: Path, kind: str) -> None:
    seeds = ("seed=range(5)", "hydra.sweeper.n_jobs=1", *CHOICES[kind])
    for study, words in (("fresh", ()), ("reused", ("hydra.sweeper.reuse=20", SPOILS))):
        swept(command, study, *seeds, *words)
    for number in range(5):
        fresh, reused = tmp_path / "fresh" / str(number), tmp_path / "reused" / str(number)
        assert equal_weights(fresh / "checkpoints" / "last.ckpt", reused / "checkpoints" / "last.ckpt")
        assert logged(fresh) == logged(reused)
        assert read(fresh)["metrics"] == read(reused)["metrics"]
        assert {path.name for path in fresh.iterdir()} == {path.name for path in reused.iterdir()} - {"process"}
    processes = {(tmp_path / "reused" / str(number) / "process").read_text() for number in range(5)}
    assert len(processes) <= 2  # one runs a trial while the next waits in the other
    runs = [run for run in offline_runs(tmp_path / "reused" / "wandb") if "sweep" not in run.name]
    assert [summary(run)["exit_code"] for run in runs] == [0] * 5
