"""A sweep of the tests' app, as a listener sees it, and what such a sweep came to."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from optuna import Trial
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeplab.sweep.listener import Summary, SweepInfo, counts, ending
from tests.sweeplab.sweep.conftest import APP
from tests.sweeplab.sweep.specs import spec_of

ACCURACY = ("+objective.metric=val/acc", "+objective.mode=max")


def info_of(*overrides: str, study: str = "study", conf: Path = APP / "conf") -> SweepInfo:
    """Return a sweep that is checked, but not run; its study has an id, as if it were open."""
    spec, search = spec_of(*overrides, study=study, conf=conf)
    return SweepInfo.of(replace(spec, id=f"{study}-1a2b"), search)


def trial(info: SweepInfo, number: int, x: float, *values: float, **more: Any) -> FrozenTrial:
    """A trial of the sweep, complete if it has values."""
    state = more.pop("state", TrialState.COMPLETE if values else TrialState.FAIL)
    params = {"x": x, "opt.lr": 10 ** -(1 + x)}
    distributions = {parameter.name: parameter.distribution for parameter in info.space.parameters}
    made = create_trial(state=state, values=values or None, params=params, distributions=distributions, user_attrs=more)
    made.number = number
    return made


def came_to(trials: list[FrozenTrial], best: list[FrozenTrial], stopped: str = "") -> Summary:
    endings = Counter(str(ending(one)) for one in trials if counts(one))
    return Summary(trials, endings, best, {}, 0, len(trials), stopped, 0.9)


def suggest(config: DictConfig, trial: Trial) -> None:
    """Search what data cannot say."""
    trial.suggest_float("opt.lr", 0.0, config.x)
