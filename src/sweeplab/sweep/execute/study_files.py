"""The files of runs on nodes that share no folder with this machine, on their way into the folder of the study."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from sweeplab.records.layout import RunFile
from sweeplab.records.record import Status
from sweeplab.sweep.execute.messages import Changed, Received
from sweeplab.sweep.execute.transfer import Exchange, Files, Piece, Read, Say, fetching, files_of
from sweeplab.sweep.job import Job, Outcome

End = Callable[[Outcome], None]
log = logging.getLogger(__name__)


class StudyFiles(Exchange):
    """Sends the files that a run resumes from, and fetches what it leaves before it counts as over."""

    is_closing = False  # hosts are told to end, and answer no more

    def of(self, job: Job) -> Files:
        """Return the files that a job resumes from."""
        assert job.home is not None
        return files_of(job.below_home, job.home) if job.attempt else {}

    def take(self, job: Job, message: Changed | Read | Piece, say: Say, end: End) -> None:
        """Take in what a host says of files; end a job that is over when they are here."""
        assert job.home is not None
        if not isinstance(message, Changed):
            self.exchange(message, job.below_home, job.home, say)
            return
        if self.is_closing:
            if message.outcome is not None:
                end(without_files(job, message.outcome))
            return
        moves = ((message.home, str(job.home)), (message.root, str(Path.cwd())))
        is_last = message.outcome is not None
        pieces = fetching(message.id, message.files, message.gone, job.below_home, job.home, moves, is_last)
        self.fetch(message.id, pieces, say, partial(self._fetched, job, message, say, end))

    def _fetched(self, job: Job, changed: Changed, say: Say, end: End, failure: str, unread: Sequence[str]) -> None:
        """Say what has not come, and end the job if it is over."""
        if reason := failure or ", ".join(unread):
            log.warning("Files of trial #%s stay on its node, in %s: %s.", job.number, changed.home, reason)
        say(Received(changed.id, is_here=not reason))
        if changed.outcome is not None:
            end(without_files(job, changed.outcome, failure) if failure else changed.outcome)


def without_files(job: Job, outcome: Outcome, reason: str = "the sweep ended before") -> Outcome:
    """Return what a job comes to whose files do not come: one that did well has to run again."""
    if outcome.status not in (Status.COMPLETE, Status.PRUNED):
        return outcome
    (job.folder / RunFile.OUTCOME).unlink(missing_ok=True)
    return Outcome(Status.KILLED, f"its files did not come: {reason}", seconds=outcome.seconds)
