"""Pictures: of a few predictions beside what is right, and of a confusion matrix."""

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
RIGHT, WRONG, INK, ON_DARK = (0, 120, 60), (190, 30, 30), (40, 40, 40), (255, 255, 255)
TILE, CAPTION, COLUMNS = 96, 14, 8  # of samples: pixels of one and of the text above it, samples in a row
MATRIX, MARGIN, LEGIBLE = 440, 40, 22  # of a matrix: pixels of its cells, of its edge, of a cell that text fits in


class Samples(Callback):
    """Draws the first `count` predictions of a validation, every `every_n_epochs` and at the end of training.

    The picture goes to every logger that takes images, and to `folder` as a PNG file.
    """

    def __init__(self, folder: str, count: int = 16, every_n_epochs: int = 10) -> None:
        self.folder, self.count, self.every_n_epochs = Path(folder), count, every_n_epochs
        self._samples: tuple[Tensor, Tensor, Tensor] | None = None
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
            self._samples = (x.float(), y, outputs[: self.count].argmax(1))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw what was kept, if it is time."""
        if not trainer.sanity_checking and (trainer.current_epoch + 1) % self.every_n_epochs == 0:
            self._draw(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the last predictions."""
        self._draw(trainer)

    def _draw(self, trainer: Trainer) -> None:
        if self._samples is None or not trainer.is_global_zero or self._drawn == trainer.global_step:
            return
        self._drawn = trainer.global_step
        x, y, predicted = (tensor.cpu().numpy() for tensor in self._samples)
        picture = samples_picture(x, y, predicted)
        self.folder.mkdir(parents=True, exist_ok=True)
        picture.save(self.folder / f"step-{trainer.global_step:06d}.png")
        for logger in trainer.loggers:
            if hasattr(logger, "log_image"):
                logger.log_image("samples", [picture], step=trainer.global_step)
            elif isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("samples", np.asarray(picture), trainer.global_step, dataformats="HWC")


def samples_picture(x: NDArray[np.float32], y: NDArray[np.int64], predicted: NDArray[np.int64]) -> Image.Image:
    """Return all samples side by side, each under a caption: green where the prediction is right, else red."""
    rows = -(-len(x) // COLUMNS)
    picture = Image.new("RGB", (COLUMNS * TILE, rows * (TILE + CAPTION)), "white")
    draw = ImageDraw.Draw(picture)
    for number, (sample, label, prediction) in enumerate(zip(x, y, predicted, strict=True)):
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


def confusion_picture(counts: NDArray[np.int64]) -> Image.Image:
    """Draw a row a label and a column a predicted class: the darker, the larger the share of the label's samples.

    Right ones are green, wrong ones red. Where there is room, counts and classes stand there as numbers.
    """
    classes = len(counts)
    cell = max(1, MATRIX // classes)
    # The root of a share: a few mistakes among many samples are to be seen too.
    depth = np.sqrt(counts / counts.sum(1, keepdims=True).clip(1))
    colours = np.where(np.eye(classes, dtype=bool)[..., None], RIGHT, WRONG)
    tiles = (255 - depth[..., None] * (255 - colours)).astype(np.uint8)
    matrix = Image.fromarray(tiles).resize((cell * classes, cell * classes), Image.Resampling.NEAREST)
    picture = Image.new("RGB", (MARGIN + matrix.width, MARGIN + matrix.height), "white")
    picture.paste(matrix, (MARGIN, MARGIN))
    draw = ImageDraw.Draw(picture)
    draw.text((MARGIN + matrix.width // 2, MARGIN // 4), "predicted", fill=INK, anchor="mm")
    draw.text((MARGIN // 2, MARGIN * 3 // 4), "label", fill=INK, anchor="mm")
    if cell >= LEGIBLE:
        _write_numbers(draw, counts, depth, cell)
    return picture


def _write_numbers(draw: ImageDraw.ImageDraw, counts: NDArray[np.int64], depth: NDArray[np.float64], cell: int) -> None:
    centres = [MARGIN + number * cell + cell // 2 for number in range(len(counts))]
    for number, centre in enumerate(centres):
        draw.text((MARGIN // 2, centre), str(number), fill=INK, anchor="mm")
        draw.text((centre, MARGIN * 3 // 4), str(number), fill=INK, anchor="mm")
    for label, predicted in np.argwhere(counts).tolist():
        ink = ON_DARK if depth[label, predicted] > 0.6 else INK
        draw.text((centres[predicted], centres[label]), str(counts[label, predicted]), fill=ink, anchor="mm")
