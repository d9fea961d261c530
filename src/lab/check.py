"""What the configuration alone can tell, told before anything heavy is imported and anything written."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sweeplab.errors import UserError, did_you_mean
from sweeplab.hydra_errors import sentence
from sweeplab.runs.record import is_run, occupied


class Check(Callback):
    """Ends the program with one sentence if the configuration cannot work; Hydra calls it before anything runs."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the configuration, and that the run's folder is free."""
        if "LOCAL_RANK" not in os.environ:  # set where several processes train together, and the first has checked
            _check_or_exit(config, Path(config.hydra.run.dir))

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check what all runs have in common."""
        _check_or_exit(config)


def _check_or_exit(config: DictConfig, folder: Path | None = None) -> None:
    try:
        HydraConfig.instance().set_config(config)  # for ${hydra:...}, which a job finds set
        check(config)
        if folder and is_run(folder):
            raise UserError(occupied(folder))
    except (UserError, OmegaConfBaseException) as error:
        # Hydra turns the exceptions of callbacks into warnings, but lets this one pass.
        sys.exit(f"Error: {sentence(error) or error}")


def check(config: DictConfig) -> None:
    """Find the mistakes that need no more than the configuration.

    Raises:
        UserError: the first mistake found.
        OmegaConfBaseException: a value that is missing, or refers to a key that does not exist.
    """
    seed = config.seed
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32):
        raise UserError(f"seed={seed} must be a whole number from 0 to {2**32 - 1}, or null for a random one.")
    _check_objective(config)
    for group in ("callbacks", "logger"):
        for name, entry in config[group].items():
            if entry is not None and not (isinstance(entry, Mapping | DictConfig) and "_target_" in entry):
                raise UserError(
                    f"{group}.{name} has no _target_: {group}={name} chooses it, {group}.{name}=null turns it off."
                )
    _check_data(config)


def metrics(config: DictConfig) -> list[str]:
    """Return the names of the metrics that a run can be judged by."""
    return ["val/loss", *(f"val/{name}" for name, entry in config.metrics.items() if entry is not None)]


def _check_objective(config: DictConfig) -> None:
    metric, mode = config.objective.metric, config.objective.mode
    if metric not in metrics(config):
        raise UserError(
            f"objective.metric={metric} is not a metric of the validation{did_you_mean(str(metric), metrics(config))}"
        )
    if mode not in ("min", "max"):
        raise UserError(f"objective.mode={mode} is not known; write min or max.")


def _check_data(config: DictConfig) -> None:
    data = config.data
    for key in data:
        if OmegaConf.is_missing(data, key):
            raise UserError(f"data.{key} has no value; write data.{key}=...")
    if "path" not in data:
        return
    check_file(Path(data.get("root", "."), str(data.path)), "data.path")


def check_file(path: Path, key: str) -> None:
    """Make sure that the file which `key` names is there.

    Raises:
        UserError: it is not; the message has the nearest name in its folder.
    """
    if not path.is_file():
        near = [file.name for file in path.parent.glob(f"*{path.suffix}")] if path.parent.is_dir() else []
        raise UserError(f"{key}={path} is not a file{did_you_mean(path.name, near)}")
