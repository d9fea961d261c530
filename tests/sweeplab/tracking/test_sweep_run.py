import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import wandb
from optuna.trial import FrozenTrial, TrialState

from sweeplab.sweep.listener import SweepInfo
from sweeplab.tracking.sweep_run import SweepRun
from tests.sweeplab.tracking.infos import came_to, info_of, trial
from tests.wandb_log import offline_runs, records, summary

SPACE = ("x=interval(0,1)", "opt.lr=tag(log,interval(1e-4,1))")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    wandb.teardown()


def recorded(info: SweepInfo, trials: list[FrozenTrial], best: list[FrozenTrial], stopped: str = "") -> Path:
    """Record a sweep, and return W&B's folder of it."""
    info = replace(info, folder=Path("study").absolute())
    info.folder.mkdir(exist_ok=True)
    before = set(offline_runs(info.folder))
    run = SweepRun(info, "offline", "project", None, info.folder, checkpoint=True)
    run.start(came_to([], []))
    for one in trials:
        run.add(one)
    run.end(came_to(trials, best, stopped))
    (folder,) = set(offline_runs(info.folder)) - before
    return folder


def rows(folder: Path) -> list[dict[str, Any]]:
    return [row["item"] for row in records(folder, "history")]


@pytest.mark.slow
def test_the_history_has_the_best_until_then(tmp_path: Path) -> None:
    info = info_of(*SPACE, "hydra.sweeper.n_trials=20")
    trials = [trial(info, n, n / 9, value) for n, value in enumerate((3.0, 4.0, 1.0, 2.0))]
    told = [row for row in rows(recorded(info, trials, [trials[2]])) if "objective" in row]
    assert [(row["trials"], row["objective"], row["best"]) for row in told] == [
        (1, 3, 3),
        (2, 4, 3),
        (3, 1, 1),
        (4, 2, 1),
    ]


@pytest.mark.slow
def test_a_trial_that_an_earlier_version_queued_again_is_not_counted() -> None:
    info = info_of(*SPACE, "hydra.sweeper.n_trials=20")
    trials = [
        trial(info, 0, 0.1, **{"ending": "killed", "queued again": True}),
        trial(info, 1, 0.1, ending="failed"),
        trial(info, 2, 0.2, state=TrialState.PRUNED),
        trial(info, 3, 0.3, 1.0),
    ]
    last = [row for row in rows(recorded(info, trials, [trials[3]])) if "complete" in row][-1]
    assert (last["trials"], last["complete"], last["pruned"], last["failed"]) == (3, 1, 1, 1)


@pytest.mark.slow
def test_the_summary_has_the_best_point_counts_and_importances() -> None:
    info = info_of(*SPACE, "hydra.sweeper.n_trials=20")
    trials = [trial(info, n, n / 19, (n / 19 - 0.3) ** 2) for n in range(20)]
    best = min(trials, key=lambda one: float(one.values[0]))
    told = summary(recorded(info, trials, [best]))["summary"]
    assert (told["best/trial"], told["best/x"], told["objective"]) == (best.number, best.params["x"], best.values[0])
    assert told["best/lr"] == best.params["opt.lr"]
    assert (told["trials/complete"], told["status"], told["stopped"]) == (20, "complete", "no")
    assert told["importance/x"] + told["importance/lr"] == pytest.approx(1.0)
    assert {"plots/history", "plots/importance", "plots/parallel coordinates", "plots/slices"} < told.keys()


@pytest.mark.slow
def test_several_objectives_have_a_front() -> None:
    info = info_of(*SPACE, "hydra.sweeper.n_trials=20", "hydra.sweeper.direction=[minimize,minimize]", "objectives=2")
    trials = [trial(info, n, n / 9, n / 9, 1 - n / 9) for n in range(10)]
    folder = recorded(info, trials, trials[2:5])
    told = summary(folder)["summary"]
    assert told["pareto"] == [2, 3, 4]
    assert "plots/pareto front" in told


@pytest.mark.slow
def test_a_sweep_that_was_stopped_failed_and_says_why() -> None:
    info = info_of(*SPACE, "hydra.sweeper.n_trials=20")
    told = summary(recorded(info, [], [], stopped="interrupted"))
    assert (told["state"], told["exit_code"]) == ("failed", 1)
    assert (told["summary"]["stopped"], told["summary"]["status"]) == ("interrupted", "failed")


@pytest.mark.slow
def test_a_sweep_without_any_value_failed() -> None:
    info = info_of(*SPACE, "hydra.sweeper.n_trials=20")
    told = summary(recorded(info, [trial(info, 0, 0.5, ending="failed")], []))
    assert (told["state"], told["summary"]["status"]) == ("failed", "failed")


def test_the_table_names_the_runs_of_all_repeats() -> None:
    info = info_of(*SPACE, "hydra.sweeper.n_trials=20", "hydra.sweeper.repeats=2")
    folder = recorded(info, [trial(info, 3, 0.5, 1.0)], [])
    assert table(folder)[0]["run"] == "study-1a2b-0003-0 study-1a2b-0003-1"


@pytest.mark.slow
def test_a_sweep_that_goes_on_is_the_same_run() -> None:
    info = info_of(*SPACE, "hydra.sweeper.n_trials=20")
    trials = [trial(info, n, n / 9, float(n)) for n in range(3)]
    first, second = recorded(info, trials, trials[:1]), recorded(info, trials, trials[:1])
    assert first != second
    ids = {next(folder.glob("run-*.wandb")).name for folder in (first, second)}
    assert len(ids) == 1


def table(folder: Path) -> list[dict[str, Any]]:
    (path,) = (folder / "files" / "media" / "table").glob("table_*.json")
    told = json.loads(path.read_text())
    return [dict(zip(told["columns"], row, strict=True)) for row in told["data"]]


def test_a_table_tells_of_every_trial() -> None:
    info = info_of(*SPACE, "hydra.sweeper.n_trials=20")
    trials = [trial(info, 0, 0.5, 1.0), trial(info, 1, 0.6, ending="failed", reason="ValueError: no good")]
    lines = table(recorded(info, trials, trials[:1]))
    assert [(line["trial"], line["status"], line["x"], line["best"]) for line in lines] == [
        (0, "complete", 0.5, True),
        (1, "failed", 0.6, False),
    ]
    assert lines[1]["reason"] == "ValueError: no good"
    assert lines[0]["run"] == "study-1a2b-0000"


@pytest.mark.slow
def test_importances_of_too_few_trials_are_not_made_up() -> None:
    info = info_of(*SPACE, "hydra.sweeper.n_trials=20")
    trials = [trial(info, 0, 0.1, 1.0), trial(info, 1, 0.9, 2.0)]
    told = summary(recorded(info, trials, trials[:1]))["summary"]
    assert not [key for key in told if key.startswith("importance") or key == "plots/importance"]
    assert "plots/history" in told


def test_the_sweep_has_the_tags_of_its_trials_as_they_are_written() -> None:
    info = info_of(*SPACE, "hydra.sweeper.n_trials=20", "+tags=[first,'${oc.env:HOME}',3]")
    trials = [trial(info, 0, 0.5, 1.0)]
    assert summary(recorded(info, trials, trials))["tags"] == ["first", "${oc.env:HOME}", "3"]
