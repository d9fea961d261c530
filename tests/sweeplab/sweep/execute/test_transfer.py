"""Files on their way between a node and the controller, whose messages are handed over here by the test."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sweeplab.records import config, provenance
from sweeplab.records.layout import StudyFile
from sweeplab.records.record import Status
from sweeplab.sweep.execute import transfer
from sweeplab.sweep.execute.messages import Changed, Ended, Received, RunJob
from sweeplab.sweep.execute.node_files import NodeFiles
from sweeplab.sweep.execute.outcome import left_outcome, write_outcome
from sweeplab.sweep.execute.study_files import StudyFiles
from sweeplab.sweep.execute.transfer import Piece, Read, fetching
from sweeplab.sweep.job import Job, Outcome
from tests.sweeplab.sweep.specs import spec_of

COMPLETE = Outcome(Status.COMPLETE, values=(1.0,))


class Sides:
    """A node and a controller; `between` is called with each message before it arrives."""

    def __init__(self, root: Path, folder: Path, between: Callable[[Any], None] = lambda message: None) -> None:
        setup: Any = SimpleNamespace(node_root=str(root), folder=folder, sync_every=0.0)
        self.node = NodeFiles(setup, self._to_controller, self._begin)
        self.study = StudyFiles()
        self.between = between
        self.jobs: dict[int, Job] = {}  # as the controller has them
        self.begun: dict[int, Job] = {}  # as the node has them
        self.ended: dict[int, Outcome] = {}
        self.said: list[Any] = []
        self._queue: list[tuple[bool, Any]] = []

    def run(self, id_: int, job: Job) -> None:
        self.jobs[id_] = job
        self.node.start(RunJob(id_, job, self.study.of(job)))
        self.deliver()

    def deliver(self) -> None:
        while self._queue:
            is_for_node, message = self._queue.pop(0)
            self.between(message)
            if is_for_node:
                self.node.take(message)
            elif isinstance(message, Ended):
                self.ended[message.id] = message.outcome
            else:
                end = partial(self.ended.__setitem__, message.id)
                self.study.take(self.jobs[message.id], message, self._to_node, end)

    def _begin(self, id_: int, job: Job) -> None:
        self.begun[id_] = job

    def _to_controller(self, message: Any) -> None:
        self.said.append(message)
        self._queue.append((False, message))

    def _to_node(self, message: Any) -> None:
        self._queue.append((True, message))


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PIECE", 10)


@pytest.fixture
def job(folder: Path) -> Job:
    made: Job = spec_of("x=1,2,3")[0].job(0, {"x": 1.0}, 0, prunes=False)
    made.folder.mkdir(parents=True)
    return made


@pytest.fixture
def other(folder: Path) -> Job:
    made: Job = spec_of("x=1,2,3")[0].job(1, {"x": 2.0}, 0, prunes=False)
    made.folder.mkdir(parents=True)
    return made


@pytest.fixture
def sides(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Sides:
    return Sides(tmp_path_factory.mktemp("node") / "scratch", folder)


def content(folder: Path) -> dict[str, bytes]:
    """What is in a folder; nothing is on its way."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_a_run_leaves_comes_back_and_its_folder_on_the_node_goes(sides: Sides, job: Job) -> None:
    sides.run(0, job)
    there = sides.begun[0].folder
    assert not there.is_relative_to(Path.cwd())
    left = {"output.log": b"", "deep/er/best.ckpt": os.urandom(95), "exact": os.urandom(20)}
    for name, text in left.items():
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        (there / name).write_bytes(text)
    logs = there.parent / "wandb" / "offline-run-1" / "run-1.wandb"
    logs.parent.mkdir(parents=True)
    logs.write_bytes(b"log")
    sides.node.ended(0, COMPLETE)
    sides.deliver()
    assert content(job.folder) == left
    assert job.home is not None
    assert content(job.home / "wandb") == {"offline-run-1/run-1.wandb": b"log"}
    assert sorted(path.name for path in job.home.iterdir()) == ["0", "wandb"]
    assert sides.ended == {0: COMPLETE}
    assert list(sides.node.root.iterdir()) == []
    assert not sides.node.runs


