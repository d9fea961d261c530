"""A sweep of the tests' app, as a listener sees it."""

from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig
from optuna import Trial

from sweeplab.sweep.listener import SweepInfo
from tests.sweeplab.sweep.conftest import APP
from tests.sweeplab.sweep.specs import spec_of

ACCURACY = ("+objective.metric=val/acc", "+objective.mode=max")


def info_of(*overrides: str, study: str = "study", conf: Path = APP / "conf") -> SweepInfo:
    """Return a sweep that is checked, but not run; its study has an id, as if it were open."""
    spec, search = spec_of(*overrides, study=study, conf=conf)
    return SweepInfo.of(replace(spec, id=f"{study}-1a2b"), search)


def suggest(config: DictConfig, trial: Trial) -> None:
    """Search what data cannot say."""
    trial.suggest_float("opt.lr", 0.0, config.x)
