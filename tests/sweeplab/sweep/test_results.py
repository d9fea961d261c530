import csv
import json
import shlex
import shutil
from collections import Counter
from pathlib import Path

import optuna
import pytest
from omegaconf import OmegaConf
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from sweeplab.records.study import Axis, Study
from sweeplab.sweep.results import Summary, axes
from sweeplab.sweep.space.space import Space
from tests.sweeplab.sweep.app import app
from tests.sweeplab.sweep.conftest import APP, Sweep, trials


@pytest.mark.slow
def test_the_results_are_in_the_format_of_hydra_optuna_sweeper(sweep: Sweep) -> None:
    assert sweep("x=3,2", "opt=sgd,adam") == 0
    results = OmegaConf.to_container(OmegaConf.load("multirun/study/optimization_results.yaml"))
    assert results == {"name": "optuna", "best_params": {"x": 2, "opt": "sgd"}, "best_value": 2.0}


@pytest.mark.slow
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


@pytest.mark.slow
def test_every_trial_has_its_row(sweep: Sweep) -> None:
    assert sweep("x=1,2", "how=sigkill", "only=2") == 0
    rows = list(csv.DictReader(Path("multirun/study/trials.csv").read_text().splitlines()))
    assert [(row["number"], row["status"], row["counts"], row["objective"], row["x"]) for row in rows] == [
        ("0", "complete", "True", "1.0", "1"),
        ("1", "killed", "True", "", "2"),
    ]
    assert rows[1]["reason"].startswith("signal SIGKILL")
    assert Path(rows[0]["folder"]) == Path("multirun/study/0").absolute()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["returns", "raises", "sigkill", "hangs"])
def test_the_seconds_of_a_trial_are_the_same_wherever_they_stand(sweep: Sweep, how: str) -> None:
    limits = ("hydra.sweeper.retries=0", "hydra.sweeper.trial_timeout=3")
    sweep("x=1", "steps=1", "sleep=0.2", f"how={how}", *limits, task=app.records)
    (row,) = csv.DictReader(Path("multirun/study/trials.csv").read_text().splitlines())
    recorded = json.loads(Path("multirun/study/0/run.json").read_text())["seconds"]
    assert float(row["seconds"]) == recorded
    assert f"  {recorded:.1f}s" in Path("multirun/study/sweep.log").read_text()


@pytest.mark.slow
def test_the_exit_code_says_whether_the_budget_was_met(sweep: Sweep) -> None:
    assert sweep("x=1,2", "how=raises", "only=1") == 0
    assert sweep("study=none", "x=1,2", "how=raises") == 1


@pytest.mark.slow
def test_optunas_own_tools_can_write_to_the_study_afterwards(sweep: Sweep) -> None:
    assert sweep("x=1,2") == 0
    # A file of this name they take for a lock that is held, and wait half a minute before they break it.
    assert not Path(JournalFileSymlinkLock("multirun/study/study.journal")._lock_file).exists()
    storage = optuna.storages.JournalStorage(JournalFileBackend("multirun/study/study.journal"))
    optuna.load_study(study_name="study", storage=storage).set_user_attr("note", "seen")
    assert sweep("x=1,2") == 0
    assert optuna.load_study(study_name="study", storage=storage).user_attrs["note"] == "seen"


