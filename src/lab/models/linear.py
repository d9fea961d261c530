from collections.abc import Sequence
from math import prod

from torch import nn


class Linear(nn.Sequential):
    """Logistic regression on the flattened input."""

    def __init__(self, in_shape: Sequence[int], num_classes: int) -> None:
        super().__init__(nn.Flatten(), nn.Linear(prod(in_shape), num_classes))
