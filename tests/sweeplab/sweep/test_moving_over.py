"""What users of Hydra's basic sweeper and of hydra-optuna-sweeper bring along means here what it means there."""

import csv
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf
from optuna.distributions import FloatDistribution

from tests.sweeplab.sweep.app import app
from tests.sweeplab.sweep.conftest import IS_1_3, Sweep, states, trials

pytestmark = pytest.mark.slow

URL = "sqlite:///study.db"
STUDY = Path("multirun/study")


@dataclass
class Mine:
    """A sampler's configuration, as the user's own dataclass."""

    _target_: str = "optuna.samplers.RandomSampler"
    seed: int | None = MISSING


class Spaces:
    """Search spaces that are methods."""

    class Inner:
        @staticmethod
        def lr(config: Any, trial: optuna.Trial) -> None:
            trial.suggest_float("opt.lr", 0.0, config.x)

    @staticmethod
    def seed(config: Any, trial: optuna.Trial) -> None:
        trial.suggest_int("seed", 0, 3)


def described(file: str) -> dict[str, Any]:
    """Return a storage as its description."""
    return {"_target_": f"{__name__}.journal", "log_storage": {"file_path": file}}


def journal(log_storage: Any) -> optuna.storages.BaseStorage:
    """Build a storage of a description that is not Optuna's own."""
    return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(log_storage["file_path"]))


def url(of: str) -> str:
    """Return a URL from somewhere else."""
    return of


def recorded(name: str) -> Any:
    return OmegaConf.to_container(OmegaConf.load(STUDY / name / ".hydra" / "overrides.yaml"))


def rows() -> list[dict[str, str]]:
    return list(csv.DictReader((STUDY / "trials.csv").read_text().splitlines()))


# The folders of trials


def test_folders_are_named_as_the_user_says(sweep: Sweep) -> None:
    assert sweep("x=1,2", "hydra.sweep.subdir=trial_${hydra.job.num}", task=app.records) == 0
    for number in range(2):
        folder = STUDY / f"trial_{number}"
        assert (folder / "output.log").exists()
        assert OmegaConf.load(folder / ".hydra" / "hydra.yaml").hydra.runtime.output_dir == str(folder.absolute())
    assert [row["folder"] for row in rows()] == [str(STUDY.absolute() / f"trial_{number}") for number in range(2)]
    assert not (STUDY / "0").exists()


