"""The files of runs on a node that shares no folder with the controller: each run has a folder of its own there."""

import platform
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sweeplab.records.layout import RunFile
from sweeplab.records.record import Status
from sweeplab.sweep.execute.messages import Changed, Ended, HostSetup, Received, RunJob
from sweeplab.sweep.execute.transfer import Exchange, Files, Piece, Read, Say, fetching, files_of
from sweeplab.sweep.job import Job, Outcome


@dataclass
class _Run:
    job: Job
    home: Path  # what stands for the folder of the study, for this attempt alone
    files: Files  # as the controller has them
    has_begun: bool = False
    pending: Changed | None = None  # what the controller has not received yet
    outcome: Outcome | None = None
    looked_at: float = 0.0


class NodeFiles(Exchange):
    """Fetches the files of a run before it `run`s, and tells the controller what changes, if no folder is shared."""

    def __init__(self, setup: HostSetup, say: Say, run: Callable[[int, Job], None]) -> None:
        super().__init__()
        self._setup, self._say, self._run = setup, say, run
        self.root = Path(setup.node_root or setup.folder).expanduser()
        if setup.node_root is not None:
            self.root.mkdir(parents=True, exist_ok=True)
            self.root = self.root.resolve()  # as the working directory is called, which runs write down
        self.runs: dict[int, _Run] = {}  # of which the controller does not have all yet

    def start(self, message: RunJob) -> None:
        """Run a job when its files are here."""
        job = message.job
        if self._setup.node_root is None:
            self._run(message.id, job)
            return
        assert job.home is not None
        home = self.root / f"{job.id}.{job.attempt}" / job.home.name
        here = replace(job, home=home, folder=home / job.below_home, node_root=self.root)
        shutil.rmtree(home.parent, ignore_errors=True)
        self.runs[message.id] = _Run(here, home, message.files)
        moves = ((str(job.home), str(home)), (str(self._setup.folder), str(self.root)))
        pieces = fetching(message.id, message.files, (), job.below_home, home, moves, is_last=True)
        self.fetch(message.id, pieces, self._say, partial(self._begin, message.id))

    def take(self, message: Read | Piece | Received) -> None:
        """Take in what the controller says of files."""
        if (run := self.runs.get(message.id)) is None:
            return
        if not isinstance(message, Received):
            self.exchange(message, run.job.below_home, run.home, self._say)
        elif run.pending is None:
            return
        elif run.pending.outcome is not None:
            del self.runs[message.id]
            if message.is_here:
                shutil.rmtree(run.home.parent, ignore_errors=True)
        else:
            before, run.files, run.pending = run.files, run.pending.files, None
            if not message.is_here:  # some may have taken their places: the state of each is unknown
                run.files = dict.fromkeys([*before, *run.files], (-1, -1))
            if run.outcome is not None:
                self._tell(message.id, run)

    def stop(self, outcome: Outcome) -> None:
        """Let no job begin that waits for files."""
        waiting = [id_ for id_, run in self.runs.items() if not run.has_begun]
        self.drop(*waiting)
        for id_ in waiting:
            shutil.rmtree(self.runs.pop(id_).home.parent, ignore_errors=True)
            self._say(Ended(id_, outcome))

    def close(self) -> None:
        """Tell from now on only what runs come to: the controller asks for no more files, which stay here."""
        self.stop(Outcome(Status.KILLED, "the sweep ended before it began"))
        runs, self.runs = self.runs, {}
        for id_, run in runs.items():
            if run.outcome is not None:
                self._say(Ended(id_, run.outcome))

    def look(self) -> None:
        """Tell the controller what has changed since it last heard of a run, where that is a while ago."""
        for id_, run in self.runs.items():
            is_due = time.monotonic() - run.looked_at > self._setup.sync_every
            if run.has_begun and is_due and run.pending is None:
                self._tell(id_, run)

    def ended(self, id_: int, outcome: Outcome) -> None:
        """Tell the controller that a run is over, and what it leaves, when it has all that it was told of before."""
        if (run := self.runs.get(id_)) is None:
            self._say(Ended(id_, outcome))
            return
        run.outcome = outcome
        if run.pending is None:
            self._tell(id_, run)

    def _begin(self, id_: int, failure: str, unread: Sequence[str]) -> None:
        run = self.runs[id_]
        if not (reason := failure or ", ".join(unread)):
            run.has_begun, run.looked_at = True, time.monotonic()
            self._run(id_, run.job)
            return
        shutil.rmtree(self.runs.pop(id_).home.parent, ignore_errors=True)
        self._say(Ended(id_, Outcome(Status.KILLED, f"its files did not come to {platform.node()}: {reason}")))

    def _tell(self, id_: int, run: _Run) -> None:
        """Tell the controller of files, if they have changed or are the last."""
        run.looked_at = time.monotonic()
        files = files_of(run.job.below_home, run.home, RunFile.WANDB)
        if run.outcome is not None or files != run.files:
            gone = sorted(run.files.keys() - files.keys())
            run.pending = Changed(id_, files, gone, str(run.home), str(self.root), run.outcome)
            self._say(run.pending)
