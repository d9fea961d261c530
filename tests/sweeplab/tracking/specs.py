"""The spec of a sweep of the tests' app, as a listener gets it."""

from dataclasses import replace
from pathlib import Path

from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from optuna import Trial

from sweeplab.sweep.listener import Listener
from sweeplab.sweep.spec import SweepSpec
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


def suggest(config: DictConfig, trial: Trial) -> None:
    """Search what data cannot say."""
    trial.suggest_float("opt.lr", 0.0, config.x)
