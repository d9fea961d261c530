"""How much each searched key matters for the objective: Optuna's PED-ANOVA."""

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

log = logging.getLogger(__name__)

TENTH = 10  # complete trials: PED-ANOVA sets the best tenth against all
# What Optuna raises where trials are too few, or all alike.
NOT_ENOUGH = (ValueError, RuntimeError, UserWarning)


def shares(trials: Sequence["FrozenTrial"], direction: str) -> dict[str, float]:
    """Return the share of each parameter in what the only objective varies by, the greatest first.

    Nothing is returned for fewer than ten complete trials, and where Optuna has nothing to say. A parameter that not
    all trials have is left out.
    """
    import optuna

    study = study_of(trials, [direction])
    if complete(study) < TENTH:
        return {}
    try:
        with no_guesses():
            importances = optuna.importance.get_param_importances(study)
    except NOT_ENOUGH as error:
        log.debug("no importances: %s", error)
        return {}
    return {name: float(share) for name, share in importances.items() if math.isfinite(share)}


def study_of(trials: Sequence["FrozenTrial"], directions: Sequence[str]) -> "Study":
    """Return a study in memory that has these trials; nothing is logged about it."""
    import optuna
    from optuna.study import StudyDirection

    logger = logging.getLogger("optuna.storages")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        study = optuna.create_study(directions=[StudyDirection[direction.upper()] for direction in directions])
    finally:
        logger.setLevel(level)
    study.add_trials(trials)
    return study


def complete(study: "Study") -> int:
    """Return how many trials have a value."""
    from optuna.trial import TrialState

    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


@contextmanager
def no_guesses() -> Iterator[None]:
    """Take Optuna's warnings, such as that importances are equal for want of trials, for what they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield
