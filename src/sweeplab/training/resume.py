"""What Lightning's checkpoints leave out of a run that is to go on as if it had never stopped."""

import random
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer


class GeneratorStates(Callback):
    """Keeps the states of all random number generators in every checkpoint, and puts them back on resume."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] | None = None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the states to a checkpoint, as tensors and plain data that load with `weights_only=True`."""
        checkpoint["generator_states"] = generator_states()

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep the states until training starts: what comes between draws numbers of its own."""
        self._loaded = checkpoint.get("generator_states")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the states back."""
        if self._loaded is not None:
            restore_generators(self._loaded)
            self._loaded = None


def generator_states() -> dict[str, Any]:
    """Return the states of the generators of Python, NumPy, and torch on every device in use."""
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": (kind, np.asarray(keys).tolist(), position, has_gauss, cached),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],  # type: ignore[no-untyped-call]  # torch
    }


def restore_generators(states: dict[str, Any]) -> None:
    """Put the generators into the states that `generator_states` returned."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), position, has_gauss, cached))
    torch.set_rng_state(states["torch"].cpu())
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])
