"""Where a sweep's trials come from: drawn by the controller or, if that takes too long, by a process of its own."""

import statistics
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import optuna

from sweeplab.sweep.book import Book
from sweeplab.sweep.drawer import Drawer, Drawn
from sweeplab.sweep.plan import Plan
from sweeplab.sweep.search import Search

# The share of the controller's time that drawing may take. Beyond it trials would wait for their turn to be told.
HEAVY = 0.25
RECENT = 5  # draws that are looked at


@dataclass(frozen=True)
class Draw:
    """A trial that the study has given out, and its point; `early` says that it came from the process apart."""

    trial: optuna.Trial
    values: Mapping[str, Any]
    early: bool = False


class Draws:
    """Takes trials from a study of `total` trials, None without an end.

    The process apart keeps as many in stock as there are slots: it is for studies of so many trials that the results
    of the last few tell their sampler nothing, and slots become free in bursts.
    """

    def __init__(self, plan: Plan, search: Search, book: Book, total: int | None, slots: int) -> None:
        self._plan, self._search, self._book, self._total, self._slots = plan, search, book, total, slots
        self._stock: deque[Drawn] = deque()
        self._seconds: deque[float] = deque(maxlen=RECENT)
        self._drawer: Drawer | None = None

    def next(self) -> Draw | None:
        """Return the next trial; None if there is none, or none yet."""
        if self._drawer is not None and self._drawer.ready:
            return self._drawn(self._drawer)
        start, chosen = time.monotonic(), dict[str, Any]()
        trial = self._book.ask(self._total, lambda t: chosen.update(self._search.suggest(t)), self._search.points)
        self._seconds.append(time.monotonic() - start)
        return None if trial is None else Draw(trial, chosen)

    def keep_pace(self, rate: float) -> None:
        """Have trials drawn elsewhere from now on, if so many a second take too much of this process's time."""
        heavy = bool(self._seconds) and statistics.median(self._seconds) * rate > HEAVY
        if heavy and self._drawer is None and not self._search.exhaustive:
            self._drawer = Drawer(self._plan, self._book.lease)

    def hold(self, draw: Draw) -> None:
        """Let a trial wait for a slot. One from the process apart stays as begun: that process takes all that wait."""
        if not draw.early:
            self._book.put_off(draw.trial._trial_id)

    def begin(self, draw: Draw) -> bool:
        """Begin a trial that was held; False if another controller has taken it meanwhile."""
        if not draw.early:
            return self._book.take_up(draw.trial)
        self._book.note_beginning(draw.trial)
        return True

    def give_back(self, draw: Draw) -> None:
        """Let a trial that was held wait in the study, where any controller may take it."""
        self._book.put_off(draw.trial._trial_id)

    def look(self) -> bool:
        """Take in what the other process has said, if there is one; False if it has died."""
        if self._drawer is None:
            return True
        self._drawer.look()
        if (drawn := self._drawer.take()) is not None:
            self._stock.append(drawn)
            if drawn.trial is not None and len(self._stock) < self._slots:
                self._drawer.ask(self._total)
        if not self._drawer.gone:
            return True
        self.close()
        return False

    def close(self) -> None:
        """End the other process, if there is one; what is in stock waits in the study."""
        if self._drawer is not None:
            self._drawer.close()
            self._drawer = None
        while self._stock:
            if (trial := self._stock.popleft().trial) is not None:
                self._book.put_off(trial)

    @property
    def channels(self) -> list[Connection]:
        """What can be read when the other process has said something."""
        return [self._drawer.channel] if self._drawer is not None else []

    @property
    def under_way(self) -> bool:
        """Whether the other process is drawing."""
        return self._drawer is not None and self._drawer.busy

    def _drawn(self, drawer: Drawer) -> Draw | None:
        drawn = self._stock.popleft() if self._stock else None
        if drawn is None or drawn.trial is not None:
            drawer.ask(self._total)
        if drawn is None:
            return None
        if drawn.error is not None:
            raise drawn.error
        study = self._book.study
        study.exhausted = study.exhausted or drawn.exhausted
        if drawn.trial is None or drawn.values is None:
            return None
        return Draw(optuna.Trial(study, drawn.trial), drawn.values, early=True)
