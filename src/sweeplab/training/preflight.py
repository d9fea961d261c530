"""What would refuse a configuration later, asked before a run begins: classes, arguments, devices, checkpoints."""

import inspect
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelSummary, ProgressBar
from omegaconf import DictConfig

from sweeplab.build import arguments, build, check_within, located
from sweeplab.errors import SetupError, UserError
from sweeplab.records.layout import RunFile
from sweeplab.records.links import select
from sweeplab.records.resume import last_checkpoint
from sweeplab.records.run import Run as RecordedRun
from sweeplab.sweep.trial import current
from sweeplab.training.checkpoint_file import load_checkpoint
from sweeplab.training.ranks import ignoring_scheduler

GROUPS = ("data", "model", "task", "optimizer", "scheduler", "trainer", "callbacks", "logger")  # that every run builds
# Arguments of a trainer that follow from the kinds of callbacks there are.
SWITCHES = {
    "enable_checkpointing": Checkpoint,
    "enable_progress_bar": ProgressBar,
    "enable_model_summary": ModelSummary,
}
# Keys of a checkpoint that holds more than weights.
TRAINING_STATE = ("loops", "optimizer_states", "lr_schedulers", "callbacks", "epoch", "global_step")


def check_components(config: Mapping[str, Any], is_new: bool = True) -> None:
    """Compare a resolved configuration with what it names: classes, their arguments and their types, devices, weights.

    Raises:
        UserError: the first mistake; a `SetupError` where the trials of a sweep share it.
    """
    for group in GROUPS:
        value = config.get(group)
        with setup_errors(group):
            if group == "task" and value is not None:  # whose callbacks are the trainer's
                check_within(value.get("callbacks") if config.get("callbacks") else None, "task.callbacks")
                value = {name: part for name, part in value.items() if name != "callbacks"}
            check_within(value, group)
    refuse_switches(config["trainer"])
    if current() is None:  # a trial of seconds is spared the second trainer, and fails by the first
        _check_trainer(config["trainer"])
    if is_new and config.get("init_from"):
        with setup_errors("init_from"):
            load_checkpoint(checkpoint_of(Path(config["init_from"])), mmap=True)


def checkpoint_of(source: Path) -> Path:
    """Return the checkpoint that `init_from` names, by itself or by the folder of its run."""
    return RecordedRun.read(source).checkpoint if source.is_dir() else source


def check_checkpoint(folder: Path, config: DictConfig) -> None:
    """Make sure that the training in `folder` can go on from its last checkpoint, as far as the file tells.

    Raises:
        UserError: it is damaged, of another kind, or of a training that went further than the configuration says.
    """
    path = last_checkpoint(folder)
    assert path is not None  # check_resumable has made sure of it
    content = load_checkpoint(path)
    if missing := [key for key in TRAINING_STATE if key not in content]:
        raise UserError(
            f"{path} has no {missing[0]}, so no run can be resumed from it; "
            f"init_from={path} starts a new one with its weights."
        )
    done = {
        "max_epochs": content["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"],
        "max_steps": content["global_step"],
    }
    for key, number in done.items():
        limit = config.trainer.get(key)
        if path.parent.name == RunFile.CHECKPOINTS and limit is not None and 0 <= limit < number:
            raise UserError(
                f"{folder} has already trained {number} {key.removeprefix('max_')}; raise trainer.{key}={limit}."
            )


def check_schedules(trainer: Trainer) -> None:
    """Make sure that a training which goes on longer does not go beyond the end of its learning-rate schedules.

    Raises:
        UserError: one has an end, and it comes earlier.
    """
    for config in trainer.lr_scheduler_configs:
        end = _last_step(config.scheduler)
        needed = trainer.estimated_stepping_batches if config.interval == "step" else trainer.max_epochs
        if end and needed and needed / config.frequency > end:
            raise UserError(
                f"{type(config.scheduler).__name__} was set up for {end} {config.interval}s, and this training takes "
                f"{needed}; start a new run, as in init_from=<the folder of this one>."
            )


def _last_step(schedule: Any) -> int | None:
    """Return the step that a schedule was laid out for; None where it has no end.

    Of several in a row it is that of the last, of several at once the first.
    """
    if (parts := getattr(schedule, "_schedulers", None)) is None:
        return getattr(schedule, "total_steps", None) or getattr(schedule, "T_max", None)
    ends = [_last_step(part) for part in parts]
    if milestones := getattr(schedule, "_milestones", None):
        return milestones[-1] + ends[-1] if ends[-1] else None
    return min(filter(None, ends), default=None)


def refuse_switches(settings: Mapping[str, Any]) -> None:
    """Refuse arguments of a trainer that follow from callbacks.

    Raises:
        UserError: the first of them.
    """
    if clash := [name for name in SWITCHES if name in settings]:
        raise UserError(f"trainer.{clash[0]} follows from callbacks; add or remove the callback instead.")


def check_types(config: Any, overrides: Sequence[str], name: str) -> None:
    """Refuse text in the place of a number where no type hint tells: as the configuration has it, so it should stay.

    `name` is that of the primary configuration. Whoever means it writes `++key=...`.

    Raises:
        UserError: the first such override.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    changes = {str(each.key_or_group): str(each.input_line) for each in parsed if str(each.input_line)[0] not in "+~"}
    texts = {key: line for key, line in changes.items() if _is_unchecked(config, key)}
    if not texts or not GlobalHydra.instance().is_initialized():
        return
    before = compose(name, [line for line in overrides if line not in texts.values()])
    for key, line in texts.items():
        value = select(before, key)
        if isinstance(value, bool | int | float):
            kind = "true or false" if isinstance(value, bool) else "a number"
            raise UserError(
                f"{line} is not {kind}, as the configuration has there ({str(value).lower()}); ++{line} sets it anyway."
            )


def _is_unchecked(config: Any, key: str) -> bool:
    parent, _, last = key.rpartition(".")
    if not parent or key.startswith("hydra.") or not isinstance(select(config, key), str):
        return False
    target = select(config, f"{parent}._target_")
    return target is None or arguments(located(target, parent))[0].get(last) in (None, Any)


def _check_trainer(settings: Mapping[str, Any]) -> None:
    """Build a trainer for a moment: it alone knows which devices, precisions and strategies there are."""
    kind = located(settings.get("_target_"), "trainer")
    if not (inspect.isclass(kind) and issubclass(kind, Trainer)):
        return
    plain = {key: value for key, value in settings.items() if key != "profiler"}
    switches = dict.fromkeys(SWITCHES, False)
    with warnings.catch_warnings(), silent():
        warnings.simplefilter("ignore")
        try:
            build(plain, "trainer", callbacks=[], logger=False, **switches, **ignoring_scheduler(plain))
        except (TypeError, RuntimeError, AttributeError) as error:  # by which Lightning refuses a few
            raise UserError(f"trainer: {' '.join(str(error).split())}") from error


@contextmanager
def setup_errors(group: str) -> Iterator[None]:
    """Say that all trials share a mistake in a group of the configuration, unless the sweep searches keys of it.

    Raises:
        SetupError: in place of the UserError that the block raises in such a trial.
    """
    try:
        yield
    except UserError as error:
        if (trial := current()) is None or isinstance(error, SetupError):
            raise
        searched = [key.lstrip("+") for key in trial.params if key != trial.seed_key]
        # A choice from a group, an experiment say, may set any key.
        if any("." not in key or key.split(".")[0] == group for key in searched):
            raise
        raise SetupError(str(error)) from error


@contextmanager
def silent() -> Iterator[None]:
    """Keep what Lightning says of a trainer that is only tried off the console."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)
