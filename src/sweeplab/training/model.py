"""The LightningModule that a configuration or a checkpoint describes."""

import inspect
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from sweeplab.build import arguments, build, located
from sweeplab.errors import SetupError, UserError, nearest
from sweeplab.records import config as run_config
from sweeplab.records import earlier, record, trust
from sweeplab.records.links import resolved
from sweeplab.records.run import Run as Recorded
from sweeplab.secrets import hidden
from sweeplab.training.checkpoint_file import load_checkpoint
from sweeplab.training.quiet import quiet

log = logging.getLogger(__name__)

DESCRIPTION = "model_config"  # the key of a checkpoint under which the description of its model stands
# What a task may be given besides its own keys: the argument, and the key of the configuration that it comes from.
GIVEN_TO_TASKS = {"network": "model", "optimizer": "optimizer", "scheduler": "scheduler"}


def is_lightning_module(model: Mapping[str, Any]) -> bool:
    """Say whether a description names a LightningModule, which no task has to train.

    Raises:
        SetupError: what it names cannot be imported.
    """
    if model.get("_target_") is None:
        raise SetupError("model has no _target_; choose one with model=..., or write model._target_=<package.Class>.")
    try:
        target = located(model["_target_"], "model")
    except UserError as error:
        raise SetupError(str(error)) from error
    if not inspect.isclass(target):  # a function says what it returns, or makes a bare network
        target = inspect.signature(target).return_annotation
    return inspect.isclass(target) and issubclass(target, LightningModule)


