"""The names of the files and folders that a run, a study and an evaluation leave, and paths that follow them."""

import re
from pathlib import Path
from typing import Any


class RunFile:
    """In the folder of a run; the last three only where it is a trial of a sweep."""

    RECORD = "run.json"
    CONFIG = "config.yaml"
    EARLIER_CONFIG = "config-{}.yaml"  # of an earlier attempt, with its number
    PATCH = "uncommitted.patch"
    LATER_PATCH = "uncommitted-{}.patch"  # of a later attempt, with its number
    METRICS = "metrics.csv"
    CHECKPOINTS = "checkpoints"
    BEST = Path(CHECKPOINTS, "best.ckpt")
    LAST = Path(CHECKPOINTS, "last.ckpt")
    EVALUATIONS = "eval"
    HYDRA_TASK = ".hydra/config.yaml"
    HYDRA_ITSELF = ".hydra/hydra.yaml"
    WANDB = "wandb"
    OUTPUT = "output.log"
    EARLIER = "attempt-{}"  # what an earlier attempt left, with its number, where a later one began anew
    OUTCOME = ".outcome.json"  # for the case that the controller dies before it could write it into the study


class StudyFile:
    """In the folder of a study."""

    DESCRIPTION = "sweep.json"
    CONFIG = "multirun.yaml"
    JOURNAL = "study.journal"
    LOG = "sweep.log"
    TRIALS = "trials.csv"
    RESULTS = "optimization_results.yaml"
    BEST = "best.yaml"
    REPORT = "report.html"
    WANDB_VIEW = "wandb/view.json"
    ARRIVING = ".arriving-"  # how the name of a folder begins in which files gather on their way from a node


class EvaluationFile:
    """In the folder of one evaluation, below that of its run or study."""

    METRICS = "metrics.json"
    MEMBERS = "members.json"
    PREDICTIONS = "predictions.csv"
    ARRAYS = "predictions.npz"
    NESTED = "predictions.json"


def moved(value: Any, old: str, new: str) -> Any:
    """Return a value in which each path in the folder `old` lies in `new`: in texts, and in what holds texts.

    A path is one behind a blank or a quote, so that `s/1` is not found in `s/12` nor in `runs/1`.
    """
    if isinstance(value, dict):
        return {moved(key, old, new): moved(item, old, new) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(moved(item, old, new) for item in value)
    if isinstance(value, str) and old in value:
        return re.sub(rf"(?<![^\s'\"]){re.escape(old)}(?=[/\s'\"]|$)", lambda _: new, value)
    return value
