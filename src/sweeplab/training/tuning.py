"""Lightning's finders of a batch size and a learning rate: they search before a training, which uses what they find."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import BatchSizeFinder, LearningRateFinder
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.tuner import lr_finder
from lightning.pytorch.utilities.parsing import lightning_hasattr, lightning_setattr
from lightning.pytorch.utilities.seed import isolate_rng
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm  # type: ignore[import-untyped]  # it has no stubs

from sweeplab.build import arguments, build, located
from sweeplab.errors import SetupError, UserError
from sweeplab.sweep.trial import current
from sweeplab.training.checkpoint_callbacks import CheckpointContents
from sweeplab.training.preflight import SWITCHES, silent
from sweeplab.training.ranks import ignoring_scheduler

FINDERS = (BatchSizeFinder, LearningRateFinder)  # in the order in which they search
RATES = ("lr", "learning_rate")
SKIPPED = slice(10, -1)  # the losses of a search that Lightning looks at
# A search takes as many steps as it needs; batch sizes alone are tried on the validation too.
SEARCH = {"max_epochs": 1000, "max_steps": -1, "num_sanity_val_steps": 0, "profiler": None}
WITHOUT_VALIDATION = {"check_val_every_n_epoch": 1000, "val_check_interval": None}


class Target(NamedTuple):
    """What a finder sets: an attribute of the model or of the data, by its name there."""

    group: str
    name: str
    set: Callable[[Any], Any]


def without_finders(callbacks: Sequence[Callback]) -> tuple[list[Callback], list[Callback]]:
    """Return the finders among callbacks, in the order in which they search, and the other callbacks."""
    finders: list[Callback] = [callback for kind in FINDERS for callback in callbacks if type(callback) is kind]
    return finders, [callback for callback in callbacks if callback not in finders]


def target(finder: Callback, model: LightningModule, data: Sequence[LightningDataModule]) -> Target:
    """Return what a finder sets.

    Raises:
        UserError: a module keeps its learning rate where it cannot be set.
    """
    if isinstance(finder, LearningRateFinder):
        return Target("model", *_learning_rate(model, finder._attr_name))
    assert isinstance(finder, BatchSizeFinder)
    name = finder._batch_arg_name
    holders = [each for each in data if hasattr(each, name) or name in each.hparams]
    return Target("data" if holders else "model", name, partial(_set, [model, *holders], name))


def refuse_searched(key: str) -> None:
    """Make sure that a finder does not search what the sweep does.

    Raises:
        SetupError: both do.
    """
    if (trial := current()) is not None and key in (*trial.params, *trial.searched):
        raise SetupError(f"{key} is searched by the sweep and by a finder of callbacks; remove one of them.")


def search(
    finder: Callback, settings: Mapping[str, Any], model: LightningModule, *args: Any, **data: Any
) -> float | int | None:
    """Return what a finder finds with a copy of the model; None with fast_dev_run.

    `settings` are those of the trainer. A search leaves weights, metrics and generators as they were.

    Raises:
        UserError: nothing was found.
    """
    if isinstance(finder, LearningRateFinder):
        finder._update_attr = False  # Lightning sets attributes only, and to where noise is steepest
        _search(finder, settings, deepcopy(model), *args, **data)
        return None if finder.optimal_lr is None else _steepest(finder.optimal_lr.results)
    assert isinstance(finder, BatchSizeFinder)
    _search(finder, settings, deepcopy(model), *args, **data)
    return finder.optimal_batch_size


def configure(config: DictConfig, tuned: Mapping[str, Any]) -> None:
    """Let a configuration say what was found; what is an attribute but no argument has no key in it."""
    for key, value in tuned.items():
        above, _, name = key.rpartition(".")
        kind = (OmegaConf.select(config, above) or {}).get("_target_")
        if OmegaConf.select(config, key) is not None or (kind and name in arguments(located(kind, above))[0]):
            OmegaConf.update(config, key, value, force_add=True)


def first_tuned(tuned: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was found, by key: of several stages what the first of them did."""
    values: dict[str, Any] = {}
    for name, value in tuned.items():
        values = (dict(value) if isinstance(value, Mapping) else {name: value}) | values
    return values


def _set(holders: Sequence[Any], name: str, value: Any) -> None:
    for holder in holders:
        if hasattr(holder, name):
            setattr(holder, name, value)
        if name in holder.hparams:
            holder.hparams[name] = value


def _search(finder: Any, settings: Mapping[str, Any], model: LightningModule, *args: Any, **data: Any) -> None:
    vars(lr_finder)["tqdm"] = partial(tqdm, disable=None)  # its bar is for terminals
    finder._early_exit = True  # it ends the training of its trainer
    validation = WITHOUT_VALIDATION if isinstance(finder, LearningRateFinder) else {}
    plain = {**settings, **SEARCH, **validation}
    switches = dict.fromkeys(SWITCHES, False)
    with isolate_rng(), silent(), TemporaryDirectory() as folder:
        if int(plain.get("num_nodes") or 1) == 1:  # several share none but the run's
            plain["default_root_dir"] = folder  # a search that is killed leaves its checkpoint
        trainer: Trainer = build(
            plain,
            "trainer",
            callbacks=[finder, CheckpointContents(None)],
            logger=False,
            **switches,
            **ignoring_scheduler(plain),
        )
        trainer.logger = DummyLogger()  # for modules that ask theirs for something
        trainer.fit(model, *args, **data)


def _learning_rate(model: LightningModule, name: str) -> tuple[str, Callable[[float], Any]]:
    """Return the name under which a module keeps its learning rate, and what sets it."""
    for attribute in (name,) if name else RATES:
        if lightning_hasattr(model, attribute):
            return attribute, partial(lightning_setattr, model, attribute)
    for attribute, factory in {**model.hparams, **vars(model)}.items():
        if not name and isinstance(factory, partial) and "lr" in factory.keywords:
            return f"{attribute}.lr", partial(factory.keywords.__setitem__, "lr")
    raise UserError(
        f"LearningRateFinder: {type(model).__name__} has no {name or 'lr, learning_rate or optimizer with an lr'}; "
        "name the attribute that its configure_optimizers reads: callbacks.lr_finder.attr_name=..."
    )


def _steepest(results: Mapping[str, Sequence[float]]) -> float:
    """Return the learning rate at which the loss falls fastest along the search.

    Lightning divides by the distance between rates, by which the smallest ones win, whatever the loss.

    Raises:
        UserError: there are too few losses.
    """
    losses = torch.tensor(results["loss"][SKIPPED])
    finite = torch.isfinite(losses)
    if finite.sum() < 2:
        raise UserError(
            f"LearningRateFinder: {len(results['loss'])} steps are too few to find a learning rate; raise "
            "num_training_steps, or lower max_lr where the loss diverged."
        )
    rates = torch.tensor(results["lr"][SKIPPED], dtype=torch.float64)[finite]
    return float(f"{float(rates[torch.gradient(losses[finite])[0].argmin()]):.3g}")
