"""What Optuna says of a study when it is over: plots, and how much each parameter matters."""

import copy
import logging
from collections.abc import Callable, Iterator
from typing import Any

from optuna.trial import FrozenTrial

from sweeplab.compare.importance import NOT_ENOUGH, TENTH, complete, no_guesses, shares, study_of
from sweeplab.sweep.listener import Summary, SweepInfo

log = logging.getLogger(__name__)


def importances(sweep: SweepInfo, summary: Summary) -> dict[str, float]:
    """Return the share of each key in what the first objective varies by (PED-ANOVA); nothing for too few trials."""
    by_name = shares(_by_first(summary), sweep.objectives[0].direction)
    keys = {parameter.name: parameter.key for parameter in sweep.space.parameters}
    return {keys.get(name, name): share for name, share in by_name.items()}


def figures(sweep: SweepInfo, summary: Summary) -> Iterator[tuple[str, Any]]:
    """Return Optuna's plots of the study, by name, as Plotly's figures; those with too few trials are left out.

    All but the Pareto front show the first objective.
    """
    from optuna import visualization

    study = study_of(_by_first(summary), [sweep.objectives[0].direction])
    if not sweep.space.keys or not complete(study):
        return
    names = [objective.metric for objective in sweep.objectives]
    plots: dict[str, Callable[[], Any]] = {
        "history": lambda: visualization.plot_optimization_history(study, target_name=names[0]),
        "parallel coordinates": lambda: visualization.plot_parallel_coordinate(study, target_name=names[0]),
        "slices": lambda: visualization.plot_slice(study, target_name=names[0]),
    }
    if complete(study) >= TENTH:
        plots["importance"] = lambda: visualization.plot_param_importances(study)
    if len(names) > 1:
        every = study_of(_ended(summary), [objective.direction for objective in sweep.objectives])
        plots["pareto front"] = lambda: visualization.plot_pareto_front(every, target_names=names)
    for name, plot in plots.items():
        try:
            with no_guesses():
                yield name, plot()
        except NOT_ENOUGH as error:
            log.debug("no plot of %s: %s", name, error)


def _by_first(summary: Summary) -> list[FrozenTrial]:
    """Return the trials as if they had one objective: Optuna's importances know the direction of single ones only."""
    trials = []
    for trial in _ended(summary):
        alone = copy.copy(trial)
        alone.values = trial.values and trial.values[:1]
        trials.append(alone)
    return trials


def _ended(summary: Summary) -> list[FrozenTrial]:
    return [trial for trial in summary.trials if trial.state.is_finished()]
