import csv
import json
import shlex
import shutil
from pathlib import Path

import optuna
import pytest
from omegaconf import OmegaConf
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from tests.sweeplab.sweep.app import app
from tests.sweeplab.sweep.conftest import APP, Sweep, trials

pytestmark = pytest.mark.slow


def test_the_results_are_in_the_format_of_hydra_optuna_sweeper(sweep: Sweep) -> None:
    assert sweep("x=3,2", "opt=sgd,adam") == 0
    results = OmegaConf.to_container(OmegaConf.load("multirun/study/optimization_results.yaml"))
    assert results == {"name": "optuna", "best_params": {"x": 2, "opt": "sgd"}, "best_value": 2.0}


def test_the_best_configuration_loads_as_an_experiment(sweep: Sweep, folder: Path) -> None:
    assert sweep("x=3,2", "opt=adam,sgd", "name='two words'", "layers=[3]", "+extra.deep=1") == 0
    shutil.copytree(APP / "conf", folder / "conf")
    (folder / "conf" / "experiment").mkdir()
    (folder / "conf" / "experiment" / "another.yaml").touch()
    config = folder / "conf" / "config.yaml"
    config.write_text(config.read_text().replace("  - opt: sgd\n", "  - opt: adam\n  - experiment: null\n"))
    assert sweep("study=again", "experiment=multirun/study/best.yaml", conf=folder / "conf") == 0
    best, again = (OmegaConf.load(f"multirun/{run}/.hydra/config.yaml") for run in ("study/3", "again/0"))
    assert OmegaConf.merge(best, {"study": "again"}) == again


def test_every_trial_has_its_row(sweep: Sweep) -> None:
    assert sweep("x=1,2", "how=sigkill", "only=2") == 0
    rows = list(csv.DictReader(Path("multirun/study/trials.csv").read_text().splitlines()))
    assert [(row["number"], row["status"], row["counts"], row["objective"], row["x"]) for row in rows] == [
        ("0", "complete", "True", "1.0", "1"),
        ("1", "killed", "False", "", "2"),
        ("2", "killed", "True", "", "2"),
    ]
    assert rows[1]["reason"].startswith("signal SIGKILL")
    assert Path(rows[0]["folder"]) == Path("multirun/study/0").absolute()


def test_the_last_message_has_the_best_trial_its_folder_and_its_command(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep("x=2,1", "name='two words'") == 0
    last = capsys.readouterr().out.partition("Best: ")[2]
    assert last.startswith("#1  objective 1")
    assert "multirun/study/1" in last
    command = shlex.split(last.partition("to run it again ")[2].splitlines()[0])
    assert command[2:] == ["x=1", "name='two words'"]


@pytest.mark.slow
def test_a_program_that_runs_a_folder_again_is_told_which(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    rerun = ("hydra.sweeper.rerun_key=rerun", "x=2,1")
    assert sweep(*rerun, task=app.records) == 0
    assert "to run it again python " in (said := capsys.readouterr().out)
    assert said.partition("to run it again ")[2].splitlines()[0].endswith(" rerun=multirun/study/1")
    assert sweep(*rerun, "study=repeats", "hydra.sweeper.repeats=2", task=app.records) == 0
    said = capsys.readouterr().out
    assert said.partition("to run it again ")[2].splitlines()[0].endswith(" rerun=multirun/repeats/1/0")
    assert sweep(*rerun, "study=foreign") == 0  # its trials are no runs
    assert capsys.readouterr().out.partition("to run it again ")[2].splitlines()[0].endswith(" x=1")


@pytest.mark.parametrize("how", ["returns", "raises", "sigkill", "hangs"])
def test_the_seconds_of_a_trial_are_the_same_wherever_they_stand(sweep: Sweep, how: str) -> None:
    limits = ("hydra.sweeper.retries=0", "hydra.sweeper.trial_timeout=3")
    sweep("x=1", "steps=1", "sleep=0.2", f"how={how}", *limits, task=app.records)
    (row,) = csv.DictReader(Path("multirun/study/trials.csv").read_text().splitlines())
    recorded = json.loads(Path("multirun/study/0/run.json").read_text())["seconds"]
    assert float(row["seconds"]) == recorded
    assert f"  {recorded:.1f}s" in Path("multirun/study/sweep.log").read_text()


def test_each_trial_is_a_line_of_the_log_and_failures_say_where_to_look(sweep: Sweep) -> None:
    assert sweep("x=1,2", "how=raises", "only=2") == 0
    lines = Path("multirun/study/sweep.log").read_text().splitlines()
    assert sum(" #0  objective 1  (best so far)" in line for line in lines) == 1
    assert sum("#1  FAILED: RuntimeError: no good  see multirun/study/1/output.log" in line for line in lines) == 1


def test_the_exit_code_says_whether_the_budget_was_met(sweep: Sweep) -> None:
    assert sweep("x=1,2", "how=raises", "only=1") == 0
    assert sweep("study=none", "x=1,2", "how=raises") == 1


def test_optunas_own_tools_can_write_to_the_study_afterwards(sweep: Sweep) -> None:
    assert sweep("x=1,2") == 0
    # A file of this name they take for a lock that is held, and wait half a minute before they break it.
    assert not Path(JournalFileSymlinkLock("multirun/study/study.journal")._lock_file).exists()
    storage = optuna.storages.JournalStorage(JournalFileBackend("multirun/study/study.journal"))
    optuna.load_study(study_name="study", storage=storage).set_user_attr("note", "seen")
    assert sweep("x=1,2") == 0
    assert optuna.load_study(study_name="study", storage=storage).user_attrs["note"] == "seen"


def test_a_preview_shows_the_space_and_runs_nothing(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("x=1,2,3", "opt=sgd,adam", "name='a b'", "hydra.sweeper.preview=true")
    assert sweep(*arguments) == 0
    said = capsys.readouterr().out
    assert "6 points in all" in said
    commands = [shlex.split(line)[2:] for line in said.splitlines() if line.strip().startswith("python ")]
    assert commands == [[f"x={x}", f"opt={opt}", "name='a b'"] for x, opt in ((1, "sgd"), (1, "adam"), (2, "sgd"))]
    assert not Path("multirun").exists()


def test_a_preview_draws_trials_as_the_sweep_will(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("x=interval(0,1)", "hydra.sweeper.n_trials=3", "hydra.sweeper.seed=5", "hydra.sweeper.n_jobs=1")
    assert sweep(*arguments, "hydra.sweeper.preview=true") == 0
    said = capsys.readouterr().out
    assert sweep(*arguments) == 0
    assert all(f"x={trial.params['x']}" in said for trial in trials())
