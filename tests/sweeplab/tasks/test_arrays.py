from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sweeplab.errors import UserError
from sweeplab.tasks.arrays import ArrayData, Arrays
from sweeplab.tasks.npz import Npz


class Ramp(ArrayData):
    """100 signals that hold their own number, plus a test part far away."""

    def load(self) -> Arrays:
        x = np.arange(100.0)[:, None, None].repeat(4, axis=2)
        return Arrays(x, np.arange(100) % 3, x[:10] + 1000, np.arange(10) % 3)


def ramp(**options: int) -> Ramp:
    data = Ramp(batch_size=8, val_fraction=0.2, **options)  # type: ignore[arg-type]  # none of them is the bool
    data.setup()
    return data


def test_parts_do_not_overlap_and_are_the_same_each_time() -> None:
    parts = {name: set(x[:, 0, 0].tolist()) for name, (x, _) in ramp().parts.items()}
    assert [len(parts[name]) for name in ("train", "val", "test")] == [80, 20, 10]
    assert parts["train"] | parts["val"] == set(range(100))
    again = ramp(shuffle_seed=5)
    assert set(again.parts["val"][0][:, 0, 0].tolist()) == parts["val"]
    assert set(ramp(split_seed=1).parts["val"][0][:, 0, 0].tolist()) != parts["val"]


def test_the_scale_comes_from_the_training_part_alone() -> None:
    data = ramp()
    (mean,), (deviation,) = data.scale
    served = torch.cat([x for x, _ in data.train_dataloader()])
    assert mean == pytest.approx(served.mean().item())
    assert deviation == pytest.approx(served.std().item())
    # Far from all training data.
    assert (torch.cat([x for x, _ in data.test_dataloader()]).mean() - mean) / deviation > 20


def test_class_weights_balance_the_training_part() -> None:
    data = ramp()
    counts = np.bincount(data.parts["train"][1], minlength=3)
    assert (np.array(data.class_weights) * counts).tolist() == pytest.approx([80 / 3] * 3)


def test_workers_serve_what_memory_serves() -> None:
    def served(workers: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        return [(x, y) for x, y in ramp(num_workers=workers).train_dataloader()]

    for (x, y), (also_x, also_y) in zip(served(0), served(1), strict=True):
        assert torch.equal(x, also_x)
        assert torch.equal(y, also_y)


X, Y = np.zeros((30, 8, 8)), np.arange(30) % 3
GOOD: dict[str, Any] = {"x_train": X, "y_train": Y, "x_test": X[:9], "y_test": Y[:9]}


def save(path: Path, arrays: dict[str, Any]) -> None:
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


def test_a_class_may_be_in_one_part_alone(tmp_path: Path) -> None:
    for split_seed in range(4):
        labels = np.append(Y[:-1], 3)  # one sample of the last class, which any part may get
        save(tmp_path / "my.npz", GOOD | {"y_train": labels})
        data = Npz("my.npz", root=str(tmp_path), batch_size=8, val_fraction=0.5, split_seed=split_seed)
        data.setup()
        assert data.num_classes == 4


@pytest.mark.parametrize(
    ("labels", "attribute", "words"),
    [
        (Y * 0, "num_classes", "y_train holds only the label 0"),
        (Y * 0.5, "num_classes", "numbers to predict; save labels as integers, or choose task=regression"),
        (Y, "num_targets", "labels of classes; save numbers to predict as floats, or choose task=classification"),
    ],
)
def test_only_who_asks_for_classes_or_numbers_needs_them(
    tmp_path: Path, labels: NDArray[Any], attribute: str, words: str
) -> None:
    save(tmp_path / "my.npz", GOOD | {"y_train": labels, "y_test": labels[:9]})
    data = Npz("my.npz", root=str(tmp_path), batch_size=8, val_fraction=0.5)
    data.setup()
    with pytest.raises(UserError, match=words):
        getattr(data, attribute)
