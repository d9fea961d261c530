"""The spec of a sweep of the tests' app, as a listener gets it, and what such a sweep came to."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from optuna import Trial
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeplab.sweep.listener import Listener
from sweeplab.sweep.results import Summary, ending
from sweeplab.sweep.spec import SweepSpec
from sweeplab.sweep.study.client import counts
from tests.sweeplab.sweep.app import app

LISTENER = "hydra.sweeper.listeners.keeps"
ACCURACY = ("+objective.metric=val/acc", "+objective.mode=max")


class Keeps(Listener):
    """Keeps the spec that it is shown."""

    last: SweepSpec

    def preview(self, spec: SweepSpec) -> str:
        Keeps.last = spec
        return ""


def spec_of(*overrides: str, study: str = "study", conf: Path = Path(app.__file__).parent / "conf") -> SweepSpec:
    """Return the spec that is checked, but not run; its study has an id, as if it were open."""
    GlobalHydra.instance().clear()
    engine = Hydra.create_main_hydra2("app", create_config_search_path(str(conf)))
    listener = (f"+{LISTENER}._target_={__name__}.Keeps", "hydra.sweeper.preview=keeps")
    task = app.app.__wrapped__
    try:
        engine.multirun(config_name="config", task_function=task, overrides=[*overrides, f"study='{study}'", *listener])
    finally:
        GlobalHydra.instance().clear()
        HydraConfig.instance().cfg = None
    return replace(Keeps.last, id=f"{study}-1a2b")


def trial(spec: SweepSpec, number: int, x: float, *values: float, **more: Any) -> FrozenTrial:
    """A trial of the spec, complete if it has values."""
    state = more.pop("state", TrialState.COMPLETE if values else TrialState.FAIL)
    params = {"x": x, "opt.lr": 10 ** -(1 + x)}
    distributions = {parameter.name: parameter.distribution for parameter in spec.space.parameters}
    made = create_trial(state=state, values=values or None, params=params, distributions=distributions, user_attrs=more)
    made.number = number
    return made


def came_to(trials: list[FrozenTrial], best: list[FrozenTrial], stopped: str = "") -> Summary:
    endings = Counter(str(ending(one)) for one in trials if counts(one))
    return Summary(trials, endings, best, {}, 0, len(trials), stopped, 0.9)


def suggest(config: DictConfig, trial: Trial) -> None:
    """Search what data cannot say."""
    trial.suggest_float("opt.lr", 0.0, config.x)
