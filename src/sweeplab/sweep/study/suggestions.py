"""Where a sweep's trials come from: drawn by the controller or, if that takes too long, by a process of its own."""

import statistics
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import optuna

from sweeplab.sweep.spec import SweepSpec
from sweeplab.sweep.study.client import StudyClient
from sweeplab.sweep.study.sampler_process import Answer, SamplerProcess
from sweeplab.sweep.study.search import Search

# The share of the controller's time that drawing may take. Beyond it trials would wait for their turn to be told.
HEAVY = 0.25
RECENT = 5  # draws that are looked at
LIVES = 3  # processes that may draw, one after the other; one that dies may do so for a reason that stays


@dataclass(frozen=True)
class Draw:
    """A trial that the study has given out to this controller, and its point; `ahead` if that was a while ago."""

    trial: optuna.Trial
    values: Mapping[str, Any]
    ahead: bool = False


class Suggestions:
    """Takes trials from a study of `total` trials, None without an end.

    The process apart keeps as many in stock as there are slots: it is for studies of so many trials that the results
    of the last few tell their sampler nothing, and slots become free in bursts.
    """

    def __init__(self, spec: SweepSpec, search: Search, client: StudyClient, total: int | None, slots: int) -> None:
        self._spec, self._search, self._client, self._total, self._slots = spec, search, client, total, slots
        self._stock: deque[Answer] = deque()
        self._seconds: deque[float] = deque(maxlen=RECENT)
        self._sampler_process: SamplerProcess | None = None
        self._lives = LIVES
        # What the process apart has said of the study since anything in it changed: that there is no trial.
        self._none_left = self._asked_since = False

    def next(self) -> Draw | None:
        """Return the next trial; None if there is none, or none yet."""
        if self._sampler_process is not None and self._sampler_process.ready:
            return self._drawn(self._sampler_process)
        start, chosen = time.monotonic(), dict[str, Any]()
        trial = self._client.ask(self._total, lambda t: chosen.update(self._search.suggest(t)), self._search.points)
        self._seconds.append(time.monotonic() - start)
        return None if trial is None else Draw(trial, chosen)

    def keep_pace(self, rate: float) -> None:
        """Have trials drawn elsewhere from now on, if so many a second take too much of this process's time."""
        heavy = bool(self._seconds) and statistics.median(self._seconds) * rate > HEAVY
        if heavy and self._sampler_process is None and self._lives and self._search.can_be_shared:
            self._lives -= 1
            self._sampler_process = SamplerProcess(self._spec, self._client.lease)

    def told(self) -> None:
        """Note that a trial has ended: there may be one to draw where there was none."""
        self._none_left = self._asked_since = False

    def look(self) -> bool:
        """Take in what the other process has said, if there is one; False if it has died."""
        if self._sampler_process is None:
            return True
        answer = self._sampler_process.look()
        if answer is not None and (answer.trial is not None or answer.error is not None):
            self._stock.append(answer)
            if len(self._stock) < self._slots:
                self._ask(self._sampler_process)
        elif answer is not None:
            self._none_left = self._asked_since
        if not self._sampler_process.gone:
            return True
        self.close()
        return False

    def close(self) -> None:
        """End the other process, if there is one; what it has drawn stays begun for the study."""
        self._stock.clear()
        if self._sampler_process is not None:
            self._sampler_process.close()
            self._sampler_process = None

    @property
    def channels(self) -> list[Connection]:
        """What can be read when the other process has said something."""
        return [self._sampler_process.channel] if self._sampler_process is not None else []

    @property
    def under_way(self) -> bool:
        """Whether the other process is drawing."""
        return self._sampler_process is not None and self._sampler_process.busy

    def _ask(self, sampler_process: SamplerProcess) -> None:
        sampler_process.ask(self._total)
        self._asked_since = True

    def _drawn(self, sampler_process: SamplerProcess) -> Draw | None:
        answer = self._stock.popleft() if self._stock else None
        if answer is None and self._none_left:
            self._none_left = False  # told once; asked again at the next turn
            return None
        if not sampler_process.busy:
            self._ask(sampler_process)
        if answer is None:
            return None
        if answer.error is not None:
            raise answer.error
        assert answer.trial is not None
        self._client.study.exhausted = self._client.study.exhausted or answer.exhausted
        return Draw(optuna.Trial(self._client.study, answer.trial), answer.values, ahead=True)
