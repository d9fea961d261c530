"""A few predictions as a picture: what the model sees, what it says, and what was right."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

Pixels = NDArray[np.uint8]
TILE, CAPTION, COLUMNS = 96, 14, 8
RIGHT, WRONG, INK = (0, 120, 60), (190, 30, 30), (40, 40, 40)


class Samples(Callback):
    """Draws the first `count` predictions of a validation, every `every_n_epochs` and at the end of training.

    The picture goes to every logger that takes images, and to `folder` as a PNG file.
    """

    def __init__(self, folder: str, count: int = 16, every_n_epochs: int = 10) -> None:
        self.folder, self.count, self.every_n_epochs = Path(folder), count, every_n_epochs
        self._seen: tuple[Tensor, Tensor, Tensor] | None = None
        self._drawn = -1

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: tuple[Tensor, Tensor],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the first predictions, of a model whose validation step returns logits."""
        if batch_idx == 0 and isinstance(outputs, Tensor):
            x, y = (part[: self.count] for part in batch)
            self._seen = (x, y, outputs[: self.count].argmax(1))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw what was kept, if it is time."""
        if not trainer.sanity_checking and (trainer.current_epoch + 1) % self.every_n_epochs == 0:
            self._draw(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the last predictions."""
        self._draw(trainer)

    def _draw(self, trainer: Trainer) -> None:
        if self._seen is None or not trainer.is_global_zero or self._drawn == trainer.global_step:
            return
        self._drawn = trainer.global_step
        x, y, said = (tensor.cpu().numpy() for tensor in self._seen)
        picture = picture_of(x, y, said)
        self.folder.mkdir(parents=True, exist_ok=True)
        picture.save(self.folder / f"step-{trainer.global_step:06d}.png")
        for logger in trainer.loggers:
            if hasattr(logger, "log_image"):
                logger.log_image("samples", [picture], step=trainer.global_step)
            elif isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("samples", np.asarray(picture), trainer.global_step, dataformats="HWC")


def picture_of(x: NDArray[np.float32], y: NDArray[np.int64], said: NDArray[np.int64]) -> Image.Image:
    """Return all samples side by side, each under a caption: green where the prediction is right, else red."""
    rows = -(-len(x) // COLUMNS)
    picture = Image.new("RGB", (COLUMNS * TILE, rows * (TILE + CAPTION)), "white")
    draw = ImageDraw.Draw(picture)
    for number, (sample, label, prediction) in enumerate(zip(x, y, said, strict=True)):
        left, top = number % COLUMNS * TILE, number // COLUMNS * (TILE + CAPTION)
        text = f"{prediction}" if prediction == label else f"{prediction}, not {label}"
        draw.text((left + 4, top + 1), text, fill=RIGHT if prediction == label else WRONG)
        tile = _curves(sample) if sample.ndim == 2 else _image(sample)
        picture.paste(tile, (left + 2, top + CAPTION))
    return picture


def _image(sample: NDArray[np.float32]) -> Image.Image:
    colours = sample[:3] if len(sample) >= 3 else sample[:1].repeat(3, axis=0)
    low, high = colours.min(), colours.max()
    pixels: Pixels = (255 * (colours - low) / max(high - low, 1e-8)).astype(np.uint8)
    return Image.fromarray(pixels.transpose(1, 2, 0)).resize((TILE - 4, TILE - 4), Image.Resampling.NEAREST)


def _curves(sample: NDArray[np.float32]) -> Image.Image:
    """Draw each channel of a signal as a line, all to one scale."""
    size = TILE - 4
    tile = Image.new("RGB", (size, size), "white")
    draw = ImageDraw.Draw(tile)
    low, high = sample.min(), sample.max()
    across = np.linspace(1, size - 2, sample.shape[1])
    for channel in sample:
        height = (size - 3) * (1 - (channel - low) / max(high - low, 1e-8)) + 1
        draw.line([(float(a), float(h)) for a, h in zip(across, height, strict=True)], fill=INK)
    return tile
