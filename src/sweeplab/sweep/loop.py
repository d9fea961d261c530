"""The loop: fill the free slots, wait for the first trial to end, tell the study, fill again."""

import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from enum import IntEnum
from types import FrameType
from typing import Protocol

from optuna.exceptions import UpdateFinishedTrialError

from sweeplab.errors import UserError
from sweeplab.records import record
from sweeplab.records.record import Status
from sweeplab.sweep.active import Active
from sweeplab.sweep.execute import signals
from sweeplab.sweep.execute.executor import Executor
from sweeplab.sweep.execute.inline import Inline
from sweeplab.sweep.execute.recovery import Recovery
from sweeplab.sweep.job import Job, Outcome
from sweeplab.sweep.limits import Limits
from sweeplab.sweep.listener import Listener, Listeners
from sweeplab.sweep.spec import SweepSpec
from sweeplab.sweep.study.client import StudyClient
from sweeplab.sweep.study.search import Search
from sweeplab.sweep.study.suggestions import Suggestions
from sweeplab.sweep.study.trials import FOLDER

TICK = 0.25  # seconds; how late a key press or a time limit may be noticed
OFTEN = 1.0  # seconds between two writes of a trial's reports, where no pruner waits for them
# Seconds. Trials that take less on average are drawn and made ready while others still run, without the result of the
# one whose slot they get; longer ones lose nothing by waiting for it.
SHORT = 10.0
FAILURES = (Status.FAILED, Status.KILLED, Status.TIMEOUT)


class Course(IntEnum):
    """What the user wants of a sweep; each Ctrl-C asks for the next."""

    RUN = 0
    DRAIN = 1  # start no more trials, let those that run end
    STOP = 2  # end them, gently
    KILL = 3


class Progress(Protocol):
    """Whoever shows the sweep to the user."""

    def started(self, active: Active) -> None:
        """A trial has started."""

    def ended(self, active: Active, outcome: Outcome, counts: bool) -> None:
        """A trial has ended, and counts or not."""

    def reported(self, active: Active, value: float, step: int) -> None:
        """A trial has reported."""

    def tick(self, use: float | None) -> None:
        """Some time has passed, in which the slots were used so far."""

    def print(self, text: str) -> None:
        """Show a line."""


