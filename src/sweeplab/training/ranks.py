"""Which of the processes that train one model together this one is.

Launchers number their processes in the environment, and so do schedulers that know nothing of any training: a job of
SLURM with four tasks may be four trainings. So a number is believed only where the trainer is one of several.
"""

import os
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sweeplab.sweep.trial import current

NUMBERED = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")  # as Lightning reads them
TOGETHER = "SWEEPLAB_TRAINS_TOGETHER"  # set for the processes that a trainer starts beside its own
GOES_ON = "SWEEPLAB_GOES_ON"  # for them, the folder of a trial that goes on from a checkpoint: theirs is another
ALL = ("auto", "-1")  # devices: as many as there are


def claimed_rank() -> int:
    """Return the number that the environment has for this process, 0 where there is none."""
    numbers = (os.environ.get(name, "") for name in NUMBERED)
    return next((int(number) for number in numbers if number.isdigit()), 0)


def rank(trainer: Mapping[str, Any] | DictConfig) -> int:
    """Return this process's rank among those that train one model together, 0 when it is alone.

    `trainer` is its configuration. The process of a trial is the first of its training, whatever its sweep is part of.
    """
    number = claimed_rank()
    if number == 0 or current() is not None:
        return 0
    return number if TOGETHER in os.environ or is_distributed(trainer) else 0


def is_distributed(trainer: Mapping[str, Any] | DictConfig) -> bool:
    """Say whether a trainer with this configuration is one of several."""
    strategy: Any = trainer.get("strategy") or "auto"
    if isinstance(strategy, Mapping | DictConfig):
        return "SingleDevice" not in str(strategy.get("_target_"))
    if strategy not in ("auto", "single_device", "single_xla"):
        return True
    several = str(trainer.get("num_nodes") or 1) != "1"
    return several or _count(trainer.get("devices", "auto"), trainer.get("accelerator")) > 1


def ignoring_scheduler(trainer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments by which a trainer leaves the scheduler alone whose job has several tasks.

    Lightning would take each of the tasks for a part of one training, and refuse it.
    """
    tasks = os.environ.get("SLURM_NTASKS", "1")
    if (claimed_rank() == 0 and tasks == "1") or trainer.get("plugins") or is_distributed(trainer):
        return {}
    from lightning.fabric.plugins.environments.lightning import LightningEnvironment

    return {"plugins": [LightningEnvironment()]}


def _count(devices: Any, accelerator: Any) -> int:
    plain: Any = OmegaConf.to_container(devices) if OmegaConf.is_config(devices) else devices
    if isinstance(plain, list | tuple):
        return len(plain)
    if str(plain) in ALL:
        return 1 if accelerator in ("cpu", "mps") else _gpus()
    listed = [part for part in str(plain).split(",") if part.strip()]
    return int(plain) if len(listed) == 1 and str(plain).isdigit() else len(listed)


def _gpus() -> int:
    import torch

    return torch.cuda.device_count()
