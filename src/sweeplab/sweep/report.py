"""The page of a sweep, `report.html` in its folder: at the end, and while it goes on if it is asked for."""

import importlib
import importlib.util
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from optuna.trial import FrozenTrial

from sweeplab.errors import UserError
from sweeplab.extras import missing_extra
from sweeplab.records.layout import StudyFile
from sweeplab.sweep.job import Job
from sweeplab.sweep.listener import Listener, SweepInfo
from sweeplab.sweep.results import Summary

log = logging.getLogger(__name__)

NICE = 10  # the trials come first
SHARE = 0.1  # of the time at most, in which a page is being written
# What the page takes two seconds to import; done beside the trials from the fifth on, the sweep's end does not wait.
SLOW = ("optuna.importance", "scipy.interpolate")
SOON = 5


class Report(Listener):
    """Writes the page when the sweep ends.

    With `every` it is written meanwhile too, once in so many seconds at most, as trials start and end, and more rarely
    where that takes long; a process of its own does it, so that the sweep does not wait. A page that cannot be written
    ends nothing.
    """

    def __init__(self, every: float | None = None) -> None:
        if every is not None and (isinstance(every, bool) or not isinstance(every, int | float) or every <= 0):
            raise UserError(f"every={every} must be a number of seconds, or null to write the report at the end only.")
        self.every = every
        self._folder: Path | None = None
        self._writer: subprocess.Popen[str] | None = None
        self._began = self._due = 0.0  # when the last page was begun, and when the next is to be, by the clock of files
        self._ended = 0
        self._imports = threading.Thread(target=lambda: [importlib.import_module(name) for name in _installed(SLOW)])

    def sweep_started(self, sweep: SweepInfo, before: Summary, is_only_controller: bool) -> None:
        """Note where the runs will lie."""
        self._folder = sweep.folder
        self._due = time.time() + (self.every or 0)

    def trial_started(self, job: Job) -> None:
        """Write the page anew, if it is time."""
        self._refresh()

    def trial_told(self, trial: FrozenTrial, counts: bool) -> None:
        """Write the page anew, if it is time."""
        self._ended += 1
        if self._ended == SOON:
            self._imports.start()
        self._refresh()

    def sweep_ended(self, sweep: SweepInfo, summary: Summary) -> None:
        """Write the page of all there is; one that is being written now is out of date."""
        from sweeplab.report.page import write_study_report

        if self._writer is not None:
            self._writer.kill()
            self._writer.communicate()
        try:
            write_study_report(sweep.folder)
        except Exception as error:  # noqa: BLE001 - whatever it is, the sweep itself went well
            log.warning("no %s: %s", StudyFile.REPORT, missing_extra(error) or str(error) or type(error).__name__)
        if self._ended >= SOON:
            self._imports.join()  # a program that is ending lets no module be imported any more

    def _refresh(self) -> None:
        if self.every is None or self._folder is None or self._is_writing():
            return
        if time.time() < self._due:
            return
        self._began = time.time()
        self._due = self._began + self.every
        self._writer = subprocess.Popen(
            [sys.executable, "-m", "sweeplab.report", str(self._folder), str(self.every)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the sweep
        )
        os.setpriority(os.PRIO_PROCESS, self._writer.pid, NICE)

    def _is_writing(self) -> bool:
        """Say whether a page is being written now, and if the last one was not, why."""
        if self._writer is None:
            return False
        if self._writer.poll() is None:
            return True
        _, errors = self._writer.communicate()
        if self._writer.returncode:
            log.warning("no %s yet: %s", StudyFile.REPORT, (errors.strip().splitlines() or ["it was killed"])[-1])
        self._writer = None
        self._due = max(self._due, self._began + self._seconds() / SHARE)
        return False

    def _seconds(self) -> float:
        """Return how long the last page took, which may have been ready for long."""
        assert self._folder is not None
        try:
            written = (self._folder / StudyFile.REPORT).stat().st_mtime
        except FileNotFoundError:
            return 0.0
        return max(0.0, written - self._began)


def _installed(modules: Iterable[str]) -> Iterator[str]:
    return (module for module in modules if importlib.util.find_spec(module.partition(".")[0]))
