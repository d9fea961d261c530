"""The loop: fill the free slots, wait for the first trial to end, tell the study, fill again."""

import signal
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import replace

from sweeplab.compare.table import plural
from sweeplab.errors import UserError
from sweeplab.records import record
from sweeplab.records.layout import RunFile
from sweeplab.records.record import Status
from sweeplab.sweep.active import Active, Reports, UnwrittenReports
from sweeplab.sweep.console import ProgressTable
from sweeplab.sweep.execute.executor import Executor, Inline
from sweeplab.sweep.execute.outcome import left_outcome
from sweeplab.sweep.execute.recovery import Recovery
from sweeplab.sweep.execute.signals import Course, Interrupts
from sweeplab.sweep.job import Job, Outcome
from sweeplab.sweep.limits import Limits
from sweeplab.sweep.listener import Listener, Listeners
from sweeplab.sweep.spec import SweepSpec
from sweeplab.sweep.study.client import StudyClient
from sweeplab.sweep.study.search import Search
from sweeplab.sweep.study.suggestions import Suggestion, Suggestions
from sweeplab.sweep.study.trials import FOLDER, attempts

TAKEN = "another controller took this one for lost"
TICK = 0.25  # seconds; how late a key press or a time limit may be noticed
INTERRUPTED = "the sweep was interrupted"


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
        progress: ProgressTable,
    ) -> None:
        self.spec, self.search, self.client, self.executor, self.limits = spec, search, client, executor, limits
        self.listeners, self.progress = listeners, progress
        self.interrupts = Interrupts()
        self._suggestions = Suggestions(spec, search, client, limits.n_trials, lambda: executor.slots, self._has_begun)
        self._unwritten = UnwrittenReports(client)
        self._prepared: Active | None = None
        self._queue: deque[Active] = deque()  # trials with further runs, as often as these may start
        self._running: dict[Future[Outcome], tuple[Active, Job]] = {}
        self._begun: set[int] = set()  # the numbers of the trials that have begun, and not ended
        self._busy = 0.0
        self._slot_seconds = 0.0  # of the slots that there were, since the first trial began
        self._since: float | None = None

    def run(self) -> str:
        """Run to the end; return why it stopped early, or nothing."""
        inline = isinstance(self.executor, Inline)  # where Ctrl-C is the debugger's and the task's
        with self.interrupts.followed(but=[signal.SIGINT] if inline else []):
            try:
                self._turn()
            except BaseException:
                self._break_off()
                raise
            finally:
                self._suggestions.close()
        return self.limits.stopped

    @property
    def use(self) -> float | None:
        """The share of the slots' time in which trials did their work; None before the first has ended."""
        if not self._slot_seconds or not self._busy:
            return None
        return min(1.0, self._busy / self._slot_seconds)

    def _turn(self) -> None:
        while True:
            self._obey()
            self._fill()
            is_waiting = self._suggestions.under_way or (self.executor.slots == 0 and self._suggestions.has_next())
            if not self._running and not (is_waiting and self.limits.may_start()):
                return
            self.executor.wait(TICK, self._suggestions.channels)
            self._count_slots()
            # When the sweep is stopped, the signal may have reached the sampler process too.
            if not self._suggestions.receive() and self.interrupts.course is Course.RUN:
                self.progress.print("The sampler process has died; the sweep continues without it.")
            self._collect()
            self._unwritten.write()
            if self.client.heartbeat():
                self._stop_if_taken()
                self.client.recover(Recovery(self.spec, self._lost, self.client.may_run_until).settle)
            self.progress.tick(self.executor.slots, self.use, self.executor.nodes)

    def _count_slots(self) -> None:
        if self._since is not None:
            before, self._since = self._since, time.monotonic()
            self._slot_seconds += self.executor.slots * (self._since - before)

    def _obey(self) -> None:
        """Do what signals have asked for since the last time."""
        course = self.interrupts.course
        if course is not Course.RUN and not self.limits.stopped:
            self.limits.stopped = "interrupted"
            self._drop_queue()
            if self._running and course is Course.DRAIN:
                self.progress.print(
                    f"Ctrl-C: waiting for {plural(len(self._running), 'running trial')}; press again to stop."
                )
        if course >= Course.STOP:
            self.executor.stop(Status.INTERRUPTED, INTERRUPTED)
        if course is Course.KILL:
            self.executor.close()

    def _stop_if_taken(self) -> None:
        """End all trials if they are another controller's now, since this one gave no sign of life for too long."""
        if not all(self.client.runs(active.trial) for active, _ in self._running.values()):
            self.executor.stop(Status.INTERRUPTED, TAKEN)

    def _break_off(self) -> None:
        """End all trials, so that none stays running in the study."""
        self.interrupts.course = Course.STOP
        self.executor.stop(Status.INTERRUPTED, "the sweep stopped on an error")
        self.executor.close()
        self._drop_queue()
        self._collect()

    def _fill(self) -> None:
        if not self.limits.may_start():
            self._suggestions.release()
        while self.executor.free() > 0:
            if (active := self._next()) is None:
                return
            self._start(active)
        self._prepare()

    def _next(self) -> Active | None:
        """Return the trial of which a run may start now."""
        while not self._queue:
            suggestion = self._suggestions.next() if self.limits.may_start() else None
            if suggestion is None:  # not for good: a running trial that is killed comes back
                return None
            prepared, self._prepared = self._prepared, None
            active = prepared if prepared and prepared.suggestion is suggestion else self._active(suggestion)
            active.started = time.monotonic()
            self._begun.add(active.number)
            self.progress.started(active)
            if not active.jobs:
                self._tell(active)
            elif self.search.prunes and not active.outcomes:  # the first run decides if the point is worth the others
                self._queue.append(active)
            else:
                self._queue.extend([active] * len(active.jobs))
        return self._queue.popleft()

    def _prepare(self) -> None:
        """Between short trials, get a process ready for the next one while all slots are taken."""
        suggestion = self._suggestions.prefetch() if self.limits.may_start() and not self._queue else None
        if suggestion is not None and (self._prepared is None or self._prepared.suggestion is not suggestion):
            self._prepared = self._active(suggestion)
            if self._prepared.jobs:
                self.executor.prepare(self._prepared.jobs[0])

    def _active(self, suggestion: Suggestion) -> Active:
        trial, values = suggestion.trial, suggestion.values
        facts, attempt = trial.user_attrs, len(attempts(trial))
        if attempt and FOLDER in facts:
            self.spec.folder_names.names[trial.number] = facts[FOLDER]
        elif name := self.spec.name_folder(trial.number, values):
            trial.set_user_attr(FOLDER, name)
        prunes, repeats = self.search.prunes, range(self.spec.settings.repeats)
        jobs = [self.spec.job(trial.number, values, repeat, prunes and repeat == 0) for repeat in repeats]
        if not attempt:
            return Active(suggestion, deque(jobs), Reports(trial, self.client, self._unwritten, prunes))
        done = {
            job.repeat: outcome for job in jobs if (outcome := left_outcome(job)) and outcome.status is Status.COMPLETE
        }
        left = deque(replace(job, attempt=attempt) for job in jobs if job.repeat not in done)
        steps = self.client.stored(trial).intermediate_values
        reports = Reports(trial, self.client, self._unwritten, prunes, steps)
        # Their time is that of the attempt in which they ran.
        return Active(suggestion, left, reports, outcomes=[replace(outcome, seconds=0.0) for outcome in done.values()])

    def _start(self, active: Active) -> None:
        job = active.jobs.popleft()
        self._make_folder(active, job)
        before = time.monotonic()
        active.running += 1
        job = replace(job, environment=self.listeners.environment(job))
        self.listeners.tell(Listener.trial_started, job)

        def report(value: float, step: int) -> bool:
            return self._report(active, value, step) if job.repeat == 0 else False

        try:
            future = self.executor.submit(job, report)
        except KeyboardInterrupt:  # inline
            self.interrupts.stop(signal.SIGINT)
            future = Future()
            future.set_result(Outcome(Status.INTERRUPTED, INTERRUPTED))
        self._running[future] = (active, job)
        self.progress.placed(active, self.executor.node_of(future))
        if self._since is None:  # the first process may have waited for imports
            self._since = before if future.done() else time.monotonic()

    def _make_folder(self, active: Active, job: Job) -> None:
        """Make the folder of a run; one that goes on finds all but its outcome there."""
        try:
            job.folder.mkdir(parents=True, exist_ok=job.attempt > 0)
        except FileExistsError:
            self.client.renumber(active.trial, f"{job.folder} existed already")
            raise UserError(
                f"{job.folder} exists, but not in the study {self.spec.name}; choose {self.spec.another}."
            ) from None
        if not job.folder.resolve().is_relative_to(self.spec.folder.resolve()):
            self.client.release(active.trial)
            raise UserError(f"{job.folder} is a link that leads out of {self.spec.folder}; remove it.")
        (job.folder / RunFile.OUTCOME).unlink(missing_ok=True)

    def _report(self, active: Active, value: float, step: int) -> bool:
        if len(self.spec.objectives) > 1:  # Optuna takes no reports then
            return False
        if active.reports.add(value, step):
            self.progress.reported(active, value, step)
        return active.reports.should_prune()

    def _collect(self) -> None:
        for future in [future for future in self._running if future.done()]:
            active, job = self._running.pop(future)
            self._ended(active, job, future.result())

    def _ended(self, active: Active, job: Job, outcome: Outcome) -> None:
        course = self.interrupts.course
        if course >= Course.STOP and outcome.status is Status.KILLED:  # by what ended the sweep
            outcome.status, outcome.reason = Status.INTERRUPTED, INTERRUPTED
        self._busy += outcome.seconds
        self.listeners.tell(Listener.trial_ended, job, outcome)
        if outcome.status is not Status.COMPLETE and self.client.runs(active.trial):
            record.conclude(job.folder, outcome.status, outcome.reason, outcome.seconds)
        active.running -= 1
        active.outcomes.append(outcome)
        is_good = all(one.status is Status.COMPLETE for one in active.outcomes)
        if not is_good or course is not Course.RUN:
            self._queue = deque(other for other in self._queue if other is not active)
            if is_good and active.jobs:
                active.outcomes.append(Outcome(Status.INTERRUPTED, INTERRUPTED))
            active.jobs.clear()
        elif self.search.prunes and job.repeat == 0:
            self._queue.extend([active] * len(active.jobs))
        if not active.running and not active.jobs:
            self._tell(active)

    def _tell(self, active: Active) -> None:
        active.reports.write()
        outcome = active.outcome()
        self._begun.discard(active.number)
        counts = self.client.tell(active.trial, outcome)
        self._suggestions.trial_ended(len(active.outcomes), outcome.seconds)
        self.progress.ended(active, outcome, counts)
        self.listeners.tell(Listener.trial_told, self.client.stored(active.trial), counts)
        self.limits.ended(self.spec, active.number, active.values, outcome, counts)

    def _drop_queue(self) -> None:
        """Start none of the runs that wait; trials of which nothing runs are interrupted at once."""
        waiting = {id(active): active for active in self._queue}
        self._queue.clear()
        for active in waiting.values():
            if not active.running:
                active.outcomes.append(Outcome(Status.INTERRUPTED, INTERRUPTED))
                self._tell(active)

    def _has_begun(self, number: int) -> bool:
        return number in self._begun

    def _lost(self, job: Job, outcome: Outcome) -> None:
        self.listeners.tell(Listener.trial_lost, job, outcome)
