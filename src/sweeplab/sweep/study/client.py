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
from optuna.trial import FrozenTrial, TrialState

from sweeplab.records.process import is_alive, this_process
from sweeplab.records.record import Status
from sweeplab.sweep.job import Outcome
from sweeplab.sweep.study.search import Points
from sweeplab.sweep.study.storage import Lock, together, write_reports
from sweeplab.sweep.study.study import Study
from sweeplab.sweep.study.trials import (
    BEGAN,
    BEST,
    ENDING,
    LEASE,
    NO_VALUE,
    NOT_COUNTED,
    SECONDS,
    counts,
    params_of,
    point_key,
)

HEARTBEAT = 20.0  # seconds between two signs of life
LOST_AFTER = 120.0  # seconds without one, after which a controller on another machine counts as lost


class StudyClient:
    """Asks a study for trials and tells it what came of them: which there are, which count, and who runs them.

    `lease` is what its trials say of their controller; a sampler process has that of the controller it belongs to.
    """

    def __init__(
        self, study: Study, lock: Lock, retries: int, folder: Path, lease: Mapping[str, Any] | None = None
    ) -> None:
        self.study, self.retries = study, retries
        self._lock = lock
        self.lease = lease or {**this_process(), "controller": secrets.token_hex(4), "folder": str(folder)}
        self.controller: str = self.lease["controller"]
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
                if total is not None and sum(map(counts, trials)) >= total:
                    return None
                if points is not None and not any(trial.state is TrialState.WAITING for trial in trials):
                    following = points.following(trials)
                    if following is None:
                        return None
                    self.study.enqueue_trial(dict(following))
                trial = self.study.ask()
                trial.set_user_attr(LEASE, self.lease)
            if not self._is_locked() and self._somebody_was_faster(trial.number, total, points is not None):
                self._drop(trial, "another controller was faster")
                continue
            try:
                suggest(trial)
            except BaseException as error:
                self._drop(trial, f"no point could be suggested: {error}")
                raise
            return trial

    def begin(self, trial: optuna.Trial) -> bool:
        """Note that a trial begins now, which was asked for before; False if somebody took it for lost meanwhile."""
        try:
            trial.set_user_attr(BEGAN, datetime.now(UTC).isoformat())
        except UpdateFinishedTrialError:
            return False
        return True

    def report(self, trial: optuna.Trial, values: Mapping[int, float]) -> None:
        """Write values by their steps, all at once where the storage can; none if the trial is over."""
        with self._lock, contextlib.suppress(UpdateFinishedTrialError):
            if not self.stored(trial).state.is_finished():
                write_reports(self.study._storage, trial._trial_id, values)

    def requeue(self, trial_id: int) -> None:
        """Let a trial that was asked for and never began wait with its parameters; whoever asks next takes it."""
        with contextlib.suppress(UpdateFinishedTrialError):  # somebody took it for lost meanwhile
            self.study._storage.set_trial_state_values(trial_id, TrialState.WAITING)

    def requeue_unbegun(self, has_begun: Callable[[int], bool]) -> None:
        """Requeue the trials that were asked for in the name of this controller and, by their number, never began."""
        with self._lock:
            for trial in self.trials():
                is_ours = trial.user_attrs.get(LEASE, {}).get("controller") == self.controller
                if is_ours and trial.state is TrialState.RUNNING and not has_begun(trial.number):
                    self.requeue(trial._trial_id)

    def drop_requeued(self) -> None:
        """End the trials that were requeued: their points are those of another space or configuration."""
        with self._lock:
            for trial in self.trials():
                if trial.state is TrialState.WAITING and trial.params:
                    self.study._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
                    self._drop(optuna.Trial(self.study, trial._trial_id), "the study was extended")

    def tell(self, trial: FrozenTrial | optuna.Trial, outcome: Outcome) -> bool:
        """Write an ending; say whether it counts. A killed or interrupted trial is queued again."""
        number, id_ = trial.number, trial._trial_id
        stored = self.stored(trial)
        if stored.state.is_finished():
            return False  # another controller took us for lost, and the trial over
        put = self.study._storage.set_trial_user_attr
        with together(self.study._storage):
            put(id_, ENDING, str(outcome.status))
            put(id_, SECONDS, outcome.seconds or None)
            if outcome.reason:
                put(id_, "reason", outcome.reason)
            if outcome.status is Status.PRUNED and outcome.values:  # for which Optuna takes the last report
                put(id_, BEST, list(outcome.values))
        is_requeued = self._is_requeued(stored, outcome.status)
        if is_requeued:
            self._requeue_params(stored, outcome.status)
        state = _STATES.get(outcome.status, TrialState.FAIL)
        if state is TrialState.COMPLETE:
            for name, value in outcome.constraints.items():
                optuna.Trial(self.study, id_).set_constraint(name, value)
        values = list(outcome.values) if state is TrialState.COMPLETE and outcome.values else None
        if state is TrialState.COMPLETE and values is None:  # which Optuna does not know
            put(id_, NO_VALUE, True)
            values = [0.0] * len(self.study.directions)
        self.study.tell(number, values, state)
        return not is_requeued

    def enqueue(self, points: Sequence[Mapping[str, Any]]) -> None:
        """Queue points to try first; a study that knows them keeps them once."""
        with self._lock:
            for stored in points:
                self.study.enqueue_trial(dict(stored), skip_if_exists=True)

    def recover(self, settle: Callable[[FrozenTrial, Outcome], Outcome]) -> int:
        """Find the trials that dead controllers left running, end them and queue them again; return how many.

        `settle` is told each trial and how it was lost, and returns what it had come to before, if it had.
        """
        recovered = 0
        with self._lock:
            for trial in self.trials():
                if trial.state is TrialState.RUNNING and (loss := self._loss(trial)) is not None:
                    self.tell(trial, settle(trial, loss))
                    recovered += 1
        return recovered

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
        return time.time() - controller["beat"] <= LOST_AFTER if alive is None else alive

    def _is_locked(self) -> bool:
        return not isinstance(self._lock, contextlib.nullcontext)

    def _loss(self, trial: FrozenTrial) -> Outcome | None:
        """Say how a running trial was lost, None if it was not."""
        lease = trial.user_attrs.get(LEASE)
        if lease is None:  # its controller died, or is just about to write it
            started = trial.datetime_start
            fresh = started is not None and abs(time.time() - started.astimezone().timestamp()) < LOST_AFTER
            return None if fresh and not self._is_locked() else Outcome(Status.INTERRUPTED, "its controller was killed")
        heartbeat = self.study.user_attrs.get(f"controller {lease['controller']}", {"beat": 0.0})
        if lease["controller"] == self.controller or self._lives({**lease, **heartbeat}):
            return None
        if lease["host"] == self.lease["host"]:
            return Outcome(Status.INTERRUPTED, "its controller was killed")
        return Outcome(Status.KILLED, f"machine {lease['host']} was lost")

    def _is_requeued(self, trial: FrozenTrial, status: Status) -> bool:
        if status is Status.INTERRUPTED:
            return True
        return status is Status.KILLED and trial.user_attrs.get("attempt", 0) < self.retries

    def _requeue_params(self, trial: FrozenTrial, status: Status) -> None:
        """Queue a trial's parameters again, once, however often this is tried."""
        attempt = trial.user_attrs.get("attempt", 0) + (status is Status.KILLED)
        params = params_of(trial)
        if not any(other.user_attrs.get("again") == trial.number for other in self.trials()):
            self.study.enqueue_trial(params, user_attrs={"again": trial.number, "attempt": attempt})
        self.study._storage.set_trial_user_attr(trial._trial_id, NOT_COUNTED, True)

    def _drop(self, trial: optuna.Trial, reason: str) -> None:
        trial.set_user_attr(NOT_COUNTED, True)
        trial.set_user_attr("reason", reason)
        self.study.tell(trial, state=TrialState.FAIL)

    def _somebody_was_faster(self, number: int, total: int | None, walks: bool) -> bool:
        """Say whether earlier trials spend the budget, or do the same; where no lock keeps controllers apart."""
        *earlier, this = self.trials()[: number + 1]
        counted = [trial for trial in earlier if counts(trial)]
        if total is not None and len(counted) >= total:
            return True
        if (again := this.user_attrs.get("again")) is not None:
            return any(trial.user_attrs.get("again") == again for trial in counted)
        return walks and point_key(params_of(this)) in {point_key(params_of(trial)) for trial in counted}


_STATES = {Status.COMPLETE: TrialState.COMPLETE, Status.PRUNED: TrialState.PRUNED}
