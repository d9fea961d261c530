import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sweeplab.records.files import written_whole
from sweeplab.tasks import ArrayData, Arrays


class Mnist1D(ArrayData):
    """The MNIST-1D benchmark (arXiv 2011.14439) with the paper's arguments: 4,000 + 1,000 signals of 40 points.

    It is generated once, and kept in the folder `cache`.
    """

    def __init__(self, cache: str, **loading: Any) -> None:
        super().__init__(**loading)
        self.path = Path(cache) / "mnist1d.npz"

    def load(self) -> Arrays:
        """Return the set, from the cache if it is there."""
        if not self.path.exists():
            generate(self.path)
        with np.load(self.path) as arrays:
            return Arrays(**{name: arrays[name] for name in ("x_train", "y_train", "x_test", "y_test")})


def generate(path: Path) -> None:
    """Write the set to `path`; several processes may do so at once, each writes the same."""
    from mnist1d.data import get_dataset_args, make_dataset

    with _generators_kept():
        data = make_dataset(get_dataset_args())
    with written_whole(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            x_train=data["x"][:, None].astype(np.float32),
            y_train=data["y"],
            x_test=data["x_test"][:, None].astype(np.float32),
            y_test=data["y_test"],
        )


@contextmanager
def _generators_kept() -> Iterator[None]:
    """Undo the package's seeding of the global generators, or the first run would differ from the next ones."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
