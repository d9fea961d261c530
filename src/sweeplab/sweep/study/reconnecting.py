"""A storage that may be away for a while: what is asked of it is asked again until it answers."""

import copy
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, TypeVar

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeplab.errors import UserError

PATIENCE = 300.0  # seconds without an answer, after which a sweep ends
# Seconds before each further attempt, the last ones over and over. The first error may be that of an old connection.
PAUSES = (0.0, 0.5, 1.0, 2.0)
MARK = "sweeplab:created"  # by which a trial is recognized whose making was not answered

T = TypeVar("T")
log = logging.getLogger(__name__)


class StorageLostError(Exception):
    """The storage did not answer; whether it did what it was asked to is unknown."""


def _passed_on(name: str) -> Any:
    """Return the method that asks the storage for the same until it answers."""

    def method(self: "ReconnectingStorage", *arguments: Any, **named: Any) -> Any:
        return self.reach(lambda: getattr(self.storage, name)(*arguments, **named))

    return method


class ReconnectingStorage(BaseStorage):
    """Asks a storage again when the connection is lost, for five minutes.

    What was done although its answer was lost is not done twice. `tell` gets a sentence when the storage goes away and
    when it is back, `may_wait` is asked before each further attempt, and `returned_at` is when it was last back, by the
    clock. After the five minutes, or where it may not wait, this and all further calls fail.

    Args:
        storage: the storage.
        name: the storage in messages, without a password.
        losses: the errors that mean that it did not answer.
        reason: what a message says of such an error, without a password.
        renewed: returns the storage with a connection that has not failed yet.

    Raises:
        UserError: the storage is not back in time.
    """

    def __init__(
        self,
        storage: BaseStorage,
        name: str,
        losses: type[Exception] = StorageLostError,
        reason: Callable[[Exception], str] = str,
        renewed: Callable[[Any], BaseStorage] = lambda storage: storage,
    ) -> None:
        self.storage = storage
        self.tell: Callable[[str], None] = log.warning
        self.may_wait: Callable[[], bool] = lambda: True
        self.returned_at = 0.0
        self._name, self._losses, self._reason, self._renewed = name, losses, reason, renewed
        self._given_up = ""

    def reach(self, call: Callable[[], T], came_of: Callable[[], T | None] = lambda: None) -> T:
        """Return the answer to a call, which is made again as long as there is none.

        `came_of` is asked before that what the last attempt may have done: the answer to the call, or None.
        """
        if self._given_up:
            raise UserError(self._given_up)
        since = time.monotonic()
        for attempt in count():
            try:
                done = came_of() if attempt else None
                answer = call() if done is None else done
            except self._losses as error:
                self._wait(attempt, since, self._reason(error))
            else:
                if attempt > 1:
                    self.returned_at = time.time()
                    self.tell(f"{self._name} answers again.")
                return answer
        raise AssertionError

    def _wait(self, attempt: int, since: float, reason: str) -> None:
        if attempt == 1:
            self.tell(
                f"{self._name} does not answer ({reason}); trying again for {PATIENCE:.0f} s. Trials that run go on; "
                "Ctrl-C twice ends the sweep."
            )
        seconds = time.monotonic() - since
        if seconds >= PATIENCE or (attempt and not self.may_wait()):  # the first error may be of an old connection
            self._given_up = (
                f"{self._name} has not answered for {seconds:.0f} s ({reason}); the trials that ran are interrupted, "
                "and the same command resumes the sweep."
            )
            raise UserError(self._given_up)
        try:
            time.sleep(PAUSES[min(attempt, len(PAUSES) - 1)])
        except KeyboardInterrupt:
            self._given_up = f"{self._name} has not answered."
            raise
        self.storage = self._renewed(self.storage)

    create_new_study = _passed_on("create_new_study")
    delete_study = _passed_on("delete_study")
    set_study_user_attr = _passed_on("set_study_user_attr")
    set_study_system_attr = _passed_on("set_study_system_attr")
    get_study_id_from_name = _passed_on("get_study_id_from_name")
    get_study_name_from_id = _passed_on("get_study_name_from_id")
    get_study_directions = _passed_on("get_study_directions")
    get_study_user_attrs = _passed_on("get_study_user_attrs")
    get_study_system_attrs = _passed_on("get_study_system_attrs")
    get_all_studies = _passed_on("get_all_studies")
    set_trial_param = _passed_on("set_trial_param")
    get_trial_id_from_study_id_trial_number = _passed_on("get_trial_id_from_study_id_trial_number")
    set_trial_intermediate_value = _passed_on("set_trial_intermediate_value")
    set_trial_user_attr = _passed_on("set_trial_user_attr")
    set_trial_system_attr = _passed_on("set_trial_system_attr")
    get_trial = _passed_on("get_trial")
    get_all_trials = _passed_on("get_all_trials")
    get_best_trial = _passed_on("get_best_trial")

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Make a trial, once."""
        template = copy.copy(template_trial) or create_trial(state=TrialState.RUNNING)
        mark = secrets.token_hex(8)
        template.system_attrs = {**template.system_attrs, MARK: mark}

        def came_of() -> int | None:
            trials = self.storage.get_all_trials(study_id, deepcopy=False)
            return next((t._trial_id for t in reversed(trials) if t.system_attrs.get(MARK) == mark), None)

        return self.reach(lambda: self.storage.create_new_trial(study_id, template), came_of)

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Change the state of a trial, once; False if it was to run and somebody else has taken it.

        Where it is not known who has, it is nobody's, and its next controller recovers it.
        """
        before = self.get_trial(trial_id).datetime_start if state is TrialState.WAITING else None

        def came_of() -> bool | None:
            trial = self.storage.get_trial(trial_id)
            if state is TrialState.WAITING and trial.datetime_start != before:  # it waited, and somebody has taken it
                return True
            return True if trial.state is state and state is not TrialState.RUNNING else None

        return self.reach(lambda: self.storage.set_trial_state_values(trial_id, state, values), came_of)