def test_no_message_has_more_than_a_piece_and_reports_pass_between_them(sides: Sides, job: Job) -> None:
    sides.run(0, job)
    (sides.begun[0].folder / "best.ckpt").write_bytes(os.urandom(1000))
    sides.node.ended(0, COMPLETE)
    sides.deliver()
    pieces = [len(message.content or b"") for message in sides.said if isinstance(message, Piece)]
    assert (max(pieces), sum(pieces)) == (10, 1000)


def test_a_run_that_goes_on_finds_what_it_had_and_what_did_not_change_does_not_travel_again(
    sides: Sides, job: Job
) -> None:
    (job.folder / "checkpoints").mkdir()
    (job.folder / "checkpoints" / "last.ckpt").write_bytes(weights := os.urandom(100))
    (job.folder / "metrics.csv").write_bytes(b"1\n")
    sides.run(0, replace(job, attempt=1))
    there = sides.begun[0].folder
    assert content(there) == {"checkpoints/last.ckpt": weights, "metrics.csv": b"1\n"}
    (there / "metrics.csv").write_bytes(b"1\n2\n")
    sides.said.clear()
    sides.node.ended(0, COMPLETE)
    sides.deliver()
    assert [message.content for message in sides.said if isinstance(message, Piece)] == [b"1\n2\n"]
    assert content(job.folder) == {"checkpoints/last.ckpt": weights, "metrics.csv": b"1\n2\n"}


def test_what_changes_comes_while_the_run_goes_on_and_what_it_removed_is_removed(sides: Sides, job: Job) -> None:
    sides.run(0, job)
    there = sides.begun[0].folder
    (there / "epoch-1.ckpt").write_bytes(b"1")
    sides.node.look()
    sides.deliver()
    assert content(job.folder) == {"epoch-1.ckpt": b"1"}
    (job.folder / "notes.txt").write_bytes(b"of the user")
    (there / "epoch-1.ckpt").rename(there / "epoch-2.ckpt")
    sides.node.look()
    sides.deliver()
    assert content(job.folder) == {"epoch-2.ckpt": b"1", "notes.txt": b"of the user"}
    assert sides.ended == {}
    assert there.is_dir()


def test_a_run_that_ends_while_files_are_on_their_way_leaves_its_last_ones(sides: Sides, job: Job) -> None:
    sides.run(0, job)
    last = sides.begun[0].folder / "last.ckpt"
    last.write_bytes(b"a" * 30)

    def end(message: Any) -> None:
        if isinstance(message, Piece) and not last.read_bytes().startswith(b"b"):
            last.write_bytes(b"b" * 30)
            sides.node.ended(0, COMPLETE)

    sides.between = end
    sides.node.look()
    sides.deliver()
    assert content(job.folder) == {"last.ckpt": b"b" * 30}
    assert sides.ended == {0: COMPLETE}


def test_a_checkpoint_that_is_replaced_on_its_way_is_never_half_of_each(sides: Sides, job: Job) -> None:
    sides.run(0, job)
    last = sides.begun[0].folder / "last.ckpt"
    last.write_bytes(b"a" * 30)
    sides.node.look()
    sides.deliver()
    last.write_bytes(b"b" * 40)

    def replace_it(message: Any) -> None:
        if isinstance(message, Piece):
            last.write_bytes(b"c" * 40)
            os.utime(last, ns=(1, len(sides.said)))

    sides.between = replace_it
    sides.node.look()
    sides.deliver()
    assert content(job.folder) == {"last.ckpt": b"a" * 30}
    sides.between = lambda message: None
    sides.node.look()
    sides.deliver()
    assert content(job.folder) == {"last.ckpt": b"c" * 40}


