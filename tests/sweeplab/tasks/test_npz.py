import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweeplab.errors import UserError
from sweeplab.tasks.npz import Npz

X, Y = np.zeros((30, 8, 8)), np.arange(30) % 3
GOOD: dict[str, Any] = {"x_train": X, "y_train": Y, "x_test": X[:9], "y_test": Y[:9]}


def save(path: Path, arrays: dict[str, Any]) -> None:
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


@pytest.mark.parametrize(
    ("shape", "kind", "in_shape"),
    [
        ((12,), "auto", (1, 12)),
        ((8, 8), "auto", (1, 8, 8)),
        ((2, 12), "signal", (2, 12)),
        ((3, 8, 8), "auto", (3, 8, 8)),
        ((16, 16, 16), "auto", (16, 16, 16)),
        ((32, 24, 2), "image", (32, 24, 2)),
        ((8, 3), "image", (1, 8, 3)),
    ],
)
def test_own_arrays_are_signals_or_images(tmp_path: Path, shape: tuple[int, ...], kind: str, in_shape: object) -> None:
    x = np.random.default_rng(0).normal(size=(30, *shape))
    np.savez(tmp_path / "my.npz", x_train=x, y_train=Y, x_test=x[:9], y_test=Y[:9])
    data = Npz("my.npz", root=str(tmp_path), kind=kind, batch_size=8, val_fraction=0.2)
    data.setup()
    assert (data.in_shape, data.num_classes) == (in_shape, 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y_train": Y.astype(float)}, "y_train is float64"),
        ({"y_train": Y[:-1]}, "x_train has 30 samples, y_train has 29"),
        ({"y_train": Y - 1}, "holds the label -1"),
        ({"y_train": Y + 1, "y_test": Y[:9] + 1}, "no sample has the label 0"),
        ({"y_test": Y[:9] + 3}, "y_test holds the label 5, which y_train"),
        ({"x_test": X[:9, :7]}, r"x_test has samples of shape \(1, 7, 8\)"),
        ({"x_test": None}, "has no x_test; it holds"),
        ({"x_val": X}, "has x_val but no y_val"),
        ({"x_train": X + np.nan}, "not finite"),
        ({"x_train": np.zeros((30, 9, 9, 3))}, r"save numpy.moveaxis\(x_train, -1, 1\)\.$"),
        ({"x_train": np.zeros((30, 16, 16, 2))}, r"save numpy.moveaxis\(x_train, -1, 1\)\.$"),
        ({"x_train": np.zeros((30, 32, 24, 12))}, "if there are 32 channels, data.kind=image says so"),
        ({"x_train": np.zeros((30, 40, 3))}, "if they are grey images, data.kind=image says so"),
        ({"x_train": X + 1j}, "complex128; it must hold real numbers; save real and imaginary parts as channels"),
        ({"x_test": X[:9] + 1e300}, "x_test is float64 and holds numbers beyond 3.4e38"),
        ({"y_train": Y + 1e39, "y_test": Y[:9] + 1.0}, "y_train is float64 and holds numbers beyond 3.4e38"),
        ({"x_train": X[:0], "y_train": Y[:0]}, "x_train holds no samples"),
        ({"x_train": X[:2], "y_train": Y[:2]}, "data.val_fraction=0.2 of 2 samples is none, .* raise it"),
        ({"x_test": X[:0], "y_test": Y[:0]}, "none of the 30 samples is left for the test part"),
        ({"x_train": X[:, :0], "x_test": X[:9, :0]}, "its samples are empty"),
        ({"x_train": np.zeros(30)}, "see docs/data.md"),
        ({"x_train": np.array(["a"] * 30)}, "must hold numbers"),
        ({"y_train": np.array([None] * 30)}, "holds objects"),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path: Path, change: dict[str, object], words: str) -> None:
    save(tmp_path / "my.npz", GOOD | change)
    with pytest.raises(UserError, match=words):
        Npz("my.npz", root=str(tmp_path), batch_size=8, val_fraction=0.2).setup()


def damaged(path: Path, how: str) -> None:
    """Write a file of arrays, and damage it."""
    save(path, GOOD)
    content = bytearray(path.read_bytes())
    if how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "flipped":
        content[content.index(b"x_train.npy") + 300] ^= 1
        path.write_bytes(content)
    elif how == "header":
        place = content.index(b"'descr'")
        content[place : place + 7] = b"'drcse'"
        path.write_bytes(content)
    elif how == "directory":
        content[-60] ^= 255
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w") as file:
            for name in GOOD:
                file.writestr(f"{name}.npy", b"no array at all")


@pytest.mark.parametrize("how", ["truncated", "empty", "flipped", "header", "directory", "text"])
def test_a_damaged_file_is_named_in_one_sentence(tmp_path: Path, how: str) -> None:
    damaged(tmp_path / "my.npz", how)
    with pytest.raises(UserError, match=r"my\.npz is (damaged|not )") as told:
        Npz("my.npz", root=str(tmp_path), batch_size=8, val_fraction=0.2).setup()
    assert "\n" not in str(told.value)


def test_a_missing_file_is_named_with_its_nearest_neighbour(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", x_train=X)
    with pytest.raises(UserError, match=r"did you mean 'mine.npz'"):
        Npz("mien.npz", root=str(tmp_path), batch_size=8, val_fraction=0.2).setup()
