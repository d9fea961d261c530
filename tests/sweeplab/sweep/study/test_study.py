import csv
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from tests.sweeplab.sweep.conftest import Sweep, states, trials

pytestmark = pytest.mark.slow


def test_another_space_is_refused_with_the_difference(sweep: Sweep) -> None:
    assert sweep("x=interval(0,1)", "hydra.sweeper.n_trials=2") == 0
    with pytest.raises(SystemExit, match=r"x was .*1.*, is .*2.*on_change=extend"):
        sweep("x=interval(0,2)", "hydra.sweeper.n_trials=4")
    assert len(states()) == 2


def test_a_study_can_be_extended_to_another_space(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep("x=interval(0,1)", "hydra.sweeper.n_trials=2") == 0
    extended = ("x=interval(5,6)", "hydra.sweeper.n_trials=4", "hydra.sweeper.on_change=extend")
    assert sweep(*extended) == 0
    assert "extended: x was" in capsys.readouterr().out
    assert all(trial.params["x"] >= 5 for trial in trials()[2:])
    assert sweep("x=interval(5,6)", "hydra.sweeper.n_trials=5") == 0


def test_another_configuration_is_refused_with_the_difference(sweep: Sweep) -> None:
    assert sweep("x=1,2") == 0
    with pytest.raises(SystemExit, match="name was plain, is other"):
        sweep("x=1,2", "name=other")


def test_a_grid_is_extended_by_further_choices_and_runs_those_alone(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep("x=1,2", "name=a,b") == 0
    with pytest.raises(SystemExit, match=r"x was choice\(1,2\), is choice\(1,2,3\).*on_change=extend"):
        sweep("x=1,2,3", "name=a,b")
    for _ in range(2):  # the same command again has nothing to do
        assert sweep("x=1,2,3", "name=a,b", "hydra.sweeper.on_change=extend") == 0
        rows = list(csv.DictReader(Path("multirun/study/trials.csv").read_text().splitlines()))
        points = [(row["x"], row["name"]) for row in rows]
        assert points == [("1", "a"), ("1", "b"), ("2", "a"), ("2", "b"), ("3", "a"), ("3", "b")]
    assert "6 of 6 trials finished" in capsys.readouterr().out
    assert sweep("x=3,4", "name=a,b", "hydra.sweeper.on_change=extend") == 0
    assert len(states()) == 8
    assert sweep("x=1,2", "name=a,b", "hydra.sweeper.on_change=extend") == 0
    assert len(states()) == 8


def table() -> list[dict[str, str]]:
    return list(csv.DictReader(Path("multirun/study/trials.csv").read_text().splitlines()))


@pytest.mark.parametrize(
    ("before", "after", "points"),
    [
        ("x=range(0,1,0.25)", "x=0,0.25,0.5,0.75,1", ["0.0", "0.25", "0.5", "0.75", "1"]),
        ("x=1.0,2.0", "x=1,2,3", ["1.0", "2.0", "3"]),
        ("x=range(3)", "x=0,1,2,2.5", ["0", "1", "2", "2.5"]),
    ],
)
def test_a_point_is_the_same_whatever_an_extended_study_calls_it(
    sweep: Sweep, before: str, after: str, points: list[str]
) -> None:
    assert sweep(before) == 0
    for _ in range(2):
        assert sweep(after, "hydra.sweeper.on_change=extend") == 0
        assert [float(row["x"]) for row in table()] == [float(point) for point in points]


def test_choices_that_are_lists_stay_lists_in_an_extended_study(sweep: Sweep) -> None:
    assert sweep("name=[1,2],[3]") == 0
    assert sweep("name=[1,2],[3],[4]", "hydra.sweeper.on_change=extend") == 0
    assert len(states()) == 3
    assert "name:\n- 1\n- 2\n" in Path("multirun/study/best.yaml").read_text()


def test_failed_points_run_again_in_an_extended_study(sweep: Sweep) -> None:
    assert sweep("x=1,2", "how=raises", "only=1") == 0
    extended = ("x=1,2,8", "hydra.sweeper.on_change=extend")
    assert sweep(*extended) == 0
    assert sweep(*extended, "hydra.sweeper.retry_failed=true") == 0
    assert [(row["x"], row["status"]) for row in table()] == [
        ("1", "failed"),
        ("2", "complete"),
        ("8", "complete"),
        ("1", "complete"),
    ]


def test_points_that_wait_keep_their_values_in_an_extended_study(sweep: Sweep) -> None:
    """One was enqueued, one was suggested ahead and released."""
    assert sweep("x=1,2,3", "hydra.sweeper.n_trials=1", "hydra.sweeper.enqueue=[{x: 3}]") == 0
    study = optuna.load_study(
        study_name="study", storage=JournalStorage(JournalFileBackend("multirun/study/study.journal"))
    )
    study.enqueue_trial({"x": 2})
    assert sweep("x=1,2,3,4", "hydra.sweeper.on_change=extend") == 0
    assert [row["x"] for row in table()] == ["3", "2", "1", "4"]


@pytest.mark.parametrize("space", ["x=interval(0,3)", "x=tag(log,interval(1,3))", "x=7,2.5"])
def test_a_parameter_of_another_kind_begins_anew_in_an_extended_study(sweep: Sweep, space: str) -> None:
    assert sweep("x=int(interval(1,3))", "hydra.sweeper.n_trials=2") == 0
    assert sweep(space, "hydra.sweeper.n_trials=4", "hydra.sweeper.on_change=extend") == 0
    assert states() == ["COMPLETE"] * 4
    rows = list(csv.DictReader(Path("multirun/study/trials.csv").read_text().splitlines()))
    assert all(row["x"] for row in rows)


def test_another_objective_is_refused(sweep: Sweep) -> None:
    assert sweep("x=1,2", "+objective={metric: a, mode: max}") == 0
    with pytest.raises(SystemExit, match="another objective"):
        sweep("x=1,2", "+objective={metric: b, mode: max}", "hydra.sweeper.on_change=extend")
    with pytest.raises(SystemExit, match="was created to maximize, but this sweep is to minimize"):
        sweep("x=1,2", "+objective={metric: a, mode: min}")


def test_how_the_sweep_runs_may_change(sweep: Sweep) -> None:
    assert sweep("x=interval(0,1)", "hydra.sweeper.n_trials=2") == 0
    other = ("hydra.sweeper.n_jobs=1", "hydra/sweeper/sampler=random", "hydra/sweeper/pruner=median")
    assert sweep("x=interval(0,1)", "hydra.sweeper.n_trials=3", *other) == 0
    assert len(states()) == 3


def test_a_folder_with_trials_of_another_study_is_never_written_to(sweep: Sweep) -> None:
    assert sweep("x=1,2") == 0
    Path("multirun/study/study.journal").unlink()
    before = Path("multirun/study/0/output.log").read_text()
    with pytest.raises(SystemExit, match="exists but belongs to no study"):
        sweep("x=5,6")
    assert Path("multirun/study/0/output.log").read_text() == before


def test_a_grid_can_be_extended_by_a_parameter(sweep: Sweep) -> None:
    assert sweep("x=1,2,3") == 0
    assert sweep("x=1,2,3", "seed=0,1", "hydra.sweeper.on_change=extend") == 0
    points = [(trial.params["x"], trial.params["seed"]) for trial in trials()[3:]]
    assert sorted(points) == [(x, seed) for x in (1, 2, 3) for seed in (0, 1)]


def test_the_best_trial_of_an_extended_study_keeps_what_it_ran_with(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep("x=interval(0,1)", "y=5", "hydra.sweeper.n_trials=1") == 0
    assert sweep("x=interval(8,9)", "y=7", "hydra.sweeper.n_trials=2", "hydra.sweeper.on_change=extend") == 0
    command = capsys.readouterr().out.rpartition("to run it again ")[2].splitlines()[0]
    assert " x=0." in command
    assert command.endswith(" y=5")
    assert "y: 5" in Path("multirun/study/best.yaml").read_text().replace("'", "")


def test_a_torn_last_line_of_the_journal_does_not_end_a_study(sweep: Sweep) -> None:
    assert sweep("x=1,2") == 0
    journal = Path("multirun/study/study.journal")
    whole = journal.read_bytes()
    journal.write_bytes(whole + whole.splitlines()[0][:10])
    for _ in range(2):
        assert sweep("x=1,2") == 0
    assert states() == ["COMPLETE", "COMPLETE"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: [lines[0], lines[1][:20] + b"\n", *lines[2:]],
        lambda lines: [lines[0], b"hello\n", *lines[1:]],
        lambda lines: [lines[0], b"[1]\n", *lines[1:]],
        lambda lines: [lines[0], b"\xff\xfe\n", *lines[1:]],
        lambda lines: [*lines, b"hello\n"],
    ],
)
def test_a_damaged_line_of_the_journal_is_told_by_its_number(
    sweep: Sweep, damage: Callable[[list[bytes]], list[bytes]]
) -> None:
    assert sweep("x=1,2") == 0
    journal = Path("multirun/study/study.journal")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(damage(lines)))
    number = next(n for n, line in enumerate(damage(lines), start=1) if n > len(lines) or line != lines[n - 1])
    with pytest.raises(SystemExit, match=rf"study\.journal is damaged: line {number} is not an entry of a study"):
        sweep("x=1,2")
    assert journal.read_bytes() == b"".join(damage(lines))


def test_a_trial_that_waited_runs_with_what_its_study_was_extended_to(sweep: Sweep) -> None:
    assert sweep("x=interval(0,1)", "y=5", "hydra.sweeper.n_trials=1") == 0
    path = Path("multirun/study/study.journal")
    study = optuna.load_study(study_name="study", storage=JournalStorage(JournalFileBackend(str(path))))
    study.enqueue_trial({"x": -1.0})
    assert sweep("x=interval(-1,1)", "y=7", "hydra.sweeper.n_trials=2", "hydra.sweeper.on_change=extend") == 0
    assert "y: 7" in Path("multirun/study/best.yaml").read_text().replace("'", "")


def test_a_study_whose_secrets_were_kept_in_plain_is_resumed(sweep: Sweep) -> None:
    words = ("x=1,2", "+mail.password=12345678", "+secrets={mail: [one, two]}")
    assert sweep(*words) == 0
    storage = JournalStorage(JournalFileBackend("multirun/study/study.journal"))
    study = optuna.load_study(study_name="study", storage=storage)
    plain = {**study.user_attrs["configuration"], "mail.password": "12345678"}  # as it was before numbers were masked
    assert plain != study.user_attrs["configuration"]
    study.set_user_attr("configuration", plain)
    assert sweep(*words) == 0
