"""Foreign modules in sweeps, by the command line that a user types."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import sweeplab
from sweeplab.records.record import read
from sweeplab.records.trials import Trials
from tests.conftest import Command, equal_weights
from tests.foreign.conftest import CHOICES, CONF, SMALL
from tests.wandb_log import offline_runs, summary

pytestmark = pytest.mark.slow
Sweep = Callable[..., str]
CUT = "+callbacks.cut={_target_: tests.foreign.observers.Cut, step: %d}"
SPACES = {
    "tables": ("model.lr=tag(log,interval(1e-3,1e-1))", "model.hidden=4,8"),
    "template": ("model.optimizer.lr=tag(log,interval(1e-3,1e-1))", "model.net.lin1_size=4,8"),
    "gan": ("model.lr=tag(log,interval(1e-4,1e-2))",),
}


@pytest.fixture
def sweep(command: Command) -> Sweep:
    """Sweep over a foreign module, and return what is said."""

    def run(name: str, *words: str, code: int = 0) -> str:
        where = ["--config-dir", str(CONF), "-m", "hydra.sweeper.n_jobs=2", "study=mine"]
        done = command("train.py", *where, *SMALL, *CHOICES[name], *words, check=False, PYTHONPATH=str(CONF.parents[2]))
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_a_sweep_prunes_resumes_and_is_compared(sweep: Sweep, command: Command, tmp_path: Path, name: str) -> None:
    choices = ("sweep=asha", *SPACES[name], "hydra.sweeper.listeners.checkpoints.keep=2")
    sweep(name, *choices, "hydra.sweeper.n_trials=3")
    said = sweep(name, *choices, "hydra.sweeper.n_trials=6")
    assert re.search(r"3 of 6 trials finished", said)
    study = tmp_path / "multirun" / "mine"
    trials = sweeplab.load(study)
    assert isinstance(trials, Trials)
    assert len(trials) == 6
    assert {str(run.status) for run in trials} <= {"complete", "pruned"}
    assert all(read(run.folder)["trial"]["study"] == "mine" for run in trials)
    table = command("compare.py", "multirun/mine").stdout
    assert "6 runs:" in table
    assert trials.best.name in table
    assert (study / "report.html").stat().st_size > 100_000
    assert type(trials.best.model).__name__ == read(trials.best.folder)["module"].rpartition(".")[2]


@pytest.mark.slow
def test_the_best_trials_are_evaluated_together_where_that_can_be(
    sweep: Sweep, command: Command, tmp_path: Path
) -> None:
    sweep("tables", "model.hidden=4,8", "seed=0,1")
    path = {"PYTHONPATH": str(CONF.parents[2])}
    command("eval.py", "run=multirun/mine", "trial=best", **path)
    command("eval.py", "run=multirun/mine", "top=2", "stage=predict", **path)
    (table,) = (tmp_path / "multirun" / "mine" / "eval").glob("predict-*/predictions.csv")
    with table.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 48
    assert len(json.loads((table.parent / "members.json").read_text())) == 2
    done = command("eval.py", "run=multirun/mine", "top=2", check=False, **path)
    assert done.returncode == 1
    assert "TableRegression cannot be evaluated together: that needs a method ensemble(members)" in done.stderr


@pytest.mark.slow
def test_trials_that_were_killed_come_to_the_weights_of_those_that_were_not(sweep: Sweep, tmp_path: Path) -> None:
    words = ("model.lr=0.01,0.1", "callbacks.last.every_n_steps=2")
    for study, step in (("whole", -1), ("cut", 15)):
        sweep("tables", *words, f"study={study}", CUT % step)
    for number in ("0", "1"):
        whole, cut = (tmp_path / "multirun" / study / number for study in ("whole", "cut"))
        assert [attempt["error"].partition(";")[0] for attempt in read(cut)["attempts"]] == ["signal SIGKILL"]
        assert f"Attempt 2 goes on from {cut / 'checkpoints' / 'last.ckpt'}" in (cut / "output.log").read_text()
        for checkpoint in ("last.ckpt", "best.ckpt"):
            assert equal_weights(whole / "checkpoints" / checkpoint, cut / "checkpoints" / checkpoint)
        assert read(whole)["objective"] == read(cut)["objective"]


def test_repeats_are_judged_by_their_mean(sweep: Sweep, tmp_path: Path) -> None:
    sweep("tables", "model.hidden=4,8", "hydra.sweeper.repeats=2")
    trials = sweeplab.load(tmp_path / "multirun" / "mine")
    assert isinstance(trials, Trials)
    assert [len(runs) for runs in trials.by_number.values()] == [2, 2]
    assert trials.best.objective is not None


def test_a_mistake_of_all_trials_ends_the_sweep_with_the_first(sweep: Sweep, tmp_path: Path) -> None:
    said = sweep("tables", "model.hidden=2,3,4,5,6,7,8,9", "objective.metric=val_rsme", code=1)
    assert "every trial would fail as #" in said
    assert "the objective val_rsme is not logged; did you mean 'val_rmse'?" in said
    assert len(list((tmp_path / "multirun" / "mine").glob("[0-9]*"))) <= 2


@pytest.mark.slow
def test_what_is_derived_from_ours_is_known_as_ours(sweep: Sweep, tmp_path: Path) -> None:
    mine = ["callbacks.pruning._target_=tests.foreign.observers.Careful", "logger=wandb"]
    mine += ["logger.wandb._target_=tests.foreign.observers.TaggedRun", "logger.wandb.offline=true"]
    sweep("tables", "sweep=asha", SPACES["tables"][0], "hydra.sweeper.n_trials=6", *mine)
    study = tmp_path / "multirun" / "mine"
    records = {int(path.parent.name): read(path.parent) for path in study.glob("[0-9]*/run.json")}
    assert {facts["status"] for facts in records.values()} == {"complete", "pruned"}
    # A record for each trial, and one for the sweep itself.
    assert len(offline_runs(study / "wandb")) == 7
    for number, facts in records.items():
        recorded = summary((study / str(number) / facts["wandb"]["directory"]).resolve())
        assert recorded["exit_code"] == 0
        assert recorded["summary"]["status"] == facts["status"], number
