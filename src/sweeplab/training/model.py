"""The LightningModule that a configuration or a checkpoint describes."""

import inspect
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from sweeplab.build import arguments, build, located
from sweeplab.errors import SetupError, UserError
from sweeplab.records import config as run_config
from sweeplab.records import earlier, record, trust
from sweeplab.records.links import resolved
from sweeplab.records.run import Run as Recorded
from sweeplab.secrets import hidden
from sweeplab.training.checkpoint_file import load_checkpoint
from sweeplab.training.messages import hidden_warnings

log = logging.getLogger(__name__)

DESCRIPTION = "model_config"  # the key of a checkpoint under which the description of its model stands
# Arguments of a task besides its own keys, and the keys of the configuration that they come from.
TASK_ARGUMENTS = {"network": "model", "optimizer": "optimizer", "scheduler": "scheduler"}


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
    accepted, open_ended = arguments(located(task.get("_target_"), "task"))
    given = {name: config[key] for name, key in TASK_ARGUMENTS.items() if config.get(key)}
    if "network" not in accepted and not open_ended:
        raise SetupError(
            f"task._target_={task['_target_']} takes no network, so it cannot train model={config['model']}."
        )
    rest = {key: value for key, value in task.items() if key != "callbacks"}
    return {**{name: value for name, value in given.items() if name in accepted or open_ended}, **rest}


def config_key(description: Mapping[str, Any], name: str) -> str:
    """Return the key of the configuration behind an argument of a description, or a part of it: `optimizer.lr`."""
    first, dot, rest = name.partition(".")
    return f"{TASK_ARGUMENTS.get(first, f'task.{first}') if 'network' in description else f'model.{first}'}{dot}{rest}"


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
            f"{path} does not name its model; load it with its class: "
            f"<class>.load_from_checkpoint('{path}', weights_only=True)."
        )
    try:
        with hidden_warnings():
            model = build_model(description)
    except (UserError, TypeError) as error:
        reason = " ".join(str(error).split()).removesuffix(".")
        raise UserError(
            f"the model of {path} cannot be built ({reason}); if its class has another name or other arguments now, "
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
    description = earlier.renamed(checkpoint[DESCRIPTION]) if DESCRIPTION in checkpoint else None
    description = description or earlier.description(checkpoint.get("hyper_parameters") or {})
    if not description:
        return describe(resolved(run_config.load(folder, to_build=True, trusted=trusted))) if folder else None
    config = run_config.load(folder) if folder and run_config.is_own(folder) else None
    if not trusted:
        named = trust.named(OmegaConf.to_container(config, resolve=False)) if config is not None else frozenset()
        trust.check(description, trust.Source(path, folder or path.absolute().parent, allowed=named, remedy=remedy))
    for key in hidden(description):
        raise UserError(f"{path} does not contain {key} of its model, a secret that was given in plain; give it again.")
    # What asks the environment, or refers to a key that does, is answered where all keys are.
    return describe(resolved(config)) if config is not None and "${" in str(description) else dict(description)


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Load all weights into a model, whose layers are made first where `configure_model` makes them.

    A module with `strict_loading=False` may have more or fewer than the file.

    Raises:
        UserError: they are not the model's.
    """
    if isinstance(model, LightningModule):
        model.configure_model()
    strict = getattr(model, "strict_loading", True)
    missing, unexpected, reshaped = compared(model, weights)
    if not strict:
        missing = unexpected = []
    if names := missing or unexpected or reshaped:
        what = "has no" if missing else "has a" if unexpected else "has another shape of"
        raise UserError(f"the weights in {path} are not those of {_name(model)}: the file {what} {names[0]}.")
    model.load_state_dict(dict(weights), strict=strict)


def load_fitting(model: nn.Module, weights: Mapping[str, Tensor], path: Path) -> list[str]:
    """Load the weights that a model has too, in the same shape; return the names of its own that stay as they are.

    Raises:
        UserError: none fits.
    """
    missing, unexpected, reshaped = compared(model, weights)
    fitting = {name: value for name, value in weights.items() if name not in (*unexpected, *reshaped)}
    if not fitting:
        raise UserError(f"no weight in {path} fits {_name(model)}.")
    model.load_state_dict(fitting, strict=False)
    return [*missing, *reshaped]


def compared(model: nn.Module, weights: Mapping[str, Tensor]) -> tuple[list[str], list[str], list[str]]:
    """Return the names that only the model has, those that only the weights have, and those of different shapes."""
    current = model.state_dict()
    missing = [name for name in current if name not in weights]
    unexpected = [name for name in weights if name not in current]
    common = [name for name in current if name in weights and not is_lazy(current[name])]
    return missing, unexpected, [name for name in common if current[name].shape != weights[name].shape]


def _name(model: nn.Module) -> str:
    return f"{type(model).__module__}.{type(model).__qualname__}"
