"""Training functions of several stages as the trials of a sweep."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import sweeplab
from sweeplab.records.record import read
from sweeplab.records.trials import Trials
from tests.conftest import ROOT, Command
from tests.foreign.conftest import CHOICES, CONF, SMALL
from tests.foreign.test_trainings import TRAININGS

pytestmark = pytest.mark.slow
PATH = {"PYTHONPATH": str(ROOT)}
PROGRAM = """
import hydra
from omegaconf import DictConfig

@hydra.main(version_base="1.3", config_path={conf!r}, config_name="train")
def main(config: DictConfig) -> object:
    from sweeplab.training.start import start
    from tests.foreign import trainings
    return start(trainings.{name}, config)

if __name__ == "__main__":
    main()
"""
Sweep = Callable[..., str]


@pytest.fixture
def sweep(command: Command, tmp_path: Path) -> Sweep:
    """Sweep with a training function of one's own, and return what is said."""

    def run(name: str, *words: str) -> str:
        program = tmp_path / "mine.py"
        program.write_text(PROGRAM.format(conf=str(ROOT / "conf"), name=name))
        where = ["--config-dir", str(CONF), "-m", "hydra.sweeper.n_jobs=2", "study=mine", "+data.seed=0"]
        done = command(str(program), *where, *SMALL, *CHOICES["tables"], *words, **PATH)
        return done.stdout + done.stderr

    return run


def values(study: Path, metric: str) -> dict[int, float]:
    with (study / "trials.csv").open(newline="") as file:
        return {int(row["number"]): float(row[metric]) for row in csv.DictReader(file) if row["status"] == "complete"}


@pytest.mark.parametrize("name", TRAININGS)
def test_a_trial_of_stages_is_told_as_what_it_came_to(
    sweep: Sweep, command: Command, tmp_path: Path, name: str
) -> None:
    said = sweep(name, "model.hidden=4,8,12")
    assert "Nothing was reported" not in said
    study = tmp_path / "multirun" / "mine"
    trials = sweeplab.load(study)
    assert isinstance(trials, Trials)
    told = values(study, "val_rmse")
    assert sorted(told) == [0, 1, 2]
    for run in trials:
        facts = read(run.folder)
        assert list(facts["stages"]) == TRAININGS[name]
        assert run.number is not None
        assert told[run.number] == pytest.approx(facts["objective"]["value"])
    assert len(set(told.values())) == 3
    assert trials.best.objective == min(told.values())
    assert trials.best.checkpoint.parent.name == TRAININGS[name][-1]
    command("eval.py", "run=multirun/mine", "trial=best", "stage=validate", **PATH)
    (written,) = trials.best.folder.glob("eval/validate-*/metrics.json")
    last = read(trials.best.folder)["stages"][TRAININGS[name][-1]]["objective"]
    if name == "two_stages":  # a fold has data of its own, which the configuration does not name
        assert json.loads(written.read_text())["val_rmse"] == pytest.approx(last)
    assert "3 runs:" in command("compare.py", "multirun/mine").stdout


def test_trials_of_folds_are_pruned_by_steps_of_all_folds(sweep: Sweep, tmp_path: Path) -> None:
    prune = (
        "hydra/sweeper/pruner=threshold",
        "hydra.sweeper.pruner.upper=1.3",
        "hydra.sweeper.pruner.n_warmup_steps=4",
    )
    sweep("folds", "model.lr=0.0,0.1", *prune)
    study = tmp_path / "multirun" / "mine"
    facts = {number: read(study / str(number)) for number in (0, 1)}
    by_rate = {facts[number]["trial"]["params"]["model.lr"]: facts[number] for number in facts}
    assert by_rate[0.0]["status"] == "pruned"
    assert list(by_rate[0.0]["stages"]) == ["fold0"]
    assert by_rate[0.1]["status"] == "complete"


def test_the_same_command_resumes_a_sweep_of_folds(sweep: Sweep, tmp_path: Path) -> None:
    search = ("sweep=random", "model.lr=tag(log,interval(1e-3,1e-1))")
    sweep("folds", *search, "hydra.sweeper.n_trials=1")
    said = sweep("folds", *search, "hydra.sweeper.n_trials=3")
    assert "1 of 3 trials finished" in said
    assert sorted(values(tmp_path / "multirun" / "mine", "val_rmse")) == [0, 1, 2]
