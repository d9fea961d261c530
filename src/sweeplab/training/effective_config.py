"""The configuration as a run keeps it: without the groups that nothing reads, with an objective that can be logged."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sweeplab.build import located
from sweeplab.errors import SetupError, did_you_mean, nearest
from sweeplab.records import trust
from sweeplab.records.links import kept, resolved
from sweeplab.records.objective import PARAMETERS, Objective
from sweeplab.training.model import TASK_ARGUMENTS, is_lightning_module


def effective_config(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Return the configuration of a run: interpolations resolved, groups that nothing reads left out.

    Raises:
        SetupError: an override sets what nothing reads, or the task does not log the objective.
    """
    plain: dict[str, Any] = {
        key: value for key, value in resolved(config).items() if key not in (trust.WORD, "cluster")
    }
    references: Any = OmegaConf.to_container(config, resolve=False)
    if plain.get("task") is not None and is_lightning_module(plain["model"]):
        groups = _unread(plain, references)
        _refuse_unread(overrides, groups, plain["model"])
        plain = {key: value for key, value in plain.items() if key not in groups}
    _check_objective(plain)
    whole = kept(config)
    if "folder" in plain:  # by its name, whatever it was made from: paths in it follow it
        whole["folder"] = plain["folder"]
    return OmegaConf.create({key: whole[key] for key in plain})


def _unread(config: Mapping[str, Any], references: Mapping[str, Any]) -> list[str]:
    """Return the groups that nothing reads where the model is a LightningModule: the task and its arguments.

    `references` is the configuration with its interpolations: what refers to a group reads it.
    """
    rest = {key: value for key, value in references.items() if key not in ("task", *TASK_ARGUMENTS.values())}
    text = repr({**rest, "model": references["model"]})
    groups = [key for key in TASK_ARGUMENTS.values() if key != "model" and f"${{{key}" not in text]
    return [key for key in ("task", *groups) if key in config]


def _refuse_unread(overrides: Sequence[str], groups: Sequence[str], model: Mapping[str, Any]) -> None:
    """Refuse overrides of groups that nothing reads.

    Raises:
        SetupError: the first of them, with the key of the model that is meant.
    """
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        if key.split(".")[0] in groups:
            keys = [f"model.{name}" for name in _keys(model)]
            same_ending = [name for name in keys if name.rpartition(".")[2] == key.rpartition(".")[2]]
            meant = (same_ending or [nearest(key, keys) or ""])[0] if "." in key else None
            remedy = f"did you mean '{meant}'?" if meant else "remove it, or set keys of model."
            raise SetupError(
                f"'{override}' sets nothing: {model['_target_']} is a LightningModule of its own; {remedy}"
            )


def _keys(config: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in config.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _keys(value, f"{prefix}{key}.")


def _check_objective(plain: Mapping[str, Any]) -> None:
    """Compare the objectives with what the task logs, if it lists that by a method `logs`."""
    task = plain.get("task")
    logs = task and getattr(located(task.get("_target_"), "task"), "logs", None)
    if not logs:
        return
    logged = logs(task)
    first = Objective.of(plain["objective"])
    objectives = {"objective": first, **{f"objective.also[{n}]": further for n, further in enumerate(first.also)}}
    for key, objective in objectives.items():
        names = logged if objective is first else [*logged, PARAMETERS]
        if objective.metric not in names:
            raise SetupError(f"{key}.metric={objective.metric} is not logged{did_you_mean(objective.metric, names)}")
