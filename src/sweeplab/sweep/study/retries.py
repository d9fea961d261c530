"""Which failed trials run again, because the user says so."""

from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

from sweeplab.errors import UserError
from sweeplab.sweep.config.settings import Settings
from sweeplab.sweep.study.trials import counted, ending, replaces


def numbers_to_retry(settings: Settings) -> list[int] | None:
    """Return the numbers of the failed trials that are to run again, None for all that failed.

    Raises:
        UserError: something else than numbers is named, or both all and some.
    """
    given = settings.retry if isinstance(settings.retry, list) else [settings.retry]
    if settings.retry is None:
        return None if settings.retry_failed else []
    if settings.retry_failed:
        raise UserError("hydra.sweeper.retry_failed=true already runs all failed trials again; remove retry.")
    if not all(isinstance(number, int) and not isinstance(number, bool) for number in given):
        raise UserError(
            f"hydra.sweeper.retry={settings.retry} is not a list of numbers of trials; "
            "write it as in 'hydra.sweeper.retry=[12,15]'."
        )
    return given


def failed_trials(trials: Sequence[FrozenTrial], numbers: Sequence[int] | None) -> list[FrozenTrial]:
    """Return the trials of a study that failed, all or those of some numbers.

    A number whose point was queued again before stands for the trial that has it now.

    Raises:
        UserError: a number of no trial, or of one that did not fail.
    """
    failed = [trial for trial in counted(trials) if trial.state is TrialState.FAIL]
    if numbers is None:
        return failed
    latest = {_latest(number, trials) for number in numbers}
    return [trial for trial in failed if trial.number in latest]


def _latest(number: int, trials: Sequence[FrozenTrial]) -> int:
    """Return the number of the trial that has the point of a failed one now.

    Raises:
        UserError: there is no trial of this number, or it did not fail.
    """
    retry = f"hydra.sweeper.retry={number}"
    if not 0 <= number < len(trials):
        raise UserError(f"{retry}: there is no trial {number}; the study has {len(trials)}, numbered from 0.")
    if (trial := trials[number]).state is not TrialState.FAIL:
        state = "waiting" if trial.state is TrialState.WAITING else ending(trial)
        raise UserError(f"{retry}: trial {number} is {state}; name trials that failed, or write retry_failed=true.")
    successors = {replaces(trial): trial.number for trial in trials}
    while number in successors:
        number = successors[number]
    return number
