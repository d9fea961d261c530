"""What earlier versions wrote, in the words of this one: folders of runs and studies stay readable.

Version 1 trained classifications only. Its `label_smoothing`, `metrics` and `compile` are keys of `task` now, and what
its networks were told of the data stands in their configuration.
"""

from collections.abc import Mapping
from typing import Any

TARGETS = {
    "lightning.pytorch.callbacks.RichModelSummary": "sweeplab.callbacks.ModelSummary",
    "lab.charts.Charts": "sweeplab.tasks.Charts",
    "lab.data.npz.Npz": "sweeplab.tasks.Npz",
    "lab.models.classifier.Classifier": "sweeplab.tasks.Classification",
    "lab.models.schedule.cosine": "sweeplab.tasks.cosine",
    "lab.models.schedule.onecycle": "sweeplab.tasks.onecycle",
    "lab.models.schedule.plateau": "sweeplab.tasks.plateau",
    "lab.samples.Samples": "sweeplab.tasks.Samples",
    "sweeplab.tracking.wandb_run.WandbRun": "sweeplab.loggers.WandbRun",
    "sweeplab.training.best.BestCheckpoint": "sweeplab.callbacks.BestCheckpoint",
    "sweeplab.training.csv.CSVLogger": "sweeplab.loggers.CSVLogger",
    "sweeplab.training.last.LastCheckpoint": "sweeplab.callbacks.LastCheckpoint",
    "sweeplab.training.progress.progress": "sweeplab.callbacks.progress",
    "sweeplab.training.pruning.Pruning": "sweeplab.callbacks.Pruning",
    "sweeplab.training.tensorboard.TensorBoardLogger": "sweeplab.loggers.TensorBoardLogger",
}
OF_THE_DATA = {"in_shape": "${data:in_shape}", "num_classes": "${data:num_classes}"}
MOVED = ("label_smoothing", "compile", "metrics")  # from the top to `task`
CHARTS = ("samples", "charts")  # from `callbacks` to `task.callbacks`
DROPPED = ("trainer.use_distributed_sampler", "trainer.profiler._target_")
ADDED = (
    *("init_from", "init_strict", "freeze", "finite_loss", "trust", "task"),
    *("trainer.profiler", "trainer.num_sanity_val_steps"),
)

SINCE = {"freeze": "[]", "task.class_weights": "None", "task.criterion": "None"}  # what was so before one could choose
RECORDS = "logger.csv."  # which every logger writes now


def upgraded_override(override: str) -> str:
    """Return an override of a run of version 1 as this version takes it."""
    key, equals, value = override.partition("=")
    sign = key[: len(key) - len(key.lstrip("+~"))]
    return f"{sign}{_moved(key.lstrip('+~'))}{equals}{value}"


def upgraded_facts(facts: dict[str, Any]) -> dict[str, Any]:
    """Return what `run.json` says as this version would have written it; without a `format` it is of version 1."""
    parts = [facts, *(facts.get("attempts") or ())]
    for part in (part for part in parts if "format" not in part and part.get("overrides")):
        part["overrides"] = list(map(upgraded_override, part["overrides"]))
    if "format" not in facts and "metrics" in facts:  # which did not say what the test measured, but named it so
        facts.setdefault("test", [name for name in facts["metrics"] or () if name.startswith("test/")])
    return facts


def renamed(value: Any) -> Any:
    """Return a configuration in which every `_target_` has its name of today."""
    if isinstance(value, Mapping):
        return {key: TARGETS.get(item, item) if key == "_target_" else renamed(item) for key, item in value.items()}
    return [renamed(item) for item in value] if isinstance(value, list) else value


def upgraded(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of a run as this version would have written it."""
    new: dict[str, Any] = renamed(config)
    if not _is_first_version(new):
        return new
    callbacks, trainer = dict(new.get("callbacks") or {}), dict(new["trainer"])
    task: dict[str, Any] = {"_target_": "sweeplab.tasks.Classification", "scale": "${data:scale}"}
    task |= {key: new.pop(key) for key in MOVED if key in new}
    task["metrics"] = {
        name: metric and metric | {"num_classes": OF_THE_DATA["num_classes"]}
        for name, metric in (task["metrics"] or {}).items()
    }
    task["callbacks"] = {name: callbacks.pop(name) for name in CHARTS if name in callbacks}
    if (trainer.get("profiler") or {}).get("_target_", "").startswith("sweeplab."):
        trainer["profiler"] = None
    trainer.pop("use_distributed_sampler", None)
    model = new["model"] | OF_THE_DATA
    return new | {"model": model, "task": task, "callbacks": callbacks, "trainer": trainer}


def description(hyper_parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the description of the model in a checkpoint of version 1, from its hyperparameters; None of another."""
    if not {"network", "optimizer", "label_smoothing"} <= hyper_parameters.keys():
        return None
    return {"_target_": "sweeplab.tasks.Classification", **renamed(hyper_parameters)}


def upgraded_settings(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Return the flat configuration that the trials of a study share as this version would have noted it.

    What this version added, and earlier ones could not choose, is taken from `now`.
    """
    if not _is_first_version(before):
        new = {key: value for key, value in now.items() if SINCE.get(key) == value or key.startswith(RECORDS)}
        return new | {key: TARGETS.get(value, value) for key, value in before.items()}
    new = {_moved(key): TARGETS.get(value, value) for key, value in before.items() if key not in DROPPED}
    added = (*ADDED, *(f"model.{key}" for key in OF_THE_DATA))
    return {key: value for key, value in now.items() if key.startswith(added)} | new


def _is_first_version(config: Mapping[str, Any]) -> bool:
    return "label_smoothing" in config and "task" not in config and "task._target_" not in config


def _moved(key: str) -> str:
    first, _, rest = key.partition(".")
    if first in MOVED:
        return f"task.{key}"
    return f"task.{key}" if first == "callbacks" and rest.partition(".")[0] in CHARTS else key
