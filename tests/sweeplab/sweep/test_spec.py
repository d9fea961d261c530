from pathlib import Path

import pytest
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path

from sweeplab.errors import UserError
from sweeplab.sweep.job import Job
from sweeplab.sweep.spec import SweepSpec, single_run
from tests.sweeplab.sweep.app import app
from tests.sweeplab.sweep.conftest import APP, Sweep
from tests.sweeplab.sweep.specs import spec_of


@pytest.fixture
def spec(folder: object) -> SweepSpec:
    return spec_of("x=1,2", "opt=sgd,adam", "y=3", "name='two words'")[0]


def test_a_trial_is_run_again_by_its_own_overrides_and_those_that_all_share(spec: SweepSpec) -> None:
    assert spec.rerun_overrides({"x": 2, "opt": "adam"}) == ["x=2", "opt=adam", "y=3", "name='two words'"]
    assert spec.rerun_overrides({"x": 2}, fixed=["y=4"]) == ["x=2", "y=4"]


def test_repeats_of_a_point_differ_in_their_seeds_and_folders(folder: object) -> None:
    spec, _ = spec_of("x=1,2", "seed=5", "hydra.sweeper.repeats=2")
    assert [spec.overrides({"x": 1}, repeat) for repeat in range(2)] == [["x=1", "seed=5"], ["x=1", "seed=6"]]
    assert [spec.folder_of(3, repeat) for repeat in range(2)] == [spec.folder / "3" / "0", spec.folder / "3" / "1"]
    first, second = (spec.job(3, {"x": 1}, repeat, prunes=False) for repeat in range(2))
    assert (first.subdir, second.subdir) == ("3/0", "3/1")
    assert first.id != second.id


def test_a_job_can_be_run_from_the_copy_of_the_configuration(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[Job, Path | None]] = []

    def preview(spec: SweepSpec, search: object) -> str:
        made.append((spec.job(0, {"x": 2, "opt": "adam"}, 0, prunes=True), spec.config_snapshot.conf))
        return ""

    monkeypatch.setattr("sweeplab.sweep.sweep.preview", preview)
    assert sweep("x=1,2", "opt=sgd,adam", "name='two words'", "hydra.sweeper.preview=true") == 0
    ((job, conf),) = made
    assert job.arguments[:4] == ("--config-path", str(conf), "--config-name", "config")
    assert job.arguments[4:] == job.trial_config.lines == ("x=2", "opt=adam", "name='two words'")
    assert job.rerun_command == "python app.py x=2 opt=adam 'name='\"'\"'two words'\"'\"''"
    assert job.subdir == ""


def test_a_job_finds_the_files_that_the_command_line_added(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "more" / "opt").mkdir(parents=True)
    (folder / "more" / "opt" / "mine.yaml").write_text("lr: 7.0")
    path = create_config_search_path(str(APP / "conf"))
    path.prepend(provider="command-line", path=f"file://{folder / 'more'}")
    jobs: list[Job] = []

    def preview(spec: SweepSpec, search: object) -> str:
        jobs.append(spec.job(0, {"x": 2}, 0, prunes=True))
        assert (Path(jobs[0].arguments[3]) / "opt" / "mine.yaml").read_text() == "lr: 7.0"
        return ""

    monkeypatch.setattr("sweeplab.sweep.sweep.preview", preview)
    Hydra.create_main_hydra2("app", path).multirun(
        "config", app.app.__wrapped__, ["x=1,2", "opt=mine", "hydra.sweeper.preview=true"]
    )
    assert jobs[0].arguments[2] == "--config-dir"


def test_the_defaults_of_a_key_are_its_value_and_the_choice_of_a_group(spec: SweepSpec) -> None:
    assert spec.default_of("y") == 3
    assert spec.default_of("opt") == "sgd"
    assert spec.default_of("nowhere") is None


def test_a_point_that_does_not_compose_is_told_with_its_overrides(spec: SweepSpec) -> None:
    with pytest.raises(UserError, match=r"in the search space, with x=1 opt=nope"):
        spec.config({"x": 1, "opt": "nope"})


def test_a_command_says_which_configuration_is_meant_and_hides_passwords(
    spec: SweepSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "sys.argv", ["app.py", "-cn", "other", "-m", "x=1,2", "hydra.sweeper.storage=pg://me:pw1234@h/d"]
    )
    assert single_run(["x=1"]) == "python app.py -cn other x=1"
    assert spec.resume_command == "python app.py -cn other -m x=1,2 'hydra.sweeper.storage=pg://me:***@h/d' study=study"