def test_paths_in_records_are_those_of_the_side_they_are_on_and_the_configuration_stays_signed(
    sides: Sides, job: Job
) -> None:
    sides.run(0, job)
    there, root = sides.begun[0].folder, sides.node.root
    (there / ".hydra").mkdir()
    (there / "config.yaml").write_text(f"folder: {there}\nroot: {root}\ndata: '{root}/data'\nother: {root}er\n")
    (there / ".hydra" / "hydra.yaml").write_text(f"cwd: {root}\n")
    (there / "run.json").write_text(
        json.dumps({"format": 2, "status": "interrupted", "directory": str(root), "signature": "of another key"})
    )
    sides.node.ended(0, Outcome(Status.INTERRUPTED))
    sides.deliver()
    here = Path.cwd()
    text = (job.folder / "config.yaml").read_text()
    assert text == f"folder: {job.folder}\nroot: {here}\ndata: '{here}/data'\nother: {root}er\n"
    assert (job.folder / ".hydra" / "hydra.yaml").read_text() == f"cwd: {here}\n"
    record = json.loads((job.folder / "run.json").read_text())
    assert (record["directory"], record["signature"]) == (str(here), provenance.sign(text))
    sides.run(1, replace(job, attempt=1))
    again = sides.begun[1].folder
    assert again != there
    assert f"folder: {again}\nroot: {root}\n" in (again / "config.yaml").read_text()
    assert config.is_own(again)


def test_a_trial_whose_files_do_not_come_runs_again_and_they_stay_on_the_node(
    sides: Sides, job: Job, caplog: pytest.LogCaptureFixture
) -> None:
    sides.run(0, job)
    there = sides.begun[0].folder
    (there / "best.ckpt").write_bytes(os.urandom(30))
    (job.folder / "best.ckpt").mkdir()  # where no file can take its place
    sides.node.ended(0, COMPLETE)
    sides.deliver()
    outcome = sides.ended[0]
    assert (outcome.status, outcome.values) == (Status.KILLED, None)
    assert outcome.reason.startswith("its files did not come: [Errno 21] Is a directory")
    assert f"Files of trial #0 stay on its node, in {there.parent}: " in caplog.text
    assert (there / "best.ckpt").exists()
    assert [path.name for path in job.folder.parent.iterdir()] == ["0"]
    assert not sides.node.runs


def test_a_run_counts_as_over_here_only_when_all_that_it_left_has_come(sides: Sides, job: Job) -> None:
    sides.run(0, job)
    there = sides.begun[0]
    write_outcome(there, COMPLETE)
    sides.node.look()
    sides.deliver()
    assert left_outcome(job) is None  # its process may be writing its last files
    (there.folder / "run.json").write_bytes(b"1")
    (job.folder / "run.json").mkdir()  # where no file can take its place
    sides.node.ended(0, COMPLETE)
    sides.deliver()
    assert sides.ended[0].status is Status.KILLED
    assert left_outcome(job) is None


def test_a_run_that_has_to_run_again_leaves_no_outcome_here(sides: Sides, job: Job) -> None:
    sides.run(0, job)
    write_outcome(job, COMPLETE)
    (job.folder / "other").touch()
    sides.study.is_closing = True
    sides.node.ended(0, COMPLETE)
    sides.deliver()
    assert sides.ended[0].status is Status.KILLED
    assert content(job.folder).keys() == {"other"}


def test_controllers_of_one_study_do_not_meet_on_the_way(sides: Sides, job: Job, other: Job) -> None:
    sides.run(0, job)
    (sides.begun[0].folder / "best.ckpt").write_bytes(weights := os.urandom(30))
    assert job.home is not None
    files = {"1/best.ckpt": (30, 1)}
    under_way = fetching(0, files, (), other.below_home, job.home, (), is_last=True)
    next(under_way)
    sides.node.ended(0, COMPLETE)
    sides.deliver()
    assert content(job.folder) == {"best.ckpt": weights}
    assert len(list(job.home.glob(f"{StudyFile.ARRIVING}*"))) == 1
    under_way.close()


def test_a_small_file_that_grows_on_its_way_does_not_come_in_part(sides: Sides, job: Job) -> None:
    sides.run(0, job)
    log = sides.begun[0].folder / "metrics.csv"
    log.write_bytes(b"1\n")
    sides.node.look()
    sides.deliver()
    log.write_bytes(b"1\n2\n")

    def grow(message: Any) -> None:
        log.write_bytes(b"1\n" * 20)

    sides.between = grow
    sides.node.look()
    sides.deliver()
    assert content(job.folder) == {"metrics.csv": b"1\n"}
    sides.between = lambda message: None
    sides.node.look()
    sides.deliver()
    assert content(job.folder) == {"metrics.csv": b"1\n" * 20}


