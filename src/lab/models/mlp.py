from collections.abc import Sequence
from math import prod

from torch import Tensor, nn


class MLP(nn.Module):
    """Fully connected layers; every one after the first adds to what it gets, as in the MNIST-1D paper."""

    def __init__(
        self, in_shape: Sequence[int], num_classes: int, width: int = 100, depth: int = 2, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Flatten(), nn.Linear(prod(in_shape), width), nn.ReLU(), nn.Dropout(dropout))
        self.residual = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout)) for _ in range(depth - 1)
        )
        self.head = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of shape (samples, classes)."""
        x = self.first(x)
        for layer in self.residual:
            x = x + layer(x)
        return self.head(x)  # type: ignore[no-any-return]  # torch types the call of a module as Any
