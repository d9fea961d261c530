"""A short attack, and that what is wrong would be found."""

import json
import random
import shutil
from pathlib import Path

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

from tests.torture import audit
from tests.torture.scenario import SCENARIOS, Scenario
from tests.torture.siege import besiege

GRID = SCENARIOS[0]


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_sweep_under_attack_comes_to_the_exact_count_and_leaves_nothing_behind(
    tmp_path: Path, scenario: Scenario
) -> None:
    siege = besiege(scenario, tmp_path / "siege", 6, random.Random(0))
    assert siege.faults == []
    assert siege.hits


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that nobody attacked."""
    folder = tmp_path_factory.mktemp("finished") / "siege"
    assert besiege(GRID, folder, 0, random.Random(0)).faults == []
    return folder


@pytest.fixture
def study(finished: Path, tmp_path: Path) -> Path:
    """A copy of it, to damage."""
    shutil.copytree(finished, tmp_path / "siege")
    return tmp_path / "siege"


def stored(study: Path) -> optuna.Study:
    backend = JournalFileBackend(str(study / "multirun/study/study.journal"))
    return optuna.load_study(study_name="study", storage=optuna.storages.JournalStorage(backend))


@pytest.mark.slow
def test_a_point_that_was_tried_twice_is_found(study: Path) -> None:
    trial = stored(study).trials[3]
    stored(study).add_trial(trial)
    faults = audit.audit(GRID, study)
    assert f"{GRID.budget + 1} trials count instead of {GRID.budget}" in faults
    assert any("points of the grid" in fault for fault in faults)
    assert any("trials.csv" in fault for fault in faults)


@pytest.mark.slow
def test_a_record_that_disagrees_with_the_study_is_found(study: Path) -> None:
    path = study / "multirun/study/2/run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "status": "killed"}))
    assert audit.audit(GRID, study) == ["#2 is killed in run.json, COMPLETE {'complete'} in the study"]


@pytest.mark.slow
def test_a_trial_that_still_runs_for_the_study_is_found(study: Path) -> None:
    stored(study).ask()
    assert any("RUNNING" in fault for fault in audit.audit(GRID, study))


@pytest.mark.slow
def test_files_that_were_written_again_and_what_is_left_behind_are_found(study: Path) -> None:
    before = audit.contents(GRID, study)
    assert len(before) > GRID.budget
    (study / "multirun/study/4/run.json").write_text("{}")
    assert audit.changes(before) == [f"{study / 'multirun/study/4/run.json'} was written again"]
    (study / "tmp/sweeplab-abc").mkdir()
    assert audit.left_behind(study) == ["left in the temporary directory: sweeplab-abc"]