@pytest.mark.parametrize("above", [False, True])
def test_of_folders_that_lie_in_each_other_each_path_is_moved_once(job: Job, above: bool) -> None:
    folder = Path.cwd()
    sides = Sides(folder.parent if above else folder / "scratch", folder)
    sides.run(0, job)
    there = sides.begun[0].folder
    (there / "config.yaml").write_text(f"folder: {there}\nroot: {sides.node.root}\n")
    sides.node.ended(0, COMPLETE)
    sides.deliver()
    assert (job.folder / "config.yaml").read_text() == f"folder: {job.folder}\nroot: {folder}\n"


def test_a_node_s_folder_may_be_a_link(job: Job, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (link := tmp_path_factory.mktemp("node") / "link").symlink_to(disk := tmp_path_factory.mktemp("disk"))
    sides = Sides(link, folder)
    sides.run(0, job)
    (sides.begun[0].folder / "config.yaml").write_text(f"data: {disk}/data\n")  # as the trial's own `Path.cwd()` says
    sides.node.ended(0, COMPLETE)
    sides.deliver()
    assert (job.folder / "config.yaml").read_text() == f"data: {Path.cwd()}/data\n"


def test_a_file_that_is_gone_when_its_turn_comes_is_not_there_any_more(
    sides: Sides, job: Job, caplog: pytest.LogCaptureFixture
) -> None:
    sides.run(0, job)
    there = sides.begun[0].folder
    (there / "kept").write_bytes(b"1")
    (there / "temporary").write_bytes(b"1")
    sides.between = lambda message: (there / "temporary").unlink(missing_ok=True)
    sides.node.ended(0, COMPLETE)
    sides.deliver()
    assert (sides.ended, content(job.folder)) == ({0: COMPLETE}, {"kept": b"1"})
    assert list(sides.node.root.iterdir()) == []
    assert caplog.text == ""


@pytest.mark.parametrize(("name", "is_needed"), [("trace", False), ("run.json", True), ("checkpoints/part/0", True)])
def test_a_file_that_cannot_be_read_is_named_and_only_a_record_or_a_checkpoint_is_needed(
    sides: Sides, job: Job, caplog: pytest.LogCaptureFixture, name: str, is_needed: bool
) -> None:
    sides.run(0, job)
    there = sides.begun[0].folder
    (there / name).parent.mkdir(parents=True, exist_ok=True)
    (there / name).write_bytes(b"1")
    (there / "kept").write_bytes(b"1")

    def replace_it(message: Any) -> None:
        if isinstance(message, Read) and (there / name).is_file():
            (there / name).unlink()
            (there / name).mkdir()

    sides.between = replace_it
    sides.node.ended(0, COMPLETE)
    sides.deliver()
    assert sides.ended[0].status is (Status.KILLED if is_needed else Status.COMPLETE)
    reason = "cannot be read there" if is_needed else "(Is a directory)"
    assert f"Files of trial #0 stay on its node, in {there.parent}: 0/{name} {reason}" in caplog.text
    assert there.exists()
    assert content(job.folder) == ({} if is_needed else {"kept": b"1"})


def test_files_of_a_few_runs_travel_at_once_and_those_of_others_wait(
    sides: Sides, job: Job, other: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "AT_ONCE", 1)
    for id_, one in enumerate((job, other)):
        sides.run(id_, one)
        (sides.begun[id_].folder / "best.ckpt").write_bytes(os.urandom(30))
    sides.said.clear()
    for id_ in range(2):
        sides.node.ended(id_, COMPLETE)
    sides.deliver()
    assert [message.id for message in sides.said if isinstance(message, Piece)] == [0, 0, 0, 1, 1, 1]
    assert sides.ended == {0: COMPLETE, 1: COMPLETE}


def test_files_that_wait_begin_to_travel_when_those_before_are_dropped(
    sides: Sides, job: Job, other: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "AT_ONCE", 1)
    for id_, one in enumerate((job, other)):
        sides.run(id_, one)
        (sides.begun[id_].folder / "best.ckpt").write_bytes(b"1")
    for id_ in range(2):
        sides.node.ended(id_, COMPLETE)
    sides.between = lambda message: sides.study.drop(0) if isinstance(message, Read) else None
    sides.deliver()
    assert sides.ended == {1: COMPLETE}


def test_a_node_that_closes_says_what_each_run_came_to_though_files_are_on_their_way(
    sides: Sides, job: Job, other: Job
) -> None:
    (other.folder / "last.ckpt").write_bytes(os.urandom(30))
    jobs = [job, replace(job, number=1), replace(other, attempt=1)]
    for id_, one in enumerate(jobs[:2]):
        sides.run(id_, one)
        (sides.begun[id_].folder / "best.ckpt").write_bytes(b"1")
    sides.node.ended(0, COMPLETE)
    sides.node.start(RunJob(2, jobs[2], sides.study.of(jobs[2])))
    sides.said.clear()
    sides.node.close()
    sides.node.ended(1, Outcome(Status.KILLED, "signal SIGKILL"))
    outcomes = {message.id: message.outcome for message in sides.said if isinstance(message, Ended)}
    assert outcomes == {
        0: COMPLETE,
        1: Outcome(Status.KILLED, "signal SIGKILL"),
        2: Outcome(Status.KILLED, "the sweep ended before it began"),
    }


def test_a_file_that_was_removed_there_is_removed_here_though_it_takes_two_attempts(sides: Sides, job: Job) -> None:
    sides.run(0, job)
    there = sides.begun[0].folder
    (there / "epoch-1.ckpt").write_bytes(b"1")
    sides.node.look()
    sides.deliver()
    (there / "epoch-1.ckpt").unlink()
    (there / "trace").write_bytes(b"1")
    (job.folder / "trace").mkdir()  # where no file can take its place
    sides.node.look()
    sides.deliver()
    assert content(job.folder).keys() == {"epoch-1.ckpt"}
    (job.folder / "trace").rmdir()
    sides.node.look()
    sides.deliver()
    assert content(job.folder) == {"trace": b"1"}


def test_what_did_not_come_is_sent_again_though_nothing_has_changed(sides: Sides, job: Job) -> None:
    sides.run(0, job)
    (sides.begun[0].folder / "trace").write_bytes(b"1")
    (job.folder / "trace").mkdir()
    sides.node.look()
    sides.deliver()
    (job.folder / "trace").rmdir()
    sides.node.look()
    sides.deliver()
    assert content(job.folder) == {"trace": b"1"}


def test_a_record_that_came_before_its_configuration_is_signed_when_that_has_come(sides: Sides, job: Job) -> None:
    sides.run(0, job)
    there = sides.begun[0].folder
    (there / "run.json").write_text(json.dumps({"signature": "of another key"}))
    sides.node.look()
    sides.deliver()
    (there / "config.yaml").write_text(f"folder: {there}\n")
    sides.node.look()
    sides.deliver()
    signature = json.loads((job.folder / "run.json").read_text())["signature"]
    assert signature == provenance.sign((job.folder / "config.yaml").read_text())


def test_a_configuration_whose_paths_were_moved_travels_once(sides: Sides, job: Job) -> None:
    sides.run(0, job)
    there = sides.begun[0].folder
    (there / "config.yaml").write_text(f"folder: {there}\n")
    names: list[str] = []
    sides.between = lambda message: names.append(message.name) if getattr(message, "offset", None) == 0 else None
    for text in ("1", "1, 2"):
        (there / "metrics.csv").write_text(text)
        sides.node.look()
        sides.deliver()
    assert sorted(names) == ["0/config.yaml", "0/metrics.csv", "0/metrics.csv"]
    assert (job.folder / "config.yaml").read_text() == f"folder: {job.folder}\n"


def test_one_that_failed_has_failed_though_its_files_do_not_come(sides: Sides, job: Job) -> None:
    sides.run(0, job)
    (sides.begun[0].folder / "trace.txt").write_bytes(b"1")
    sides.study.is_closing = True
    sides.node.ended(0, failed := Outcome(Status.FAILED, "no good"))
    sides.deliver()
    assert sides.ended == {0: failed}


def test_a_run_whose_files_do_not_reach_the_node_does_not_begin(sides: Sides, job: Job) -> None:
    (job.folder / "last.ckpt").write_bytes(os.urandom(30))

    def lose(message: Any) -> None:
        (job.folder / "last.ckpt").unlink(missing_ok=True)

    sides.between = lose
    sides.run(0, replace(job, attempt=1))
    assert sides.begun == {}
    assert sides.ended[0].status is Status.KILLED
    assert "last.ckpt cannot be read there" in sides.ended[0].reason
    assert list(sides.node.root.iterdir()) == []


def test_a_job_that_waits_for_files_does_not_begin_when_all_are_stopped(sides: Sides, job: Job) -> None:
    (job.folder / "last.ckpt").write_bytes(os.urandom(30))
    stopped = Outcome(Status.INTERRUPTED, "enough")
    sides.between = lambda message: sides.node.stop(stopped)
    sides.run(0, replace(job, attempt=1))
    assert (sides.begun, sides.ended) == ({}, {0: stopped})
    assert content(job.folder).keys() == {"last.ckpt"}
    assert not sides.node.runs


@pytest.mark.parametrize(
    "name",
    ["../outside", "/outside", "1/run.json", "0/../../outside", "study.journal", "wandb/view.json", "", "linked/x"],
)
def test_a_file_that_would_lie_elsewhere_is_not_taken(sides: Sides, job: Job, name: str, folder: Path) -> None:
    assert job.home is not None
    (folder / "elsewhere").mkdir()
    (job.folder / "link").symlink_to(folder / "elsewhere")
    name = "0/link/x" if name == "linked/x" else name
    before = content(folder)
    sides.run(0, job)
    for files, gone in (({name: (1, 1)}, ()), ({}, (name,))):
        sides.study.take(
            job,
            Changed(0, files, gone, "/there", "/", COMPLETE),
            lambda message: None,
            lambda outcome: sides.ended.update({0: outcome}),
        )
        assert sides.ended.pop(0).status is Status.KILLED
    assert content(folder) == before


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "1/run.json", "0/link"])
def test_a_file_that_is_not_the_run_s_is_not_sent(sides: Sides, job: Job, name: str, folder: Path) -> None:
    (folder / "secret").write_text("secret")
    (job.folder / "link").symlink_to(folder / "secret")
    answers: list[Any] = []
    sides.study.take(job, Read(0, name, 0, (6, 1)), answers.append, lambda outcome: None)
    assert answers == [Piece(0, None, f"{name} is no file of this run")]