class Loop:
    """Runs a sweep's trials through an executor until a limit, the end of the grid, or the user stops it."""

    def __init__(
        self,
        spec: SweepSpec,
        search: Search,
        client: StudyClient,
        executor: Executor,
        limits: Limits,
        listeners: Listeners,
        progress: Progress,
    ) -> None:
        self.spec, self.search, self.client, self.executor, self.limits = spec, search, client, executor, limits
        self.listeners, self.progress = listeners, progress
        self._busy, self._runs = 0.0, 0
        self._prepared: Job | None = None
        self._suggestions = Suggestions(spec, search, client, limits.n_trials, executor.slots)
        self._since: float | None = None
        self._futures: dict[Future[Outcome], tuple[Active, Job]] = {}
        self._queue: deque[tuple[Active, int]] = deque()
        self._course, self._signal = Course.RUN, 0

    def run(self) -> str:
        """Run to the end; return why it stopped early, or nothing."""
        with self._handled_signals():
            try:
                self._turn()
            except BaseException:
                self._break_off()
                raise
            finally:
                self._close_suggestions()
        return self.limits.stopped

    def _turn(self) -> None:
        while True:
            self._obey()
            self._fill()
            if not self._futures and not (self._suggestions.under_way and self.limits.may_start()):
                return
            self._wait()
            self._collect()
            for active, _ in self._futures.values():
                self._write_reports(active)
            self._look_after_others()
            self.progress.tick(self.use)

    def _wait(self) -> None:
        self.executor.wait(TICK, self._suggestions.channels)
        if self._suggestions.look():
            return
        self._close_suggestions()
        if self._course is Course.RUN:  # else a signal may have reached that process too
            self.progress.print("The process that drew trials is gone; the sweep draws them itself again.")

    def _close_suggestions(self) -> None:
        """Draw no more elsewhere; what was drawn there and never came here is given back."""
        self._suggestions.close()
        known = {active.number for active, _ in [*self._futures.values(), *self._queue]}
        self.client.requeue_unbegun(lambda n: n in known or self.spec.folder_of(n).exists())

    def _break_off(self) -> None:
        """End all trials, so that none stays running in the study."""
        self._course = Course.STOP
        self.executor.stop(Status.INTERRUPTED, "the sweep broke off")
        self.executor.close()
        self._drop_queue()
        self._collect()

    def _fill(self) -> None:
        while self.executor.free() > 0:
            if not self._queue and not self._next_trial():
                return
            active, repeat = self._queue[0]
            if active.ahead and not self._take_up(active):
                continue
            self._queue.popleft()
            self._start(active, repeat)
        self._go_ahead()

    def _go_ahead(self) -> None:
        """Between short trials, draw the next one and get a process ready for it while all slots are taken."""
        short = self._runs > 0 and self._busy / self._runs < SHORT
        if not short or self.executor.slots == 1 or self._queue or not self._next_trial():
            return
        active, repeat = self._queue[0]
        active.ahead = True
        self._suggestions.keep_pace(self.executor.slots * self._runs / max(self._busy, 0.001))
        self._prepared = self._job(active, repeat)
        self.executor.prepare(self._prepared)

    def _take_up(self, active: Active) -> bool:
        """Begin a trial that was drawn ahead; if none may start now, give it back."""
        active.ahead = False
        if not self.limits.may_start():
            self.client.requeue(active.trial._trial_id)
        elif self.client.begin(active.trial):
            active.started = time.monotonic()
            return True
        self._queue = deque(entry for entry in self._queue if entry[0] is not active)
        self._forget()
        return False

    def _forget(self) -> None:
        """Give up what is prepared."""
        self._prepared = None
        self.executor.forget()

    def _next_trial(self) -> bool:
        """Take a trial from the study, if one may start."""
        if not self.limits.may_start() or self.client.study.exhausted:
            return False
        draw = self._suggestions.next()
        if draw is None:
            # Not spent for good: a running trial that is killed comes back.
            return False
        active = Active(draw, self.spec.settings.repeats, draw.ahead)
        if name := self.spec.name_folder(active.number, active.values):
            active.trial.set_user_attr(FOLDER, name)
        self._queue.append((active, 0))
        if not self.search.prunes:  # else the first run decides whether the point is worth the others
            self._queue.extend((active, repeat) for repeat in range(1, active.waiting))
        return True

    def _job(self, active: Active, repeat: int) -> Job:
        return self.spec.job(active.number, active.values, repeat, self.search.prunes and repeat == 0)

    def _start(self, active: Active, repeat: int) -> None:
        job, self._prepared = self._prepared or self._job(active, repeat), None
        try:
            job.folder.mkdir(parents=True)
        except FileExistsError:
            self.client.tell(active.trial, Outcome(Status.INTERRUPTED, f"{job.folder} existed already"))
            raise UserError(
                f"{job.folder} exists, but not in the study {self.spec.name}; choose {self.spec.another}."
            ) from None
        if repeat == 0:
            self.progress.started(active)
        before = time.monotonic()
        active.waiting -= 1
        active.running += 1
        job = replace(job, environment=self.listeners.environment(job))
        self.listeners.tell(Listener.trial_started, job)

        def report(value: float, step: int) -> bool:
            return self._report(active, value, step) if repeat == 0 else False

        try:
            future = self.executor.submit(job, report)
        except KeyboardInterrupt:  # inline, where Ctrl-C is the debugger's and the task's
            self._course, self._signal = Course.STOP, signal.SIGINT
            future = Future()
            future.set_result(Outcome(Status.INTERRUPTED, "the sweep was interrupted"))
        self._futures[future] = (active, job)
        if self._since is None:  # the first process may have waited for imports
            self._since = before if future.done() else time.monotonic()

    def _report(self, active: Active, value: float, step: int) -> bool:
        if len(self.spec.objectives) > 1:  # Optuna takes no reports then
            return False
        if step not in active.steps:  # Optuna keeps the first report of a step
            active.steps.add(step)
            if not self.search.prunes:
                active.unwritten[step] = value
                self._write_reports(active)
            elif not self._stored(active, value, step):
                return True
            self.progress.reported(active, value, step)
        return self.search.prunes and active.trial.should_prune()

    def _stored(self, active: Active, value: float, step: int) -> bool:
        """Write a report that the pruner waits for; False if somebody else has ended the trial."""
        try:
            active.trial.report(value, step)
        except UpdateFinishedTrialError:
            return False
        return True

    def _write_reports(self, active: Active, now: bool = False) -> None:
        """Write what a trial has reported and the study does not have yet, `now` or if it has waited long enough."""
        if active.unwritten and (now or time.monotonic() - active.written >= OFTEN):
            self.client.report(active.trial, active.unwritten)
            active.unwritten.clear()
            active.written = time.monotonic()

    def _collect(self) -> None:
        for future in [future for future in self._futures if future.done()]:
            active, job = self._futures.pop(future)
            self._ended(active, job, future.result())

    def _ended(self, active: Active, job: Job, outcome: Outcome) -> None:
        if self._course >= Course.STOP and outcome.status is Status.KILLED:  # by what ended the sweep
            outcome.status, outcome.reason = Status.INTERRUPTED, "the sweep was interrupted"
        self._busy += outcome.seconds
        self._runs += 1
        self.listeners.tell(Listener.trial_ended, job, outcome)
        if outcome.status is not Status.COMPLETE:
            record.conclude(job.folder, outcome.status, outcome.reason, outcome.seconds)
        active.running -= 1
        active.outcomes.append(outcome)
        good = all(one.status is Status.COMPLETE for one in active.outcomes)
        if not good or self._course is not Course.RUN:
            self._queue = deque(entry for entry in self._queue if entry[0] is not active)
            if good and active.waiting:
                active.outcomes.append(Outcome(Status.INTERRUPTED, "the sweep was interrupted"))
            active.waiting = 0
        elif active.waiting and self.search.prunes and job.repeat == 0:
            self._queue.extend((active, repeat) for repeat in range(1, active.waiting + 1))
        if not active.running and not active.waiting:
            self._tell(active)

    def _tell(self, active: Active) -> None:
        self._write_reports(active, now=True)
        outcome = active.outcome()
        counts = self.client.tell(active.trial, outcome)
        self._suggestions.told()
        self.progress.ended(active, outcome, counts)
        stored = self.client.study._storage.get_trial(active.trial._trial_id)
        self.listeners.tell(Listener.trial_told, stored, counts)
        if outcome.status in FAILURES and counts:
            self.limits.failed(self.spec, active.number, active.values, outcome)
        elif outcome.status in (Status.COMPLETE, Status.PRUNED):
            self.limits.succeeded()

    def _look_after_others(self) -> None:
        """Show that this controller lives, and take over what others have lost."""
        if self.client.heartbeat():
            self.client.recover(Recovery(self.spec, self._lost).settle)

    def _lost(self, job: Job, outcome: Outcome) -> None:
        self.listeners.tell(Listener.trial_lost, job, outcome)

    def _obey(self) -> None:
        """Do what signals have asked for since the last time."""
        if self._course is not Course.RUN and not self.limits.stopped:
            self.limits.stopped = "interrupted"
            self._drop_queue()
            if self._futures and self._course is Course.DRAIN:
                self.progress.print(
                    f"Ctrl-C: waiting for {len(self._futures)} running trials; press again to stop them."
                )
        if self._course >= Course.STOP:
            self.executor.stop(Status.INTERRUPTED, "the sweep was interrupted")
        if self._course is Course.KILL:
            self.executor.close()

    def _drop_queue(self) -> None:
        """Start none of the runs that wait; trials of which nothing runs are interrupted at once."""
        waiting = {id(active): active for active, _ in self._queue}
        self._queue.clear()
        self._forget()
        for active in waiting.values():
            if active.ahead:
                self.client.requeue(active.trial._trial_id)
            elif not active.running:
                active.outcomes.append(Outcome(Status.INTERRUPTED, "the sweep was interrupted"))
                self._tell(active)

    @property
    def use(self) -> float | None:
        """The share of the slots' time in which trials did their work; None before the first has ended."""
        if self._since is None or not self._busy:
            return None
        return min(1.0, self._busy / (self.executor.slots * (time.monotonic() - self._since)))

    @property
    def exit_code(self) -> int:
        """What the shell is told of the signal that stopped the sweep; 0 without one."""
        return 128 + self._signal if self._signal else 0

    @contextmanager
    def _handled_signals(self) -> Iterator[None]:
        """Follow Ctrl-C; SIGTERM and a closed terminal are two of them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def follow(number: int, frame: FrameType | None) -> None:
            self._signal = number
            following = Course(min(self._course + 1, Course.KILL))
            self._course = following if number == signal.SIGINT else max(following, Course.STOP)

        inline = isinstance(self.executor, Inline)  # there Ctrl-C is the debugger's
        numbers = [number for number in signals.ENDING if not (inline and number == signal.SIGINT)]
        # What the program was told to ignore, as nohup does, stays ignored.
        numbers = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, follow) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
