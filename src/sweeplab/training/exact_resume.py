"""What Lightning's checkpoints leave out of a run that is to go on as if it had never stopped.

These are the states of all random number generators and the place in data that keeps none itself; metric_states has
those of metrics.
"""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from lightning.fabric.utilities.data import _set_sampler_epoch
from lightning.fabric.utilities.types import _Stateful
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from sweeplab.training.metric_states import RestoredMetrics, logged_states, metric_states
from sweeplab.training.preflight import check_schedules

KEY = "exact_resume"


class ExactResume(Callback):
    """Keeps the rest of a run's state in every checkpoint, as tensors and plain data, and puts it back on resume.

    A loader without a state is read again from the start of its epoch, with the generators as they were then, up to the
    batch that comes next. With `longer` a schedule that was laid out for fewer steps is refused.
    """

    def __init__(self, longer: bool = False) -> None:
        self.longer = longer
        self._at_epoch_start: dict[str, Any] = {}
        self._has_begun_early = False
        self._loaded: dict[str, Any] | None = None
        self._between_epochs: dict[str, Any] | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the generators before Lightning asks the data for its first iterator.

        It has asked already where `configure_optimizers` wanted to know how many steps there will be.
        """
        self._at_epoch_start = generator_states()
        self._has_begun_early = trainer.fit_loop._data_fetcher is not None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the generators before the epoch asks the data for an iterator.

        In a resumed run put them back, now that all that begins has drawn its numbers.
        """
        if start := self._between_epochs:
            self._between_epochs = None
            self._at_epoch_start = start
            restore_generators(start)
            _rewind(trainer, start.get("loaders"), 0)
        elif trainer.current_epoch > 0:
            self._at_epoch_start = generator_states() | {"loaders": _loader_states(trainer)}

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the states of all processes to a checkpoint."""
        state = {
            "generators": generator_states() | {"loaders": _loader_states(trainer)},
            "at_epoch_start": self._at_epoch_start,
            "logged": logged_states(trainer),
            "metrics": metric_states(pl_module),
            "callback_metrics": dict(trainer.callback_metrics),
        }
        states: list[Any] = [state] * trainer.world_size
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_gather_object(states, state)
        checkpoint[KEY] = states

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep the states until training starts, or the epoch: what comes between draws numbers of its own."""
        if trainer.state.fn is not TrainerFn.FITTING:  # a test, or a validation before the training
            return
        if "generator_states" in checkpoint:  # of version 1
            self._loaded = {"generators": checkpoint["generator_states"]}
        elif states := checkpoint.get(KEY):
            self._loaded = states[trainer.global_rank % len(states)]
            if len(states) != trainer.world_size:  # another number of processes has other shares
                self._loaded = {"generators": self._loaded["generators"]}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the states back."""
        if self.longer:
            check_schedules(trainer)
        if self._loaded is None:
            self._begin_anew(trainer)
            return
        loaded, self._loaded = self._loaded, None
        latest = {**loaded.get("callback_metrics", {}), **trainer.callback_metrics}
        trainer._logger_connector._callback_metrics.update(latest)  # what monitors find until it is measured again
        is_inside = trainer.fit_loop.restarted_mid_epoch
        if is_inside and (start := loaded.get("at_epoch_start")):
            self._at_epoch_start = start
            restore_generators(start)
            _rewind(trainer, start.get("loaders"), trainer.fit_loop.epoch_loop.batch_progress.current.ready)
        if is_inside:
            restore_generators(loaded["generators"])
        else:
            self._between_epochs = loaded["generators"]
        logged = loaded.get("logged", {}) if is_inside else {}
        trainer.callbacks.append(RestoredMetrics(loaded.get("metrics", {}), logged))  # type: ignore[attr-defined]  # set by one of its connectors

    def _begin_anew(self, trainer: Trainer) -> None:
        """Let the first epoch begin now where the states of some generators could not be noted before."""
        fetcher = trainer.fit_loop._data_fetcher
        has_lost_states = self._has_begun_early or _generators(trainer)
        if fetcher is not None and has_lost_states and not _has_state(trainer):
            self._at_epoch_start = generator_states() | {"loaders": _loader_states(trainer)}
            iter(fetcher)


def generator_states() -> dict[str, Any]:
    """Return the states of the generators of Python, NumPy, and torch on every device in use."""
    version, internal, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    # As tensors: a checkpoint takes ten times as long with so many single numbers.
    return {
        "python": (version, torch.tensor(internal), gauss),
        "numpy": (kind, torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, cached),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],  # type: ignore[no-untyped-call]  # torch
    }


def restore_generators(states: Mapping[str, Any]) -> None:
    """Put the generators into the states that `generator_states` returned."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(map(int, internal)), gauss))
    kind, keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state((kind, torch.as_tensor(keys).cpu().numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(states["torch"].cpu())
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])


def _loaders(trainer: Trainer) -> list[Any]:
    combined = trainer.fit_loop._combined_loader
    return list(combined.flattened) if combined is not None else []


def _has_state(trainer: Trainer) -> bool:
    return any(isinstance(loader, _Stateful) for loader in _loaders(trainer))


def _generators(trainer: Trainer) -> list[torch.Generator]:
    """Return the generators that loaders and their samplers have of their own."""
    owners = [owner for loader in _loaders(trainer) for owner in (loader, getattr(loader, "sampler", None))]
    generators = [getattr(owner, "generator", None) for owner in owners]
    return list(dict.fromkeys(each for each in generators if isinstance(each, torch.Generator)))


def _loader_states(trainer: Trainer) -> list[Any]:
    return [generator.get_state() for generator in _generators(trainer)]


def _rewind(trainer: Trainer, states: list[Any] | None, batches: int) -> None:
    """Begin the epoch anew and read so many batches of it, unless loaders have a state themselves.

    Lightning has asked for an iterator already, with the generators as they happened to be.
    """
    fetcher = trainer.fit_loop._data_fetcher
    if fetcher is None or _has_state(trainer):
        return
    for generator, state in zip(_generators(trainer), states or (), strict=False):
        generator.set_state(state.cpu())
    for loader in _loaders(trainer):
        _set_sampler_epoch(loader, trainer.current_epoch)
    iter(fetcher)
    for _ in range(batches):
        next(fetcher)
    fetcher.fetched -= batches  # Lightning adds them itself
