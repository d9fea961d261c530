from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sweeplab.errors import SetupError, UserError, did_you_mean
from sweeplab.tasks.arrays import Array, ArrayData, Arrays

REQUIRED = ("x_train", "y_train", "x_test", "y_test")
OPTIONAL = ("x_val", "y_val", "x_predict")
MAX_CHANNELS = 4  # numbers that are channels rather than the length of a signal or the width of an image


class Npz(ArrayData):
    """Arrays of your own from a file of `numpy.savez`: x_train y_train x_test y_test, optional x_val y_val x_predict.

    Inputs with 2 axes are signals (samples, length), with 3 grey images (samples, height, width), with 4 images
    (samples, channels, height, width); `kind=signal` reads 3 axes as (samples, channels, length).
    """

    def __init__(self, path: str, root: str = ".", kind: str = "auto", **loading: Any) -> None:
        super().__init__(**loading)
        if kind not in ("auto", "signal", "image"):
            raise UserError(f"data.kind={kind} is not known{did_you_mean(kind, ('auto', 'signal', 'image'))}")
        self.path, self.kind = Path(root) / path, kind

    def load(self) -> Arrays:
        """Return the arrays of the file, in the shape that models take."""
        with _opened(self.path) as file:
            unlabelled = "x_predict" in file and not any(name in file for name in REQUIRED)
            if not unlabelled and (missing := [name for name in REQUIRED if name not in file]):
                raise UserError(f"{self.path} has no {missing[0]}; it holds {', '.join(file.files) or 'nothing'}.")
            arrays = {name: self._read(file, name) for name in (*REQUIRED, *OPTIONAL) if name in file}
        for part in ("train", "test", "val"):
            self._check_pair(arrays.get(f"x_{part}"), arrays.get(f"y_{part}"), part)
        return Arrays(**arrays)

    def _read(self, file: Any, name: str) -> Array:
        try:
            array: Any = file[name]
        except Exception as error:
            if "allow_pickle" in str(error):
                raise UserError(f"{name} in {self.path} holds objects; save it as numbers.") from None
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UserError(f"{name} in {self.path} is damaged: {reason}.") from error
        if not isinstance(array, np.ndarray):
            raise UserError(f"{name} in {self.path} is not an array; write it with numpy.savez.")
        return self._inputs(array, name) if name.startswith("x_") else self._labels(array, name)

    def _inputs(self, x: Array, name: str) -> Array:
        if not (np.issubdtype(x.dtype, np.number) or x.dtype == bool) or np.iscomplexobj(x):
            real = "real numbers; save real and imaginary parts as channels" if np.iscomplexobj(x) else "numbers"
            raise UserError(f"{name} in {self.path} is of type {x.dtype}; it must hold {real}.")
        if not np.isfinite(x).all():
            raise UserError(f"{name} in {self.path} holds values that are not finite.")
        if x.ndim == 2 and self.kind != "image":
            return x[:, None]
        if (escape := self._channels_last(x.shape)) is not None:
            raise UserError(
                f"{name} has shape {x.shape}, but channels come second: save numpy.moveaxis({name}, -1, 1){escape}."
            )
        if x.ndim == 3:
            return x if self.kind == "signal" else x[:, None]
        if x.ndim == 4 and self.kind != "signal":
            return x
        raise UserError(f"{name} has shape {x.shape}, which data.kind={self.kind} cannot read; see docs/data.md.")

    def _channels_last(self, shape: tuple[int, ...]) -> str | None:
        """Say how to go on where the last axis looks like channels; None where it does not."""
        first, last = shape[:2][-1], shape[-1]
        if len(shape) == 3 and self.kind != "image" and last <= MAX_CHANNELS < first:
            return "" if self.kind == "signal" else "; if they are grey images, data.kind=image says so"
        if len(shape) != 4 or self.kind == "signal":
            return None
        if (last in (1, 3, 4) and first not in (1, 3, 4)) or last < first == shape[2]:
            return ""
        is_small = self.kind == "auto" and last < min(first, shape[2])
        return f"; if there are {first} channels, data.kind=image says so" if is_small else None

    def _labels(self, y: Array, name: str) -> Array:
        if np.issubdtype(y.dtype, np.integer) and y.ndim == 1:
            return y
        if np.issubdtype(y.dtype, np.floating) and y.ndim in (1, 2):
            return y
        raise UserError(
            f"{name} is {y.dtype} of shape {y.shape}; labels are integers, one per sample, and numbers to predict are "
            "floats, one or a row per sample."
        )

    def _check_pair(self, x: Array | None, y: Array | None, part: str) -> None:
        if (x is None) != (y is None):
            present, missing = (f"x_{part}", f"y_{part}") if y is None else (f"y_{part}", f"x_{part}")
            raise UserError(f"{self.path} has {present} but no {missing}.")
        if x is not None and y is not None and len(x) != len(y):
            raise UserError(f"x_{part} has {len(x)} samples, y_{part} has {len(y)} labels.")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        near = [file.name for file in path.parent.glob(f"*{path.suffix}")] if path.parent.is_dir() else []
        raise SetupError(f"data.path={path} is not a file{did_you_mean(path.name, near)}")
    with path.open("rb") as stream:
        try:
            file = np.load(stream, allow_pickle=False)
        except Exception as error:
            raise UserError(f"{path} is not a file of numpy.savez, or is incomplete.") from error
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise UserError(f"{path} holds a single array; write several with numpy.savez.")
        with file:
            yield file