def test_a_run_that_goes_on_does_not_take_the_logs_of_others_along(sides: Sides, job: Job) -> None:
    assert job.home is not None
    log = job.home / "wandb" / "offline-run-1" / "run-1.wandb"
    log.parent.mkdir(parents=True)
    log.touch()
    (job.folder / "last.ckpt").touch()
    sides.run(0, replace(job, attempt=1))
    assert content(sides.node.root).keys() == {f"{job.id}.1/study/0/last.ckpt"}


def test_links_do_not_travel(sides: Sides, job: Job) -> None:
    sides.run(0, job)
    there = sides.begun[0].folder
    (there / "link").symlink_to("/etc/passwd")
    (there / "folder").symlink_to("/etc")
    (there / "file").write_bytes(b"1")
    sides.node.ended(0, COMPLETE)
    sides.deliver()
    assert content(job.folder) == {"file": b"1"}


def test_what_is_received_of_no_run_is_ignored(sides: Sides) -> None:
    for message in (Received(7, True), Read(7, "0/x", 0, (1, 1)), Piece(7, b"")):
        sides.node.take(message)
    assert sides.said == []


@pytest.fixture(autouse=True)
def nothing_is_left_on_its_way(folder: Path) -> Iterator[None]:
    yield
    assert not list(folder.rglob(".arriving*"))
