"""What Optuna says of a study when it is over: plots, and how much each parameter matters."""

import copy
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweeplab.sweep.plan import Plan
from sweeplab.sweep.results import Summary

log = logging.getLogger(__name__)

# What Optuna raises where trials are too few for a plot, or all alike.
TENTH = 10  # complete trials: PED-ANOVA sets the best tenth against all
NOT_ENOUGH = (ValueError, RuntimeError, UserWarning)


def importances(plan: Plan, summary: Summary) -> dict[str, float]:
    """Return the share of each key in what the first objective varies by (PED-ANOVA); nothing for too few trials."""
    study = _by_first(plan, summary)
    if _complete(study) < TENTH:
        return {}
    try:
        with _no_guesses():
            found = optuna.importance.get_param_importances(study, evaluator=_evaluator())
    except NOT_ENOUGH as error:
        log.debug("no importances: %s", error)
        return {}
    keys = {parameter.name: parameter.key for parameter in plan.space.parameters}
    return {keys.get(name, name): float(share) for name, share in found.items() if math.isfinite(share)}


def figures(plan: Plan, summary: Summary) -> Iterator[tuple[str, Any]]:
    """Return Optuna's plots of the study, by name, as Plotly's figures; those with too few trials are left out.

    All but the Pareto front show the first objective.
    """
    from optuna import visualization

    study = _by_first(plan, summary)
    if not plan.space.keys or not _complete(study):
        return
    names = [objective.name for objective in plan.objectives]
    plots: dict[str, Callable[[], Any]] = {
        "history": lambda: visualization.plot_optimization_history(study, target_name=names[0]),
        "parallel coordinates": lambda: visualization.plot_parallel_coordinate(study, target_name=names[0]),
        "slices": lambda: visualization.plot_slice(study, target_name=names[0]),
    }
    if _complete(study) >= TENTH:
        plots["importance"] = lambda: visualization.plot_param_importances(study, evaluator=_evaluator())
    if len(names) > 1:
        every = _study([objective.direction for objective in plan.objectives], _ended(summary))
        plots["pareto front"] = lambda: visualization.plot_pareto_front(every, target_names=names)
    for name, plot in plots.items():
        try:
            with _no_guesses():
                yield name, plot()
        except NOT_ENOUGH as error:
            log.debug("no plot of %s: %s", name, error)


def _complete(study: optuna.Study) -> int:
    return sum(trial.state is TrialState.COMPLETE for trial in study.trials)


def _evaluator() -> optuna.importance.PedAnovaImportanceEvaluator:
    return optuna.importance.PedAnovaImportanceEvaluator()


@contextmanager
def _no_guesses() -> Iterator[None]:
    """Take Optuna's warnings, such as that importances are equal for want of trials, for what they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


def _by_first(plan: Plan, summary: Summary) -> optuna.Study:
    """Return the study as if it had one objective: Optuna's importances know the direction of single ones only."""
    trials = []
    for trial in _ended(summary):
        alone = copy.copy(trial)
        alone.values = trial.values and trial.values[:1]
        trials.append(alone)
    return _study([plan.objectives[0].direction], trials)


def _ended(summary: Summary) -> list[FrozenTrial]:
    return [trial for trial in summary.trials if trial.state.is_finished()]


def _study(directions: Sequence[StudyDirection], trials: Sequence[FrozenTrial]) -> optuna.Study:
    study = optuna.create_study(directions=list(directions))
    study.add_trials(trials)
    return study
