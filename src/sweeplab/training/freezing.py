"""Weights that a training leaves as they are, by patterns over their names."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from sweeplab.errors import UserError, nearest


def freeze(model: LightningModule, patterns: Sequence[str]) -> list[str]:
    """Freeze the weights whose names match one of the patterns, such as `encoder.*`; return their names.

    Raises:
        UserError: a pattern matches none, or nothing is left to train.
    """
    model.configure_model()  # which may make the layers; it may be called twice
    weights = dict(model.named_parameters())
    for pattern in patterns:
        if not _matching(weights, [pattern]):
            raise UserError(f"freeze: {pattern} matches no weight of {type(model).__name__}{_meant(pattern, model)}")
    frozen = _matching(weights, patterns)
    if len(frozen) == len(weights):
        raise UserError(f"freeze={list(patterns)} leaves no weight of {type(model).__name__} to train.")
    for name in frozen:
        weights[name].requires_grad = False
    return frozen


class FrozenStatistics(Callback):
    """Keeps normalisation layers whose running statistics match a pattern in evaluation mode while the rest trains.

    In training mode they would still follow the batches, and the frozen part would not stay what it was.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self.patterns = patterns

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Freeze the statistics: each epoch, since modules may be put into training mode between two."""
        statistics = [name for name, _ in pl_module.named_buffers() if name.rpartition(".")[2] == "running_mean"]
        for name in _matching(statistics, self.patterns):
            pl_module.get_submodule(name.rpartition(".")[0]).eval()


def _matching(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]


def _meant(pattern: str, model: nn.Module) -> str:
    """Return the end of a sentence that tells of the nearest part of a model, or else of the parts that it has."""
    parts = [name for name, part in model.named_modules() if name and next(part.parameters(), None) is not None]
    if near := nearest(pattern.removesuffix(".*"), parts):
        return f"; did you mean '{near}.*'?"
    outer = [f"{name}.*" for name in parts if "." not in name]
    return f"; choose from {', '.join(outer)}." if outer else "."
