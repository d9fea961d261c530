from typing import Any

from sklearn.datasets import load_digits

from sweeplab.tasks import ArrayData, Arrays


class Digits(ArrayData):
    """1,797 scans of handwritten digits, 8 x 8 pixels from 0 to 16, that come with scikit-learn."""

    def __init__(self, **loading: Any) -> None:
        super().__init__(**loading)

    def load(self) -> Arrays:
        """Return all scans as training data: the set has no test part of its own."""
        scans = load_digits()
        return Arrays(scans.images[:, None], scans.target)
