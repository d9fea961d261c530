"""Folders of version 1 stay readable: runs are evaluated, trained again, resumed; studies compared and resumed."""

import json
import shutil
from pathlib import Path

import pytest

import sweeplab
from lab.train import train
from sweeplab.records.earlier import TARGETS, upgraded_override
from sweeplab.records.record import Status, read
from sweeplab.records.rerun import Rerun
from sweeplab.report.command import main as compare
from sweeplab.training.evaluate import evaluate
from sweeplab.training.start import resume, start
from tests.conftest import ROOT, Command

CONF = ROOT / "conf"
QUIET = ["callbacks.progress=null", "callbacks.summary=null"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of what version 1 left."""
    return Path(shutil.copytree(Path(__file__).parent / "v1", tmp_path / "v1"))


def test_a_run_tests_as_it_tested_then(folder: Path) -> None:
    run = folder / "outputs" / "complete"
    before = read(run)["metrics"]
    written = evaluate(run, [run], "test", ["trainer=cpu", *QUIET], CONF)
    found = json.loads(written.read_text())
    assert found == {name: pytest.approx(before[name], rel=1e-6) for name in ("test/loss", "test/acc")}


def test_a_model_says_what_it_said_then(folder: Path) -> None:
    model = sweeplab.load(folder / "outputs" / "complete").model  # type: ignore[union-attr]  # a run
    assert type(model).__name__ == "Classification"
    assert model.label_smoothing == 0.1
    assert model.is_scaled


@pytest.mark.slow
def test_a_run_trained_again_has_the_same_numbers(folder: Path, tmp_path: Path) -> None:
    run = folder / "outputs" / "complete"
    again = Rerun.of(run, [f"hydra.run.dir={tmp_path / 'again'}", "task.callbacks.charts=null", *QUIET], CONF, "train")
    again.start(lambda config: start(train, config, again.origin))
    old, new = read(run), read(tmp_path / "again")
    assert new["objective"] == pytest.approx(old["objective"])
    assert new["metrics"] == pytest.approx(old["metrics"])


@pytest.mark.slow
def test_a_run_that_was_cut_is_resumed(folder: Path) -> None:
    run = folder / "outputs" / "cut"
    assert read(run)["status"] == Status.KILLED
    resume(train, run, ["trainer.max_epochs=374", *QUIET], CONF)
    facts = read(run)
    assert facts["status"] == Status.COMPLETE
    assert facts["objective"]["value"] > 0.2


def test_a_study_is_compared_and_its_best_trial_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = folder / "multirun" / "old"
    compare("", [str(study)])
    assert "4 runs: 2 complete, 2 pruned" in capsys.readouterr().out
    best = sweeplab.load(study).best  # type: ignore[union-attr]  # a study
    assert best.number == 2
    assert best.tests == ["test/loss", "test/acc"]


@pytest.mark.slow
def test_a_study_is_resumed_by_the_same_choices(folder: Path, command: Command) -> None:
    choices = ["sweep=asha", "model=linear", "trainer=cpu", "trainer.max_epochs=4", "task.callbacks.samples=null"]
    choices += ["task.callbacks.charts=null", f"hydra.sweep.dir={folder / 'multirun' / 'old'}", "study=old"]
    done = command("train.py", "-m", *choices, "hydra.sweeper.n_trials=5", "hydra.sweeper.n_jobs=1")
    assert "4 of 5 trials finished" in done.stdout + done.stderr
    assert (folder / "multirun" / "old" / "4" / "run.json").is_file()
    refused = command("train.py", "-m", *choices, "hydra.sweeper.n_trials=6", "optimizer=sgd", check=False)
    assert "was begun with other settings" in refused.stderr


@pytest.mark.parametrize("name", sorted(set(TARGETS.values())))
def test_every_name_of_today_exists(name: str) -> None:
    from pkgutil import resolve_name

    assert callable(resolve_name(name))


def test_overrides_of_that_version_are_those_of_today() -> None:
    assert upgraded_override("label_smoothing=0.1") == "task.label_smoothing=0.1"
    assert upgraded_override("+metrics.f1._target_=x") == "+task.metrics.f1._target_=x"
    assert upgraded_override("~callbacks.samples") == "~task.callbacks.samples"
    assert upgraded_override("callbacks.best=null") == "callbacks.best=null"
