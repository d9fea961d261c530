"""Labelled arrays as Lightning data: split, scaled, and served in batches."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from sweeplab.errors import UserError
from sweeplab.training.batches import Batches, Shuffle

Array = NDArray[Any]
Loader = Batches | DataLoader[tuple[Tensor, ...]]


@dataclass
class Arrays:
    """Inputs of shape (samples, channels, length) or (samples, channels, height, width), labels from 0.

    A test or validation part that is left out is split off the training part. `x_predict` has no labels, and is
    enough by itself to predict with a model that is trained already.
    """

    x_train: Array | None = None
    y_train: Array | None = None
    x_test: Array | None = None
    y_test: Array | None = None
    x_val: Array | None = None
    y_val: Array | None = None
    x_predict: Array | None = None


class ArrayData(LightningDataModule):
    """Data that fits in memory. A data set is a subclass with one method, `load`.

    Inputs are scaled to mean 0 and deviation 1 a channel, by the training part alone; the scale travels with every
    checkpoint. `split_seed` decides which samples are held out, `shuffle_seed` the order of training.
    """

    def __init__(
        self,
        batch_size: int,
        val_fraction: float,
        test_fraction: float = 0.0,
        split_seed: int = 0,
        shuffle_seed: int = 0,
        num_workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise UserError(f"data.batch_size={batch_size} must be at least 1.")
        for name, number in (("num_workers", num_workers), ("split_seed", split_seed), ("shuffle_seed", shuffle_seed)):
            if number < 0:
                raise UserError(f"data.{name}={number} must be at least 0.")
        for name, fraction in (("val_fraction", val_fraction), ("test_fraction", test_fraction)):
            if not 0 <= fraction < 1:
                raise UserError(f"data.{name}={fraction} must be at least 0 and below 1.")
        self.batch_size, self.num_workers, self.pin_memory = batch_size, num_workers, pin_memory
        self.val_fraction, self.test_fraction = val_fraction, test_fraction
        self.split_seed = split_seed
        self.shuffle_seed = shuffle_seed
        self.parts: dict[str, tuple[Tensor, ...]] = {}
        self.scale: tuple[Tensor, Tensor] | None = None
        self.num_classes = 0
        self.in_shape: tuple[int, ...] = ()

    @abstractmethod
    def load(self) -> Arrays:
        """Return the data set, unscaled."""

    def setup(self, stage: str | None = None) -> None:
        """Load, check and split the arrays, once."""
        if self.parts:
            return
        arrays = self.load()
        parts: dict[str, tuple[Array, ...]] = {}
        if arrays.x_train is not None and arrays.y_train is not None:
            labelled = _split(
                arrays.x_train, arrays.y_train, arrays, (self.val_fraction, self.test_fraction), self.split_seed
            )
            self.num_classes = int(labelled["train"][1].max(initial=0)) + 1
            _check(labelled, self.num_classes)
            parts |= labelled
        if arrays.x_predict is not None:
            parts["predict"] = (arrays.x_predict,)
        self.parts = {name: _tensors(*part) for name, part in parts.items()}
        self.in_shape = tuple(next(iter(self.parts.values()))[0].shape[1:])
        if self.scale is None and "train" in self.parts:
            self.scale = _scale(self.parts["train"][0])

    def train_dataloader(self) -> Loader:
        """Return the training part, shuffled anew each epoch."""
        overfit = self.trainer is not None and self.trainer.overfit_batches > 0  # type: ignore[attr-defined]  # set by one of its connectors
        return self._loader("train", shuffled=not overfit)

    def val_dataloader(self) -> Loader:
        """Return the validation part."""
        return self._loader("val")

    def test_dataloader(self) -> Loader:
        """Return the test part."""
        return self._loader("test")

    def predict_dataloader(self) -> Loader:
        """Return the inputs to predict; the test part where the data set names none."""
        return self._loader("predict" if "predict" in self.parts else "test")

    def channel_scale(self) -> tuple[list[float], list[float]]:
        """Return mean and deviation of each channel, as plain numbers."""
        assert self.scale is not None
        mean, deviation = (part.flatten().tolist() for part in self.scale)
        return mean, deviation

    def state_dict(self) -> dict[str, Any]:
        """Return the scale, which a trained model cannot do without."""
        assert self.scale is not None
        return {"mean": self.scale[0], "deviation": self.scale[1]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Scale as the checkpoint's training data was scaled."""
        self.scale = (state_dict["mean"].cpu(), state_dict["deviation"].cpu())

    def _loader(self, part: str, shuffled: bool = False) -> Loader:
        if part not in self.parts:
            raise UserError(f"the data has no {part} part.")
        assert self.scale is not None
        x, *labels = self.parts[part]
        mean, deviation = self.scale
        tensors = ((x - mean) / deviation, *labels)
        rank, ranks = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        shuffle = Shuffle(len(x), self.shuffle_seed, rank, ranks) if shuffled else None
        if shuffle and self.trainer:
            # Lightning names the epoch only after the workers have begun to read, when a run is taken up again.
            progress: Any = self.trainer.fit_loop.epoch_progress.current
            shuffle.set_epoch(progress.processed)
        if self.num_workers == 0:
            return Batches(
                *tensors,
                batch_size=self.batch_size,
                shuffle=shuffle,
                rank=rank,
                ranks=ranks,
                pin_memory=self.pin_memory,
            )
        return DataLoader(
            TensorDataset(*(tensors if shuffle else (tensor[rank::ranks] for tensor in tensors))),
            batch_size=self.batch_size,
            sampler=shuffle,
            num_workers=self.num_workers,
            pin_memory=self.pin_memory,
            persistent_workers=True,
            # A process with the threads of a process group must not be forked: now and then a worker hangs at birth.
            multiprocessing_context="forkserver" if ranks > 1 else None,
            generator=torch.Generator().manual_seed(self.shuffle_seed),  # the global one is for the model
        )


