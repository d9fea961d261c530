from pathlib import Path

import numpy as np
import torch

from lab.data.digits import Digits
from lab.data.mnist1d import Mnist1D


def test_digits_are_all_there() -> None:
    data = Digits(batch_size=64, val_fraction=0.2, test_fraction=0.2)
    data.setup()
    assert {name: len(x) for name, (x, _) in data.parts.items()} == {"train": 1079, "val": 359, "test": 359}
    assert (data.in_shape, data.num_classes) == ((1, 8, 8), 10)


def test_generating_mnist1d_changes_nothing_that_follows(tmp_path: Path) -> None:
    np.random.seed(1)
    expected = np.random.rand()
    np.random.seed(1)
    generated = Mnist1D(str(tmp_path), batch_size=100, val_fraction=0.1)
    generated.setup()
    assert np.random.rand() == expected
    assert [len(generated.parts[name][0]) for name in ("train", "val", "test")] == [3600, 400, 1000]
    cached = Mnist1D(str(tmp_path), batch_size=100, val_fraction=0.1)
    cached.setup()
    assert torch.equal(cached.parts["train"][0], generated.parts["train"][0])
    assert [path.name for path in tmp_path.iterdir()] == ["mnist1d.npz"]
