"""What a controller asks of a study and tells it: the one place that writes trials to Optuna's storage."""

import contextlib
import math
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeplab.errors import UserError
from sweeplab.records.process import is_alive, this_process
from sweeplab.records.record import Status
from sweeplab.sweep.job import Outcome
from sweeplab.sweep.study.budget import Budget
from sweeplab.sweep.study.retries import failed_trials
from sweeplab.sweep.study.search import Points
from sweeplab.sweep.study.storage import Lock, returned_at, together, write_reports
from sweeplab.sweep.study.study import Study
from sweeplab.sweep.study.trials import (
    ATTEMPTS,
    BEGAN,
    BEST,
    ENDING,
    LEASE,
    NO_VALUE,
    NOT_COUNTED,
    REPLACES,
    SECONDS,
    attempts,
    counted,
    counts,
    params_of,
    replaces,
    times_killed,
    with_attempt,
)

HEARTBEAT = 20.0  # seconds between two signs of life
OF_THE_GRID = ("grid_id", "search_space")  # what GridSampler notes of a trial, and misses where it is not
LOST_AFTER = 120.0  # seconds without one, after which a controller on another machine counts as lost


class StudyClient:
    """Asks a study for trials and tells it what came of them: which there are, which count, and who runs them.

    `lease` is what its trials say of their controller; a sampler process has that of the controller it belongs to.
    `silence` is for how many seconds trials on the nodes of a cluster may outlive their controller. `renamed` returns
    params of a trial by the names that they have since the study was extended.
    """

    def __init__(
        self,
        study: Study,
        lock: Lock,
        retries: int,
        folder: Path,
        lease: Mapping[str, Any] | None = None,
        silence: float = 0.0,
        renamed: Callable[[Mapping[str, Any]], dict[str, Any]] = dict,
    ) -> None:
        self.study, self.retries, self._renamed = study, retries, renamed
        self._lock = lock
        ours = {**this_process(), "controller": secrets.token_hex(4), "folder": str(folder), "silence": silence}
        self.lease = lease or ours
        self.controller: str = self.lease["controller"]
        self._budget = Budget()
        self._heartbeat_at = -math.inf

    def register(self) -> bool:
        """Make this controller known; say whether it is the only one at work."""
        with self._lock:
            others = [facts for key, facts in self.study.user_attrs.items() if key.startswith("controller ")]
            self.heartbeat()
            return not any(self._lives(facts) for facts in others)

    def identity(self) -> str:
        """Return what tells the study apart from every other, also from one that had its name before."""
        with self._lock:
            if "id" not in self.study.user_attrs:
                self.study.set_user_attr("id", secrets.token_hex(3))
            return str(self.study.user_attrs["id"])

    def trials(self) -> list[FrozenTrial]:
        """Return all trials there are, in order, as the storage has them."""
        self.study._thread_local.cached_all_trials = None
        return self.study.get_trials(deepcopy=False)

    def stored(self, trial: FrozenTrial | optuna.Trial) -> FrozenTrial:
        """Return a trial as the storage has it now."""
        return self.study._storage.get_trial(trial._trial_id)

    def ask(
        self, total: int | None, suggest: Callable[[optuna.Trial], Any], points: Points | None
    ) -> optuna.Trial | None:
        """Take the next trial, its parameters suggested; None if the budget is spent or the grid gone through."""
        while True:
            with self._lock:
                trials = self.trials()
                if total is not None and self._budget.spent(trials) >= total:
                    return None
                if points is not None and not any(trial.state is TrialState.WAITING for trial in trials):
                    following = points.following(trials)
                    if following is None:
                        return None
                    self.study.enqueue_trial(dict(following))
                trial = self.study.ask()
                trial.set_user_attr(LEASE, self.lease)
            if not self._is_locked() and self._somebody_was_faster(trial.number, total, points):
                self._drop(trial, "another controller was faster")
                continue
            try:
                with together(self.study._storage):
                    suggest(trial)
            except BaseException as error:
                self._drop(trial, f"no point could be suggested: {error}")
                raise
            return trial

    def runs(self, trial: FrozenTrial | optuna.Trial) -> bool:
        """Say whether a trial is this controller's; not if another one took it for lost, or it is over."""
        return self._is_ours(self.stored(trial))

    def begin(self, trial: optuna.Trial) -> bool:
        """Note that a trial begins now, which was asked for before; False if somebody took it for lost meanwhile."""
        if is_ours := self.runs(trial):
            trial.set_user_attr(BEGAN, datetime.now(UTC).isoformat())
        return is_ours

    def report(self, values: Mapping[optuna.Trial, Mapping[int, float]]) -> None:
        """Write what trials of ours have reported, by steps; in one write where the storage can."""
        with self._lock, together(self.study._storage):
            trials = self.trials()
            for trial, reported in values.items():
                with contextlib.suppress(UpdateFinishedTrialError):
                    if self._is_ours(trials[trial.number]):
                        write_reports(self.study._storage, trial._trial_id, reported)

    def release(self, trial: optuna.Trial) -> None:
        """Let a trial that was asked for and never began wait with its parameters; whoever asks next takes it."""
        with self._lock:
            self._release(self.stored(trial))

    def release_unbegun(self, has_begun: Callable[[int], bool]) -> None:
        """Release the trials that were asked for in the name of this controller and, by their number, never began."""
        with self._lock:
            for trial in self.trials():
                if not has_begun(trial.number):
                    self._release(trial)

    def drop_waiting(self) -> None:
        """End the trials that wait with parameters: their points are those of another space or configuration.

        One that was cut is begun anew, under another number.
        """
        with self._lock:
            for trial in self.trials():
                if trial.state is TrialState.WAITING and trial.params:
                    self.study._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
                    self._drop(trial, "the study was extended")
                    with contextlib.suppress(UserError):  # it is not searched any more
                        if attempts(trial):
                            self._enqueue_again(trial)

    def rename_queued(self) -> None:
        """Give the points that wait the names that the study has for them now; drop what is not searched any more."""
        with self._lock:
            for trial in self.trials():
                queued = trial.system_attrs.get("fixed_params")
                if trial.state is not TrialState.WAITING or trial.params or not queued:
                    continue
                storage, id_ = self.study._storage, trial._trial_id
                try:
                    renamed = self._renamed(queued)
                except UserError as error:
                    storage.set_trial_state_values(id_, TrialState.RUNNING)
                    self._drop(trial, str(error))
                else:
                    if renamed != queued:
                        storage.set_trial_system_attr(id_, "fixed_params", renamed)

    def renumber(self, trial: optuna.Trial, reason: str) -> None:
        """End a trial that cannot run under its number, and queue its point under another one."""
        with self._lock:
            stored = self.stored(trial)
            self._drop(stored, reason)
            self._enqueue_again(stored)

    def retry(self, numbers: Sequence[int] | None = None) -> int:
        """Queue the points of failed trials again, of all or of some numbers, and return how many were queued.

        Another trial runs such a point: Optuna changes nothing about one that ended.

        Raises:
            UserError: a number of no trial, of one that did not fail, or whose point is not searched any more.
        """
        with self._lock:
            failed = failed_trials(self.trials(), numbers)
            for trial in failed:
                self._enqueue_again(trial)
        return len(failed)

    def tell(self, trial: FrozenTrial | optuna.Trial, outcome: Outcome) -> bool:
        """Write the ending of a trial of ours; say whether it counts. One that was cut waits, and goes on later."""
        stored = self.stored(trial)
        try:
            return self._is_ours(stored) and self._tell(stored, outcome)
        except (UpdateFinishedTrialError, ValueError):
            if self._is_ours(self.stored(trial)):
                raise
            return False  # a controller that reached the storage when this one did not has taken it

    def enqueue(self, points: Sequence[Mapping[str, Any]]) -> None:
        """Queue points to try first; a study that knows them keeps them once."""
        with self._lock:
            known = [self._renamed_or_none(trial) for trial in self.trials()]
            for stored in points:
                if dict(stored) not in known:
                    self.study.enqueue_trial(dict(stored), skip_if_exists=True)

    def _renamed_or_none(self, trial: FrozenTrial) -> dict[str, Any] | None:
        """Return what a trial was queued with, else its params, by the names of now; None if it is not searched."""
        try:
            return self._renamed(trial.system_attrs.get("fixed_params", trial.params))
        except UserError:
            return None

    def recover(self, settle: Callable[[FrozenTrial, Outcome], Outcome]) -> int:
        """Find the trials that dead controllers left running, and end them, or let them wait; return how many.

        `settle` is told each trial and how it was lost, and returns what it had come to before, if it had.
        """
        recovered = 0
        with self._lock:
            for trial in self.trials():
                if trial.state is TrialState.RUNNING and (loss := self._loss(trial)) is not None:
                    self._tell(trial, settle(trial, loss))
                    recovered += 1
        return recovered

    def may_run_until(self, trial: FrozenTrial) -> float:
        """Return until when, by the clock, a lost trial may still run on a node that does not know of the loss."""
        lease = trial.user_attrs.get(LEASE, {})
        if not lease.get("silence"):
            return 0.0
        heartbeat = self.study.user_attrs.get(f"controller {lease['controller']}", {"beat": 0.0})
        return float(self._latest_sign(heartbeat["beat"]) + HEARTBEAT + lease["silence"])

    def heartbeat(self) -> bool:
        """Give a sign of life if it is time; say whether it was."""
        if time.monotonic() - self._heartbeat_at < HEARTBEAT:
            return False
        self._heartbeat_at = time.monotonic()
        self.study.set_user_attr(f"controller {self.controller}", {**self.lease, "beat": time.time()})
        return True

    def _lives(self, controller: Mapping[str, Any]) -> bool:
        """Say whether a controller is at work, here or on another machine."""
        alive = is_alive(controller)
        return time.time() - self._latest_sign(controller["beat"]) <= LOST_AFTER if alive is None else alive

    def _latest_sign(self, at: float) -> float:
        """Return from when on silence counts: no controller can give a sign while the storage is away."""
        return max(at, returned_at(self.study._storage))

    def _is_locked(self) -> bool:
        return not isinstance(self._lock, contextlib.nullcontext)

    def _loss(self, trial: FrozenTrial) -> Outcome | None:
        """Say how a running trial was lost, None if it was not."""
        lease = trial.user_attrs.get(LEASE)
        if lease is None:  # its controller died, or is just about to write it
            started = trial.datetime_start
            sign = None if started is None else self._latest_sign(started.astimezone().timestamp())
            fresh = sign is not None and abs(time.time() - sign) < LOST_AFTER
            return None if fresh and not self._is_locked() else Outcome(Status.INTERRUPTED, "its controller was killed")
        heartbeat = self.study.user_attrs.get(f"controller {lease['controller']}", {"beat": 0.0})
        if lease["controller"] == self.controller or self._lives({**lease, **heartbeat}):
            return None
        if lease["host"] == self.lease["host"]:
            return Outcome(Status.INTERRUPTED, "its controller was killed")
        return Outcome(Status.KILLED, f"machine {lease['host']} was lost")

    def _is_ours(self, trial: FrozenTrial) -> bool:
        is_running = trial.state is TrialState.RUNNING
        return is_running and trial.user_attrs.get(LEASE, {}).get("controller") == self.controller

    def _release(self, trial: FrozenTrial) -> None:
        if self._is_ours(trial):
            self.study._storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)

    def _tell(self, trial: FrozenTrial, outcome: Outcome) -> bool:
        if self._goes_on(trial, outcome.status):
            self._let_wait(trial, outcome)
            return False
        with together(self.study._storage):
            self._end(trial, outcome)
        return True

    def _end(self, trial: FrozenTrial, outcome: Outcome) -> None:
        id_, put = trial._trial_id, self.study._storage.set_trial_user_attr
        seconds = outcome.seconds + sum(attempt["seconds"] for attempt in attempts(trial))
        put(id_, ENDING, str(outcome.status))
        put(id_, SECONDS, round(seconds, 3) or None)
        if outcome.reason:
            put(id_, "reason", outcome.reason)
        if outcome.status is Status.PRUNED and outcome.values:  # for which Optuna takes the last report
            put(id_, BEST, list(outcome.values))
        state = _STATES.get(outcome.status, TrialState.FAIL)
        if state is TrialState.COMPLETE:
            for name, value in outcome.constraints.items():
                optuna.Trial(self.study, id_).set_constraint(name, value)
        values = list(outcome.values) if state is TrialState.COMPLETE and outcome.values else None
        if state is TrialState.COMPLETE and values is None:  # which Optuna does not know
            put(id_, NO_VALUE, True)
            values = [0.0] * len(self.study.directions)
        self.study.tell(trial.number, values, state)

    def _goes_on(self, trial: FrozenTrial, status: Status) -> bool:
        if status is Status.INTERRUPTED:
            return True
        return status is Status.KILLED and times_killed(trial) < self.retries

    def _let_wait(self, trial: FrozenTrial, outcome: Outcome) -> None:
        """Note an attempt that was cut, and let the trial wait with its parameters and reports."""
        id_, storage = trial._trial_id, self.study._storage
        with together(storage):
            storage.set_trial_user_attr(id_, ATTEMPTS, with_attempt(trial, outcome))
            if trial.user_attrs.get(BEGAN):
                storage.set_trial_user_attr(id_, BEGAN, None)
            storage.set_trial_state_values(id_, TrialState.WAITING)

    def _enqueue_again(self, trial: FrozenTrial) -> None:
        """Queue the point of a trial that is over, for another one; it stays the point of the grid that it was."""
        facts = {name: trial.system_attrs[name] for name in OF_THE_GRID if name in trial.system_attrs}
        self.study.add_trial(
            create_trial(
                state=TrialState.WAITING,
                system_attrs={"fixed_params": self._renamed(params_of(trial)), **facts},
                user_attrs={REPLACES: trial.number},
            )
        )

    def _drop(self, trial: FrozenTrial | optuna.Trial, reason: str) -> None:
        """End a trial that takes no part in the study."""
        facts = {NOT_COUNTED: True, "reason": reason}
        if cut := attempts(trial):
            facts[ENDING] = cut[-1]["status"]
        for name, value in facts.items():
            self.study._storage.set_trial_user_attr(trial._trial_id, name, value)
        self.study.tell(trial.number, state=TrialState.FAIL)

    def _somebody_was_faster(self, number: int, total: int | None, points: Points | None) -> bool:
        """Say whether earlier trials spend the budget, or do the same; where no lock keeps controllers apart."""
        trials = self.trials()
        *earlier, this = trials[: number + 1]
        others = [trial for trial in counted(trials) if trial.number < number]
        if total is not None and len(others) >= total:
            return True
        if (replaced := replaces(this)) is not None:
            return any(replaces(trial) == replaced for trial in earlier if counts(trial))
        if points is None:
            return False
        if not (this.params or "fixed_params" in this.system_attrs):  # the one that was queued is taken
            return True
        return points.key(params_of(this)) in {points.key(params_of(trial)) for trial in others}


_STATES = {Status.COMPLETE: TrialState.COMPLETE, Status.PRUNED: TrialState.PRUNED}