def describe(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description of the LightningModule of a configuration: its model, or the task that trains it."""
    task = config.get("task")
    if task is None or is_lightning_module(config["model"]):
        return dict(config["model"])
    known, open_ended = arguments(located(task.get("_target_"), "task"))
    given = {name: config[key] for name, key in GIVEN_TO_TASKS.items() if config.get(key)}
    if "network" not in known and not open_ended:
        raise SetupError(
            f"task._target_={task['_target_']} takes no network, so it cannot train model={config['model']}."
        )
    own = {key: value for key, value in task.items() if key != "callbacks"}
    return {**{name: value for name, value in given.items() if name in known or open_ended}, **own}


def unread(config: Mapping[str, Any], references: Mapping[str, Any]) -> list[str]:
    """Return the groups that nothing reads where the model is a LightningModule: the task and what it would be given.

    `references` is the configuration with its interpolations: what refers to a group reads it.
    """
    rest = {key: value for key, value in references.items() if key not in ("task", *GIVEN_TO_TASKS.values())}
    text = repr({**rest, "model": references["model"]})
    groups = [key for key in GIVEN_TO_TASKS.values() if key != "model" and f"${{{key}" not in text]
    return [key for key in ("task", *groups) if key in config]


def refuse_unread(overrides: Sequence[str], groups: Sequence[str], model: Mapping[str, Any]) -> None:
    """Refuse overrides of groups that nothing reads.

    Raises:
        SetupError: the first of them, with the key of the model that is meant.
    """
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        if key.split(".")[0] in groups:
            keys = [f"model.{name}" for name in _keys(model)]
            tails = [name for name in keys if name.rpartition(".")[2] == key.rpartition(".")[2]]
            meant = (tails or [nearest(key, keys) or ""])[0] if "." in key else None
            remedy = f"did you mean '{meant}'?" if meant else "remove it, or set keys of model."
            raise SetupError(
                f"'{override}' sets nothing: {model['_target_']} is a LightningModule of its own; {remedy}"
            )


def _keys(config: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for key, value in config.items():
        yield f"{above}{key}"
        if isinstance(value, Mapping):
            yield from _keys(value, f"{above}{key}.")


def build_model(description: Mapping[str, Any], **more: Any) -> LightningModule:
    """Return the LightningModule of a description.

    Raises:
        UserError: it cannot be built, or is none.
    """
    name = "task" if "network" in description else "model"
    model = build(description, name, **more)
    if not isinstance(model, LightningModule):
        raise SetupError(
            f"{name}._target_={description['_target_']} is a {type(model).__name__}, not a LightningModule."
        )
    return model


def load_model(
    path: str | Path, description: Mapping[str, Any] | None = None, *, trust: bool = False
) -> LightningModule:
    """Return the model of a checkpoint, or of the run in a folder, with its weights, on the CPU and ready to predict.

    What the model is stands in the checkpoint; another `description`, with a `_target_`, takes its place. With `trust`
    it is built whatever it names: say so of checkpoints that you made, or whose maker you know.

    Raises:
        UserError: there is no such file, it says not which model it is of or one that may not be built, or its weights
            do not fit.
    """
    path = Recorded.read(Path(path)).checkpoint if Path(path).is_dir() else Path(path)
    checkpoint = load_checkpoint(path)
    description = description or described_in(checkpoint, path, trust, "if you trust whoever made it, add trust=True.")
    if description is None:
        raise UserError(
            f"{path} does not say which model it is of; load it with its class: "
            f"<class>.load_from_checkpoint('{path}', weights_only=True)."
        )
    try:
        with quiet():
            model = build_model(description)
    except (UserError, TypeError) as error:
        said = " ".join(str(error).split()).removesuffix(".")
        raise UserError(
            f"the model of {path} cannot be built ({said}); if its class has another name or other arguments now, "
            "give them: load_model(path, {'_target_': ...}), or model._target_=... to eval.py."
        ) from error
    load_weights(model, checkpoint["state_dict"], path)
    return model.eval()


def described_in(
    checkpoint: Mapping[str, Any], path: Path, trusted: bool = False, remedy: str = trust.Source.remedy
) -> dict[str, Any] | None:
    """Return the description of a checkpoint's model: its own, else that of the run in whose folder it lies.

    Raises:
        UserError: it is not `trusted`, and names what `trust` does not let through.
    """
    folder = next((parent for parent in path.absolute().parents if record.is_run(parent)), None)
    found = earlier.renamed(checkpoint[DESCRIPTION]) if DESCRIPTION in checkpoint else None
    found = found or earlier.description(checkpoint.get("hyper_parameters") or {})
    if not found:
        return describe(resolved(run_config.load(folder, to_build=True, trusted=trusted))) if folder else None
    own = run_config.load(folder) if folder and run_config.is_own(folder) else None
    if not trusted:
        known = trust.named(OmegaConf.to_container(own, resolve=False)) if own is not None else frozenset()
        trust.check(found, trust.Source(path, folder or path.absolute().parent, allowed=known, remedy=remedy))
    for key in hidden(found):
        raise UserError(f"{path} does not keep {key} of its model, which was given in plain; give it again.")
    # What asks the environment, or refers to a key that does, is answered where all keys are.
    return describe(resolved(own)) if own is not None and "${" in str(found) else dict(found)


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Load all weights into a model, whose layers are made first where `configure_model` makes them.

    A module with `strict_loading=False` may have more or fewer than the file.

    Raises:
        UserError: they are not the model's.
    """
    if isinstance(model, LightningModule):
        model.configure_model()
    strict = getattr(model, "strict_loading", True)
    lacking, unknown, others = compared(model, weights)
    if not strict:
        lacking = unknown = []
    if found := lacking or unknown or others:
        what = "has no" if lacking else "has a" if unknown else "has another shape of"
        raise UserError(f"the weights in {path} are not those of {_name(model)}: the file {what} {found[0]}.")
    model.load_state_dict(dict(weights), strict=strict)


def load_fitting(model: nn.Module, weights: Mapping[str, Tensor], path: Path) -> list[str]:
    """Load the weights that a model has too, in the same shape; return the names of its own that stay as they are.

    Raises:
        UserError: none fits.
    """
    lacking, _, others = compared(model, weights)
    own = model.state_dict()
    fitting = {name: value for name, value in weights.items() if name in own and name not in others}
    if not fitting:
        raise UserError(f"no weight in {path} fits {_name(model)}.")
    model.load_state_dict(fitting, strict=False)
    return [*lacking, *others]


def compared(model: nn.Module, weights: Mapping[str, Tensor]) -> tuple[list[str], list[str], list[str]]:
    """Return the names that only the model has, those that only the weights have, and those of different shapes."""
    own = model.state_dict()
    lacking, unknown = [n for n in own if n not in weights], [n for n in weights if n not in own]
    both = [name for name in own if name in weights and not is_lazy(own[name])]
    others = [name for name in both if own[name].shape != weights[name].shape]
    return lacking, unknown, others


def _name(model: nn.Module) -> str:
    return f"{type(model).__module__}.{type(model).__qualname__}"