def test_folders_are_named_by_the_overrides_of_their_trials(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    named = "hydra.sweep.subdir=${hydra.job.override_dirname}"
    assert sweep("y=3", "x=2,1", "name='a b'", named) == 0
    assert {path.name for path in STUDY.iterdir() if path.is_dir()} == {f"name='a b',x={x},y=3" for x in (1, 2)}
    assert "its folder      multirun/study/name='a b',x=1,y=3" in capsys.readouterr().out


@pytest.mark.parametrize("executor", ["local", "inline"])
def test_a_name_that_is_taken_gets_the_number(sweep: Sweep, executor: str) -> None:
    assert sweep("x=1,2,3", "hydra.sweep.subdir=same", f"hydra.sweeper.executor={executor}") == 0
    assert {path.name for path in STUDY.iterdir() if path.is_dir()} == {"same", "same_1", "same_2"}


def test_a_killed_trial_of_a_named_folder_goes_on_in_it(sweep: Sweep) -> None:
    arguments = (
        "x=1,2",
        "hydra.sweep.subdir=x${x}/seed${seed}",
        "how=once",
        "mark=${hydra:runtime.cwd}/mark",
        "only=1",
    )
    assert sweep(*arguments, task=app.records) == 0
    assert states() == ["COMPLETE", "COMPLETE"]
    assert {path.name for path in (STUDY / "x1").iterdir()} == {"seed0"}
    assert sweep(*arguments[:-1], "only=3", "hydra.sweeper.on_change=extend", task=app.records) == 0
    assert len(trials()) == 2


def test_repeats_lie_below_a_named_folder(sweep: Sweep) -> None:
    assert sweep("x=1", "hydra.sweep.subdir=t${hydra.job.num}", "hydra.sweeper.repeats=2") == 0
    assert {path.name for path in (STUDY / "t0").iterdir()} == {"0", "1"}


# What is recorded


def test_overrides_are_recorded_as_they_were_typed_and_in_that_order(sweep: Sweep) -> None:
    typed = ("y=3", "x=1.50,2", "+new=u:v,'w'", "~fast", "seed=5", 'name="a b",${how}')
    assert sweep(*typed, "hydra.sweeper.n_jobs=1") == 0
    assert recorded("0") == ["y=3", "x=1.5", "+new=u:v", "~fast", "seed=5", 'name="a b"']
    assert recorded("3") == ["y=3", "x=1.5", "+new='w'", "~fast", "seed=5", "name=${how}"]


def test_what_params_give_is_recorded_before_the_command_line(sweep: Sweep) -> None:
    params = "+hydra.sweeper.params={x: 'choice(1,2)', seed: 4, opt: 'choice(sgd,adam)'}"
    assert sweep("opt=adam", "y=3,4", params, "hydra.sweeper.n_jobs=1") == 0
    assert recorded("0") == ["x=1", "seed=4", "opt=adam", "y=3"]


# Settings


def test_a_sampler_may_be_configured_by_a_dataclass_of_the_users_own(sweep: Sweep) -> None:
    ConfigStore.instance().store(group="hydra/sweeper/sampler", name="mine", node=Mine)
    arguments = ("hydra/sweeper/sampler=mine", "hydra.sweeper.sampler.seed=3", "hydra.sweeper.n_trials=2")
    assert sweep("x=interval(0,1)", *arguments) == 0
    assert states() == ["COMPLETE"] * 2


@pytest.mark.parametrize(
    "storage",
    [
        "{_target_: optuna.storages.RDBStorage, url: 'sqlite:///study.db', engine_kwargs: {pool_pre_ping: true}}",
        "{_target_: tests.sweeplab.sweep.test_moving_over.url, of: 'sqlite:///study.db'}",
    ],
)
def test_a_storage_may_be_described(sweep: Sweep, storage: str) -> None:
    assert sweep("x=1,2", f"hydra.sweeper.storage={storage}") == 0
    assert states(storage=URL) == ["COMPLETE"] * 2
    assert sweep("x=1,2", f"hydra.sweeper.storage={storage}") == 0


def test_a_described_journal_is_locked_where_it_lies(sweep: Sweep) -> None:
    inner = "{_target_: optuna.storages.journal.JournalFileBackend, file_path: mine.log}"
    storage = f"{{_target_: optuna.storages.JournalStorage, log_storage: {inner}}}"
    assert sweep("x=1,2", f"hydra.sweeper.storage={storage}") == 0
    assert Path("mine.log").exists()
    assert Path("mine.log.ask").exists()


@pytest.mark.parametrize("name", ["Spaces.Inner.lr", "Spaces.seed"])
def test_a_custom_search_space_may_be_a_method(sweep: Sweep, name: str) -> None:
    hook = f"hydra.sweeper.custom_search_space={__name__}.{name}"
    assert sweep("x=1,2", hook, "hydra.sweeper.n_trials=2") == 0
    assert all(len(trial.params) == 2 for trial in trials())


def test_a_custom_search_space_sets_nothing_that_is_fixed(sweep: Sweep) -> None:
    hook = f"hydra.sweeper.custom_search_space={__name__}.Spaces.seed"
    with pytest.raises(SystemExit) as error:
        sweep("x=1,2", "seed=2", hook, "hydra.sweeper.n_trials=2")
    assert "suggests seed, and seed=2 fixes it" in str(error.value)


# Studies of hydra-optuna-sweeper


def test_a_study_of_the_peers_is_gone_on_with(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    study = optuna.create_study(storage=URL, study_name="study")
    for value in (0.0, 5.0):
        trial = study.ask({"+w": FloatDistribution(0, 9), "x": FloatDistribution(0, 9)})
        study.tell(trial, value)
    arguments = ("+w=interval(0,9)", "x=interval(1,9)", f"hydra.sweeper.storage={URL}", "hydra.sweeper.n_trials=4")
    assert sweep(*arguments) == 0
    told = trials(storage=URL)
    assert len(told) == 4
    assert [set(trial.params) for trial in told] == [{"+w", "x"}] * 4
    assert [bool(row["folder"]) for row in rows()] == [False, False, True, True]
    assert all(row["w"] for row in rows())
    assert "its folder" not in capsys.readouterr().out.partition("Best: #0")[2]


def test_a_study_of_the_peers_with_another_kind_of_space_is_refused(sweep: Sweep) -> None:
    study = optuna.create_study(storage=URL, study_name="study")
    study.tell(study.ask({"x": FloatDistribution(0, 9)}), 1.0)
    with pytest.raises(SystemExit) as error:
        sweep("x=1,2", f"hydra.sweeper.storage={URL}")
    assert "x was FloatDistribution" in str(error.value)
    assert sweep("x=1,2", f"hydra.sweeper.storage={URL}", "hydra.sweeper.on_change=extend") == 0
    assert [trial.params for trial in trials(storage=URL)[1:]] == [{"x[choice(1,2)]": 1}, {"x[choice(1,2)]": 2}]


@pytest.mark.skipif(not IS_1_3, reason="Hydra 1.4 says it itself, in its own words")
def test_the_target_of_the_old_sweeper_is_told_in_one_sentence(folder: Path) -> None:
    (folder / "conf" / "hydra" / "sweeper").mkdir(parents=True)
    target = "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"
    (folder / "conf" / "hydra" / "sweeper" / "mine.yaml").write_text(f"_target_: {target}\nn_trials: 20\n")
    (folder / "app.py").write_text(
        "import hydra\n@hydra.main(version_base='1.3', config_path='conf')\ndef app(config):\n    return 1.0\n"
        "if __name__ == '__main__':\n    app()\n"
    )
    for chosen in ("hydra/sweeper=mine", f"hydra/sweeper=sweeplab hydra.sweeper._target_={target}"):
        command = [sys.executable, "-W", "ignore", "app.py", "-m", *chosen.split(), "+x=1,2"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.startswith("Error: hydra.sweeper._target_ names hydra-optuna-sweeper")
        assert len(done.stderr.splitlines()) == 1
