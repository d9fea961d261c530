"""What the metrics of an epoch had counted when it was cut: metric objects, and what `self.log` was given."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.connectors.logger_connector.result import _Metadata, _ResultMetric, _Sync
from lightning_utilities.core.apply_func import apply_to_collection
from torchmetrics import Metric, MetricCollection


class RestoredMetrics(Callback):
    """Restores what the metrics of a cut epoch had counted, once the module has begun, which may reset them."""

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

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Add what was logged before the cut, once Lightning has made the entries that it belongs to."""
        results = trainer.fit_loop.epoch_loop._results
        for key in [key for key in self.logged if key in results]:
            counted = self.logged.pop(key)
            if counted["is_tensor"]:
                _add(results[key], counted)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Bring back what was not logged again."""
        for key, counted in self.logged.items():
            if result := _result(counted, trainer, pl_module):
                trainer.fit_loop.epoch_loop._results[key] = result
        self.logged = {}


def metric_states(module: LightningModule) -> dict[str, Any]:
    """Return the states of all metric objects of a module."""
    return {
        name: {"states": {state: getattr(metric, state) for state in metric._defaults}, "count": metric._update_count}
        for name, metric in _metrics(module)
    }


def logged_states(trainer: Trainer) -> dict[str, Any]:
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


def _restore_metric(metric: Metric, saved: Mapping[str, Any]) -> None:
    for name, value in saved["states"].items():
        setattr(metric, name, apply_to_collection(value, torch.Tensor, lambda part: part.to(metric.device)))
    metric._update_count, metric._computed = saved["count"], None