@pytest.mark.slow
def test_a_preview_shows_the_space_and_runs_nothing(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("x=1,2,3", "opt=sgd,adam", "name='a b'", "hydra.sweeper.preview=true")
    assert sweep(*arguments) == 0
    said = capsys.readouterr().out
    assert "6 points in all" in said
    commands = [shlex.split(line)[2:] for line in said.splitlines() if line.strip().startswith("python ")]
    assert commands == [[f"x={x}", f"opt={opt}", "name='a b'"] for x, opt in ((1, "sgd"), (1, "adam"), (2, "sgd"))]
    assert not Path("multirun").exists()


@pytest.mark.slow
def test_a_preview_draws_trials_as_the_sweep_will(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("x=interval(0,1)", "hydra.sweeper.n_trials=3", "hydra.sweeper.seed=5", "hydra.sweeper.n_jobs=1")
    assert sweep(*arguments, "hydra.sweeper.preview=true") == 0
    said = capsys.readouterr().out
    assert sweep(*arguments) == 0
    assert all(f"x={trial.params['x']}" in said for trial in trials())


@pytest.mark.parametrize(
    ("written", "axis"),
    [
        ("a,b", Axis(choices=["a", "b"])),
        ("3,1,2", Axis(choices=[3, 1, 2])),
        ("[1,2],null", Axis(choices=[[1, 2], None])),
        ("range(4,0,-1)", Axis(low=1, high=4)),
        ("interval(0,0.5)", Axis(low=0.0, high=0.5)),
        ("tag(log,int(interval(16,512)))", Axis(low=16, high=512, log=True)),
    ],
)
def test_what_is_searched_is_an_axis(written: str, axis: Axis) -> None:
    space, _ = Space.parse({}, [f"x={written}"], lambda group: [])
    assert axes(space) == {"x": axis}


@pytest.mark.parametrize(
    ("first", "second", "axis"),
    [
        ("choice(1,2)", "choice(2,3)", Axis(choices=[1, 2, 3])),
        ("tag(log,interval(1,10))", "tag(log,interval(5,100))", Axis(low=1.0, high=100.0, log=True)),
        ("tag(log,interval(1,10))", "interval(5,100)", Axis(low=1.0, high=100.0)),
        ("range(3)", "choice(9,none)", Axis(low=0, high=9)),
        ("range(3)", "choice(9,inf)", Axis(low=0, high=9)),
    ],
)
def test_a_key_that_is_searched_under_several_conditions_is_one_axis(first: str, second: str, axis: Axis) -> None:
    params = {"net": "choice(a,b)", "when": {"net=a": {"x": first}, "net=b": {"x": second}}}
    space, _ = Space.parse(params, [], lambda group: [])
    assert axes(space)["x"] == axis


def test_an_infinite_number_among_the_choices_is_no_null_in_the_folder(tmp_path: Path) -> None:
    space, _ = Space.parse({}, ["x=1.0,inf,null,[-inf,nan]", "y=1,2"], lambda group: [])
    Study("study", "", [{"metric": "loss", "mode": "min"}], axes(space)).write(tmp_path)
    assert Study.read(tmp_path).axes["x"].choices == [1.0, "inf", None, ["-inf", "nan"]]


@pytest.mark.slow
def test_the_folder_of_a_sweep_tells_what_is_searched_and_how_much(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["app.py", "-m", "x=1,2,3", "opt=sgd,adam"])
    assert sweep("x=1,2,3", "opt=sgd,adam") == 0
    assert Study.read(Path("multirun/study")) == Study(
        name="study",
        command="python app.py -m x=1,2,3 opt=sgd,adam study=study",
        objectives=[{"metric": "objective", "mode": "min"}],
        axes={"x": Axis(choices=[1, 2, 3]), "opt": Axis(choices=["sgd", "adam"])},
        n_trials=6,
    )


@pytest.mark.slow
def test_a_sweep_that_goes_on_tells_its_new_budget(sweep: Sweep) -> None:
    search = ("x=interval(0,1)", "hydra/sweeper/sampler=random", "hydra.sweeper.direction=maximize")
    storage = "hydra.sweeper.storage=sqlite:///sweeps.db"
    for total in (1, 2):
        assert sweep(*search, storage, f"hydra.sweeper.n_trials={total}") == 0
        study = Study.read(Path("multirun/study"))
        assert study.n_trials == total
    assert study.axes == {"x": Axis(low=0.0, high=1.0)}
    assert study.objectives == [{"metric": "objective", "mode": "max"}]
    assert study.storage == "sqlite:///sweeps.db"


def test_a_sweep_comes_further_by_new_steps_and_by_trials_that_ended_but_not_by_trials_that_were_cut() -> None:
    def progress(steps: int, **endings: int) -> int:
        trial = optuna.trial.create_trial(value=1.0, intermediate_values=dict.fromkeys(range(steps), 1.0))
        return Summary([trial], Counter(endings), [], {}, 0, None).progress

    assert progress(3, complete=1) == progress(3, complete=1, interrupted=4)
    assert progress(3, complete=1) < progress(4, complete=1)
    assert progress(3, complete=1) < progress(3, complete=1, failed=1)
