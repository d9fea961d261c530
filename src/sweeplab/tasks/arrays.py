"""Arrays with labels or numbers to learn, as Lightning data: split, and served in batches."""

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
from sweeplab.tasks.batches import Batches, InOrder, Shuffle

Array = NDArray[Any]
Loader = Batches | DataLoader[tuple[Tensor, ...]]


@dataclass
class Arrays:
    """Inputs of shape (samples, channels, length) or (samples, channels, height, width), and what is learned of them.

    Whole numbers are labels of classes, from 0; others are numbers to predict, one or a row a sample.

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

    `split_seed` decides which samples are held out, `shuffle_seed` the order of training. Once it is set up, it has
    attributes that a configuration may link to: `in_shape` of a sample, `num_classes` and `class_weights` of labels or
    `num_targets` of numbers, and `scale`, mean and deviation of each channel over the training part.
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
        self._classes = self._targets = 0
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
            if len(arrays.x_train) == 0:
                raise UserError("x_train holds no samples.")
            y = arrays.y_train  # all of it: a split may leave a rare class to another part
            if np.issubdtype(y.dtype, np.integer):
                self._classes = int(y.max(initial=0)) + 1
            else:
                self._targets = int(np.prod(y.shape[1:], dtype=int))
            fractions = self.val_fraction, self.test_fraction
            parts |= _split(arrays.x_train, y, arrays, fractions, self.split_seed)
            _check(parts, self._classes, fractions)
        if arrays.x_predict is not None:
            parts["predict"] = (arrays.x_predict,)
        self.parts = {name: _tensors(name, *part) for name, part in parts.items()}
        self.in_shape = tuple(next(iter(self.parts.values()))[0].shape[1:])

    @property
    def num_classes(self) -> int:
        """The number of classes, of labels.

        Raises:
            UserError: there is only one, or there are numbers to predict.
        """
        if self._classes == 1:
            raise UserError("y_train holds only the label 0; a classification needs at least two classes.")
        if self._targets:
            raise UserError(
                "y_train holds floats, numbers to predict; save labels as integers, or choose task=regression."
            )
        return self._classes

    @property
    def num_targets(self) -> int:
        """The number of numbers to predict of a sample.

        Raises:
            UserError: there are labels.
        """
        if self._classes:
            raise UserError(
                "y_train holds integers, labels of classes; save numbers to predict as floats, or choose "
                "task=classification."
            )
        return self._targets

    @property
    def class_weights(self) -> list[float]:
        """A weight for each class, by which all classes of the training part count the same: 1 on average.

        Raises:
            UserError: there is no training part with a sample of each class.
        """
        counts = torch.bincount(self.parts["train"][1], minlength=self.num_classes) if "train" in self.parts else None
        if counts is None or (counts == 0).any():
            raise UserError("data has no class_weights: its training part lacks samples of a class.")
        return (counts.sum() / (len(counts) * counts)).tolist()

    @property
    def scale(self) -> list[list[float]]:
        """Mean and deviation of each channel over the training part.

        Raises:
            UserError: there is none.
        """
        if "train" not in self.parts:
            raise UserError("the data has no training part to take its scale from.")
        x = self.parts["train"][0]
        axes = [0, *range(2, x.dim())]
        deviation = x.std(dim=axes)
        return [x.mean(dim=axes).tolist(), torch.where(deviation > 0, deviation, 1.0).tolist()]

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

    def _loader(self, part: str, shuffled: bool = False) -> Loader:
        if part not in self.parts:
            raise UserError(f"the data has no {part} part.")
        tensors = self.parts[part]
        rank, ranks = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        shuffle = Shuffle(len(tensors[0]), self.shuffle_seed, rank, ranks) if shuffled else None
        if shuffle and self.trainer:
            # Lightning names the epoch only after the workers have begun to read, when a run is resumed.
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
            TensorDataset(*tensors),
            batch_size=self.batch_size,
            sampler=shuffle or InOrder(len(tensors[0]), rank, ranks),
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


def _check(parts: dict[str, tuple[Array, ...]], num_classes: int, fractions: tuple[float, float]) -> None:
    """Make sure that no part is empty, and that all are of one kind."""
    x_train, y_train = parts["train"]
    if "val" not in parts:
        raise UserError(
            f"data.val_fraction={fractions[0]} of {len(x_train)} samples is none, so there is nothing to validate "
            "with; raise it."
        )
    count = sum(len(x) for x, _ in parts.values())
    for name, (x, y) in parts.items():
        if len(x) == 0:
            raise UserError(f"none of the {count} samples is left for the {name} part.")
        if 0 in x.shape[1:]:
            raise UserError(f"x_{name} has shape {x.shape}: its samples are empty.")
        if x.shape[1:] != x_train.shape[1:]:
            raise UserError(f"x_{name} has samples of shape {x.shape[1:]}, x_train of {x_train.shape[1:]}.")
        if _kind(y) is not _kind(y_train):
            raise UserError(f"y_{name} is {y.dtype}, y_train is {y_train.dtype}: both must be labels, or both numbers.")
        if not num_classes and not np.isfinite(y).all():
            raise UserError(f"y_{name} holds numbers that are not finite.")
    if num_classes:
        _check_labels({name: y for name, (_, y) in parts.items()}, num_classes)


def _check_labels(labels: dict[str, Array], num_classes: int) -> None:
    """Make sure that labels count from 0 without gaps, and that no part has one that training does not know."""
    for name, y in labels.items():
        if y.min() < 0:
            raise UserError(f"y_{name} holds the label {y.min()}; labels count from 0.")
        if y.max() >= num_classes:
            raise UserError(f"y_{name} holds the label {y.max()}, which y_train (0 to {num_classes - 1}) does not.")
    used = np.unique(np.concatenate(list(labels.values())))
    if len(used) < num_classes:
        gap = next(label for label in range(num_classes) if label not in used)
        raise UserError(
            f"no sample has the label {gap}; labels count from 0 without gaps, up to {num_classes - 1} here."
        )


def _tensors(part: str, x: Array, *labels: Array) -> tuple[Tensor, ...]:
    return (
        torch.from_numpy(_converted(f"x_{part}", x, np.float32)),
        *(torch.from_numpy(_converted(f"y_{part}", y, _kind(y))) for y in labels),
    )


def _converted(name: str, array: Array, kind: type) -> Array:
    """Return an array of another type, unless that loses numbers.

    Raises:
        UserError: it is complex, or its numbers are too large.
    """
    if np.iscomplexobj(array):
        raise UserError(f"{name} is {array.dtype}; save real and imaginary parts as channels of their own.")
    with np.errstate(over="ignore"):
        converted: Array = np.ascontiguousarray(array, dtype=kind)
    is_lost = np.isinf(converted).any() and np.isfinite(array).all() if kind is np.float32 else (converted < 0).any()
    if is_lost:
        most = "3.4e38, the largest of 32-bit floats" if kind is np.float32 else "2**63, the largest of labels"
        raise UserError(f"{name} is {array.dtype} and holds numbers beyond {most}; scale it.")
    return converted


def _kind(y: Array) -> type:
    return np.int64 if np.issubdtype(y.dtype, np.integer) else np.float32
