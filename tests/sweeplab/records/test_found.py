from pathlib import Path

import pytest

from sweeplab.errors import UserError
from sweeplab.records.found import find
from tests.sweeplab.records.made_runs import make_run


def test_runs_are_found_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 2, 0):
        make_run(tmp_path / "study" / str(number), acc=0.5)
    make_run(tmp_path / "study" / "3" / "1", acc=0.5)  # a repeat
    names = [str(run.folder.relative_to(tmp_path / "study")) for run in find([tmp_path]).runs]
    assert names == ["0", "2", "3/1", "10"]


def test_a_run_that_two_places_hold_counts_once(tmp_path: Path) -> None:
    make_run(tmp_path / "study" / "0", acc=0.5)
    assert len(find([tmp_path, tmp_path / "study" / "0", str(tmp_path / "st*")]).runs) == 1


def test_what_is_broken_foreign_or_unfinished_is_named_and_passed_by(tmp_path: Path) -> None:
    good = make_run(tmp_path / "study" / "0", acc=0.5)
    process = '"process": {"host": "h", "pid": 1, "started": 0}, "started": "2026-01-31T12:00:00+00:00"'
    broken = ['{"status": "comp', "{}", "[]", '{"status": "foo"}', '{"status": "complete", "process": null}']
    broken += [
        f'{{"status": "complete", {process}, {more}}}' for more in ('"objective": 1', '"metrics": {"a": "high"}')
    ]
    for number, content in enumerate(broken, start=10):
        name = str(number)
        (tmp_path / "study" / name).mkdir()
        (tmp_path / "study" / name / "run.json").write_text(content)
    make_run(tmp_path / "study" / "4", acc=0.5)
    (tmp_path / "study" / "4" / "config.yaml").write_text("a: [1,\nb: 2")
    (tmp_path / "study" / "5").mkdir()
    make_run(tmp_path / "study" / "6", acc=0.5)
    (tmp_path / "study" / "6" / "config.yaml").unlink()
    (tmp_path / "holiday").mkdir()
    (tmp_path / "study" / "wandb" / "offline-run").mkdir(parents=True)
    found = find([tmp_path / "study", tmp_path / "holiday"])
    assert found.runs == [good]
    assert {folder.name for folder, _ in found.skipped} == {*map(str, range(10, 17)), "4", "5", "6", "holiday"}


def test_a_linked_study_is_found_and_a_link_in_a_circle_does_no_harm(tmp_path: Path) -> None:
    run = make_run(tmp_path / "far" / "0", acc=0.5)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "linked").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "loop").symlink_to(tmp_path / "far")
    (tmp_path / "here" / "loop").symlink_to(tmp_path / "here")
    assert [found.folder.resolve() for found in find([tmp_path / "here"]).runs] == [run.folder.resolve()]


def test_a_place_without_any_run_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    with pytest.raises(UserError, match="no run is in"):
        find([tmp_path / "study"])
    with pytest.raises(UserError, match=r"did you mean '.*study'"):
        find([tmp_path / "studdy"])
    with pytest.raises(UserError, match="matches nothing"):
        find([str(tmp_path / "x*")])


def test_a_run_whose_process_is_gone_counts_as_killed(tmp_path: Path) -> None:
    import socket

    process = {"host": socket.gethostname(), "pid": 2**22 + 1, "started": 0.0}
    make_run(tmp_path / "0", status="running", process=process)
    assert find([tmp_path]).runs[0].status == "killed"
