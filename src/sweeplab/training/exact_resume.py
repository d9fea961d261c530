"""What Lightning's checkpoints leave out of a run that is to go on as if it had never stopped.

These are the states of all random number generators, the place in data that keeps none itself, and what the metrics of
an epoch had counted when it was cut.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from lightning.fabric.utilities.data import _set_sampler_epoch
from lightning.fabric.utilities.types import _Stateful
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.connectors.logger_connector.result import _Metadata, _ResultMetric, _Sync
from lightning.pytorch.trainer.states import TrainerFn
from lightning_utilities.core.apply_func import apply_to_collection
from torchmetrics import Metric, MetricCollection

from sweeplab.errors import UserError

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
            "logged": _logged(trainer),
            "metrics": {name: _metric_state(metric) for name, metric in _metrics(pl_module)},
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
            _check_schedules(trainer)
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
        trainer.callbacks.append(_CountedBefore(loaded.get("metrics", {}), logged))  # type: ignore[attr-defined]  # set by one of its connectors

    def _begin_anew(self, trainer: Trainer) -> None:
        """Let the first epoch begin now where the states of some generators could not be noted before."""
        fetcher = trainer.fit_loop._data_fetcher
        has_lost_states = self._has_begun_early or _generators(trainer)
        if fetcher is not None and has_lost_states and not _has_state(trainer):
            self._at_epoch_start = generator_states() | {"loaders": _loader_states(trainer)}
            iter(fetcher)


class _CountedBefore(Callback):
    """Gives a resumed run what its metrics had counted, once the module has begun, which may reset them."""

    def __init__(self, metrics: Mapping[str, Any], logged: Mapping[str, Any]) -> None:
        self.metrics, self.logged = dict(metrics), dict(logged)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the states of metric objects back."""
        for name, metric in _metrics(pl_module) if self.metrics else ():
            if name in self.metrics:
                _restore_metric(metric, self.metrics[name])
        self.metrics = {}

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Do so inside an epoch too."""
        self.on_train_epoch_start(trainer, pl_module)

    def on_train_batch_last_step(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Add what was logged before the cut, once Lightning has made the entries that it belongs to."""
        results = trainer.fit_loop.epoch_loop._results
        for key in [key for key in self.logged if key in results]:
            counted = self.logged.pop(key)
            if counted["is_tensor"]:
                _add(results[key], counted)

    def on_train_epoch_last_step(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Bring back what was not logged again."""
        for key, counted in self.logged.items():
            if result := _result(counted, trainer, pl_module):
                trainer.fit_loop.epoch_loop._results[key] = result
        self.logged = {}


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


def _logged(trainer: Trainer) -> dict[str, Any]:
    """Return what `self.log` has counted of this epoch; metric objects count themselves."""
    results = trainer.fit_loop.epoch_loop._results
    return {
        key: {"meta": _meta(result.meta), "is_tensor": result.is_tensor}
        | ({"value": result.value, "size": getattr(result, "cumulated_batch_size", 0)} if result.is_tensor else {})
        for key, result in results.items()
        if result.meta.on_epoch and not result.has_reset
    }


def _meta(meta: _Metadata) -> dict[str, Any]:
    plain = {
        field.name: getattr(meta, field.name) for field in fields(meta) if field.name not in ("_sync", "reduce_fx")
    }
    sync = {"should": meta.sync.should, "rank_zero_only": meta.sync.rank_zero_only}
    return plain | {"reduce_fx": meta.reduce_fx.__name__, "sync": sync}


def _result(counted: Mapping[str, Any], trainer: Trainer, module: LightningModule) -> _ResultMetric | None:
    """Return the entry that Lightning had made for what was logged; none where its metric object is gone."""
    sync = counted["meta"]["sync"]
    meta = _Metadata(**{name: value for name, value in counted["meta"].items() if name != "sync"})
    meta.sync = _Sync(trainer.strategy.reduce, sync["should"], rank_zero_only=sync["rank_zero_only"])
    result = _ResultMetric(meta, counted["is_tensor"]).to(module.device)
    result._update_count = 1
    if counted["is_tensor"]:
        _add(result, counted)
    else:
        result.value = dict(_metrics(module)).get(meta.metric_attribute or "")
    return None if result.value is None else result


def _add(result: Any, counted: Mapping[str, Any]) -> None:
    value = counted["value"].to(result.value.device)
    if result.meta.is_mean_reduction or result.meta.is_sum_reduction:
        result.value = result.value + value
    else:
        result.value = result.meta.reduce_fx(torch.stack([result.value, value]))
    if result.meta.is_mean_reduction:
        result.cumulated_batch_size = result.cumulated_batch_size + counted["size"]
    result._computed = None


def _metrics(module: LightningModule) -> Iterator[tuple[str, Metric]]:
    for part in module.modules():
        if isinstance(part, MetricCollection):
            part.items(keep_base=True, copy_state=False)  # members of a group share their states again
    yield from ((name, part) for name, part in module.named_modules() if isinstance(part, Metric))


def _metric_state(metric: Metric) -> dict[str, Any]:
    return {"states": {name: getattr(metric, name) for name in metric._defaults}, "count": metric._update_count}


def _restore_metric(metric: Metric, saved: Mapping[str, Any]) -> None:
    for name, value in saved["states"].items():
        setattr(metric, name, apply_to_collection(value, torch.Tensor, lambda part: part.to(metric.device)))
    metric._update_count, metric._computed = saved["count"], None


def _check_schedules(trainer: Trainer) -> None:
    """Refuse to train beyond the end of a learning-rate schedule.

    Raises:
        UserError: one has an end, and it comes earlier.
    """
    for config in trainer.lr_scheduler_configs:
        end = _last_step(config.scheduler)
        needed = trainer.estimated_stepping_batches if config.interval == "step" else trainer.max_epochs
        if end and needed and needed / config.frequency > end:
            raise UserError(
                f"{type(config.scheduler).__name__} was laid out for {end} {config.interval}s, and this training takes "
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
