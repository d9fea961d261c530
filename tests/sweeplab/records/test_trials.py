import json
from pathlib import Path
from typing import Any

import pytest

from sweeplab.errors import UserError
from sweeplab.records.run import Run
from sweeplab.records.study import Study
from sweeplab.records.trials import Trials, holds_trials
from tests.sweeplab.records.made_runs import make_run


def trial(folder: Path, acc: float | None = None, status: str = "complete", **facts: Any) -> Run:
    point = {"study": "made", "number": 0, "repeat": 0, "params": {"model.width": 8}}
    return make_run(folder, {"seed": 0, "model": {"width": 8}}, acc=acc, status=status, **{"trial": point, **facts})


def names(runs: Trials, ranked: bool = True) -> list[str]:
    return [str(run.folder.relative_to(runs.folder)) for run in (runs.ranked if ranked else runs)]


def lower_is_better(folder: Path) -> None:
    path = folder / "run.json"
    path.write_text(path.read_text().replace('"max"', '"min"'))


def test_trials_come_in_the_order_of_their_numbers_and_are_ranked_by_their_objective(tmp_path: Path) -> None:
    for number, acc in ((10, 0.7), (2, 0.9), (1, 0.8)):
        trial(tmp_path / str(number), acc)
    trial(tmp_path / "11", 0.99, status="pruned")
    trial(tmp_path / "12", status="failed")
    trials = Trials.read(tmp_path)
    assert names(trials, ranked=False) == ["1", "2", "10", "11", "12"]
    assert names(trials) == ["2", "1", "10"]
    assert trials.best.objective == 0.9
    assert len(trials) == 5


def test_trials_in_folders_by_other_names_have_the_numbers_of_their_records(tmp_path: Path) -> None:
    Study("made", "python train.py", []).write(tmp_path)
    for number, name in enumerate(("seed=3", "seed=1")):
        trial(tmp_path / name, 0.5 + number / 10, trial={"study": "made", "number": number, "params": {}})
    trials = Trials.read(tmp_path)
    assert holds_trials(tmp_path)
    assert names(trials) == ["seed=1", "seed=3"]
    assert trials.trial(1).folder.name == "seed=1"


def test_a_run_of_no_number_is_no_trial(tmp_path: Path) -> None:
    Study("made", "python train.py", []).write(tmp_path)
    trial(tmp_path / "seed=1", 0.5, trial={"study": "made", "number": None})
    with pytest.raises(UserError, match="neither the folder of a run nor that of a study"):
        Trials.read(tmp_path)


def test_where_less_is_better_the_least_is_best(tmp_path: Path) -> None:
    for number, loss in enumerate((0.3, 0.1, 0.2)):
        lower_is_better(trial(tmp_path / str(number), loss).folder)
    assert names(Trials.read(tmp_path)) == ["1", "2", "0"]


def test_repeats_count_by_their_mean_and_stand_for_it_with_the_best_of_them(tmp_path: Path) -> None:
    for number, accs in enumerate(((0.6, 0.95), (0.8, 0.81), (0.99,))):
        for repeat, acc in enumerate(accs):
            trial(tmp_path / str(number) / str(repeat), acc)
    trials = Trials.read(tmp_path)
    assert names(trials) == ["1/1", "0/1"]  # trial 2 lacks a repeat
    assert trials.trial(0).folder == tmp_path / "0" / "1"


def test_a_trial_that_breaks_a_constraint_is_never_best(tmp_path: Path) -> None:
    for number, (acc, broken) in enumerate(((0.9, 1.0), (0.8, 0.0), (0.7, -3.0), (0.95, None))):
        trial(tmp_path / str(number), acc, trial={"params": {}, "constraints": {"size": broken}})
    assert names(Trials.read(tmp_path)) == ["1", "2"]


def test_the_table_has_a_row_a_run_and_none_where_nothing_was_measured(tmp_path: Path) -> None:
    trial(tmp_path / "0", 0.9, metrics={"test/acc": 0.85, "val/acc": 0.5})
    trial(tmp_path / "1", status="failed")
    table = Trials.read(tmp_path).table
    assert list(table) == ["name", "status", "model.width", "seed", "val/acc", "test/acc", "seconds"]
    assert table["val/acc"] == [0.9, None]
    assert table["test/acc"] == [0.85, None]
    assert table["status"] == ["complete", "failed"]
    assert {len(column) for column in table.values()} == {2}


def test_runs_that_no_search_made_are_told_apart_by_what_differs(tmp_path: Path) -> None:
    for number, width in enumerate((8, 16)):
        make_run(tmp_path / str(number), {"seed": 0, "model": {"width": width, "depth": 1}}, acc=0.5)
    assert Trials.read(tmp_path).table["model.width"] == [8, 16]


def test_what_cannot_be_ranked_or_found_is_said(tmp_path: Path) -> None:
    for number in (0, 1, 2, 5):
        trial(tmp_path / "open" / str(number), status="failed")
    trials = Trials.read(tmp_path / "open")
    with pytest.raises(UserError, match=r"no trial of .*open is complete yet"):
        _ = trials.best
    with pytest.raises(UserError, match="has no trial 3; there are 0 to 2, 5"):
        trials.trial(3)
    trial(tmp_path / "mixed" / "0", 0.5)
    lower_is_better(trial(tmp_path / "mixed" / "1", 0.5).folder)
    with pytest.raises(UserError, match=r"different objectives, so none is best: val/acc \(max\), val/acc \(min\)"):
        _ = Trials.read(tmp_path / "mixed").best


def test_a_folder_of_studies_or_of_single_runs_is_no_study(tmp_path: Path) -> None:
    trial(tmp_path / "cnn" / "0", 0.5)
    trial(tmp_path / "day" / "12-00-00-000000", 0.5)
    assert holds_trials(tmp_path / "cnn")
    assert not holds_trials(tmp_path / "cnn" / "0")
    for folder in (tmp_path, tmp_path / "day"):
        assert not holds_trials(folder)
        with pytest.raises(UserError, match="neither the folder of a run nor that of a study"):
            Trials.read(folder)


def test_a_broken_trial_is_skipped_with_the_reason(tmp_path: Path) -> None:
    trial(tmp_path / "0", 0.5)
    trial(tmp_path / "1", 0.6).folder.joinpath("run.json").write_text(json.dumps({})[:1])
    trials = Trials.read(tmp_path)
    assert names(trials) == ["0"]
    ((folder, reason),) = trials.skipped
    assert folder == tmp_path / "1"
    assert "broken" in reason
