"""Where the trials of a sweep come from, one after the other, whether its sampler is quick or slow."""

import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import optuna

from sweeplab.sweep.spec import SweepSpec
from sweeplab.sweep.study.client import StudyClient
from sweeplab.sweep.study.sampler_process import Answer, SamplerProcess
from sweeplab.sweep.study.search import Search

# Seconds. Trials that take less on average are suggested while others still run, without the result of the one whose
# slot they get; longer ones lose nothing by waiting for it.
SHORT_TRIAL = 10.0
# The share of the controller's time that its sampler may take. Beyond it the results of trials would wait to be told.
MAX_SAMPLER_SHARE = 0.25
RECENT_SUGGESTIONS = 5  # suggestions whose time is looked at
MAX_PROCESSES = 3  # sampler processes, one after the other; one that dies may do so for a reason that stays


@dataclass(frozen=True)
class Suggestion:
    """A trial that the study has given to this controller, and its point; `ahead` if there was no slot for it yet."""

    trial: optuna.Trial
    values: Mapping[str, Any]
    ahead: bool = False


class Suggestions:
    """The queue from which a sweep takes its trials: `next` for a free slot, `prefetch` to prepare the one after.

    The queue is filled when it is empty and a trial is wanted. Where that takes too much of the controller's time, a
    sampler process fills it in advance, with as many trials as there are slots: in studies of so many trials the
    results of the last few tell a sampler nothing, and slots become free in bursts.

    `total` is the number of trials of the study, None without an end; `slots` returns how many there are at the moment;
    `has_begun` says whether a trial of this controller has begun, by its number: all others are released at the end.
    """

    def __init__(
        self,
        spec: SweepSpec,
        search: Search,
        client: StudyClient,
        total: int | None,
        slots: Callable[[], int],
        has_begun: Callable[[int], bool],
    ) -> None:
        self._spec, self._search, self._client, self._total, self._slots = spec, search, client, total, slots
        self._has_begun = has_begun
        self._queue: deque[Suggestion] = deque()
        self._suggest_seconds: deque[float] = deque(maxlen=RECENT_SUGGESTIONS)
        self._runs, self._run_seconds = 0, 0.0
        self._process: SamplerProcess | None = None
        self._processes_left = MAX_PROCESSES
        # Whether the sampler process has found no trial, and nothing has ended since it was asked.
        self._none_left = self._asked_since_an_end = False
        self._error: Exception | None = None

    def next(self) -> Suggestion | None:
        """Return the trial that begins now; None if there is none, or none yet."""
        while self._first(ahead=False) is not None:
            suggestion = self._queue.popleft()
            self._request()
            # Another controller may have taken one that waited for lost.
            if not suggestion.ahead or self._client.begin(suggestion.trial):
                return suggestion
        return None

    def prefetch(self) -> Suggestion | None:
        """Return the trial that `next` will return, if it need not wait for the results of those that run."""
        if self._slots() <= 1 or not self._runs or self._run_seconds / self._runs >= SHORT_TRIAL:
            return None
        suggestion = self._first(ahead=True)
        if suggestion is not None and self._is_heavy() and self._process is None and self._processes_left:
            self._processes_left -= 1
            self._process = SamplerProcess(self._spec, self._client.lease)
        return suggestion

    def has_next(self) -> bool:
        """Say whether there is a trial to begin as soon as there is a slot."""
        return self._first(ahead=True) is not None

    def release(self) -> None:
        """Release what is in the queue, for another controller to run: none may start here any more."""
        for suggestion in self._queue:
            self._client.release(suggestion.trial)
        self._queue.clear()

    def trial_ended(self, runs: int, seconds: float) -> None:
        """Note that a trial has ended, of so many runs and seconds: there may be one where there was none."""
        self._runs += runs
        self._run_seconds += seconds
        self._none_left = self._asked_since_an_end = False

    def receive(self) -> bool:
        """Take in what the sampler process has suggested, if there is one; False if it has died."""
        if self._process is None:
            return True
        if (answer := self._process.receive()) is not None:
            self._take(answer)
        if not self._process.gone:
            return True
        self.close()
        return False

    def close(self) -> None:
        """End the sampler process, if there is one, and release all trials that have not begun."""
        self._queue.clear()
        if self._process is not None:
            self._process.close()
            self._process = None
        self._client.release_unbegun(self._has_begun)

    @property
    def channels(self) -> list[Connection]:
        """What can be read when the sampler process has suggested something."""
        return [self._process.channel] if self._process is not None else []

    @property
    def under_way(self) -> bool:
        """Whether the sampler process is at work on a trial."""
        return self._process is not None and self._process.busy

    def _first(self, ahead: bool) -> Suggestion | None:
        """Return the first trial of the queue, asking for one if it is empty.

        Raises:
            UserError, RuntimeError: the sampler has failed.
        """
        if not self._queue and self._error is not None:
            raise self._error
        if not self._queue and not self._client.study.exhausted:
            if self._process is not None and self._process.ready:
                if not self._none_left:
                    self._request()
                self._none_left = False  # it is asked again at the next turn: others may have queued a trial
            else:
                self._suggest(ahead)
        return self._queue[0] if self._queue else None

    def _suggest(self, ahead: bool) -> None:
        start, values = time.monotonic(), dict[str, Any]()
        trial = self._client.ask(self._total, lambda t: values.update(self._search.suggest(t)), self._search.points)
        self._suggest_seconds.append(time.monotonic() - start)
        if trial is not None:
            self._queue.append(Suggestion(trial, values, ahead))

    def _is_heavy(self) -> bool:
        """Say whether suggesting as many trials as run takes too much of this process's time."""
        if not self._suggest_seconds or not self._search.can_be_shared:
            return False
        rate = self._slots() * self._runs / max(self._run_seconds, 0.001)
        return statistics.median(self._suggest_seconds) * rate > MAX_SAMPLER_SHARE

    def _request(self) -> None:
        """Let the sampler process suggest a trial, if there is room for it."""
        is_over = self._none_left or self._client.study.exhausted or self._error is not None
        if self._process is not None and self._process.ready and len(self._queue) < self._slots() and not is_over:
            self._process.ask(self._total)
            self._asked_since_an_end = True

    def _take(self, answer: Answer) -> None:
        study = self._client.study
        if answer.error is not None:
            self._error = answer.error
        elif answer.trial is None:
            self._none_left = self._asked_since_an_end
        else:
            study.exhausted = study.exhausted or answer.exhausted
            self._queue.append(Suggestion(optuna.Trial(study, answer.trial), answer.values, ahead=True))
        self._request()
