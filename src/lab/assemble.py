"""The objects of a run, from its configuration."""

from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import Checkpoint, LearningRateMonitor, ModelSummary, ProgressBar
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig

from lab.data.arrays import ArrayData
from lab.models.classifier import Classifier
from sweeplab.errors import UserError
from sweeplab.runs.config import resolved
from sweeplab.training.build import build


def assemble_model(config: DictConfig, data: ArrayData) -> Classifier:
    """Return the classifier that the configuration describes, fitted to the shapes of the data."""
    plain = resolved(config)
    metrics = {
        name: metric | {"num_classes": data.num_classes}
        for name, metric in (plain["metrics"] or {}).items()
        if metric is not None
    }
    return Classifier(
        plain["model"] | {"in_shape": list(data.in_shape), "num_classes": data.num_classes},
        plain["optimizer"],
        plain["scheduler"],
        metrics,
        plain["label_smoothing"],
        plain["compile"],
        scale=data.channel_scale(),
    )


def assemble_loggers(config: DictConfig, wandb_id: str | None = None) -> list[Logger]:
    """Return the loggers that are configured; W&B takes up the run of the given id, or names a new one by its model."""
    plain = resolved(config.logger)
    if plain.get("wandb"):
        plain["wandb"]["id"] = wandb_id or plain["wandb"].get("id")
        plain["wandb"]["name"] = plain["wandb"].get("name") or config.model._target_.rpartition(".")[2].lower()
    return [build(entry, f"logger.{name}") for name, entry in plain.items() if entry is not None]


def assemble_trainer(config: DictConfig, loggers: list[Logger]) -> Trainer:
    """Return the trainer with its callbacks; what is not configured stays off, where Lightning would add its own."""
    plain = resolved(config)
    callbacks: list[Callback] = [
        build(entry, f"callbacks.{name}") for name, entry in plain["callbacks"].items() if entry is not None
    ]
    if not loggers:
        # Lightning refuses to monitor learning rates for nobody.
        callbacks = [callback for callback in callbacks if not isinstance(callback, LearningRateMonitor)]
    switches: dict[str, Any] = {
        f"enable_{switch}": any(isinstance(callback, kind) for callback in callbacks)
        for switch, kind in (
            ("checkpointing", Checkpoint),
            ("progress_bar", ProgressBar),
            ("model_summary", ModelSummary),
        )
    }
    if clash := sorted(switches.keys() & plain["trainer"].keys()):
        raise UserError(f"trainer.{clash[0]} follows from callbacks: name a callback, or switch it off there.")
    trainer: Trainer = build(plain["trainer"], "trainer", callbacks=callbacks, logger=loggers or False, **switches)
    return trainer