def _split(
    x: Array, y: Array, arrays: Arrays, fractions: tuple[float, float], seed: int
) -> dict[str, tuple[Array, Array]]:
    """Hold out what the data set does not bring: first the test part, then the validation part."""
    val_fraction, test_fraction = fractions
    order = np.random.default_rng(seed).permutation(len(x))
    parts = {}
    for name, given_x, given_y, fraction in (
        ("test", arrays.x_test, arrays.y_test, test_fraction),
        ("val", arrays.x_val, arrays.y_val, val_fraction),
    ):
        if given_x is not None and given_y is not None:
            parts[name] = (given_x, given_y)
            continue
        held_out, order = np.split(order, [round(fraction * len(x))])
        if len(held_out):
            parts[name] = (x[held_out], y[held_out])
    return {"train": (x[order], y[order]), **parts}


def _check(parts: dict[str, tuple[Array, Array]], num_classes: int) -> None:
    if "val" not in parts:
        raise UserError("there is no validation data: raise data.val_fraction.")
    for name, (x, y) in parts.items():
        if len(x) == 0:
            raise UserError(f"the {name} part is empty.")
        if x.shape[1:] != parts["train"][0].shape[1:]:
            raise UserError(f"x_{name} has samples of shape {x.shape[1:]}, x_train of {parts['train'][0].shape[1:]}.")
        if y.min() < 0:
            raise UserError(f"y_{name} holds the label {y.min()}; labels count from 0.")
        if y.max() >= num_classes:
            raise UserError(f"y_{name} holds the label {y.max()}, which y_train (0 to {num_classes - 1}) does not.")
    seen = np.unique(np.concatenate([y for _, y in parts.values()]))
    if len(seen) < num_classes:
        gap = next(label for label in range(num_classes) if label not in seen)
        raise UserError(
            f"no sample has the label {gap}; labels count from 0 without gaps, up to {num_classes - 1} here."
        )


def _tensors(x: Array, *labels: Array) -> tuple[Tensor, ...]:
    return (
        torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32)),
        *(torch.from_numpy(np.ascontiguousarray(y, dtype=np.int64)) for y in labels),
    )


def _scale(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of each channel, shaped to be taken off a batch."""
    axes = [0, *range(2, x.dim())]
    deviation = x.std(dim=axes, keepdim=True)
    return x.mean(dim=axes, keepdim=True), torch.where(deviation > 0, deviation, 1.0)
