from collections.abc import Sequence

from torch import Tensor, nn


class GRU(nn.Module):
    """A recurrent network that reads signals point by point and images row by row, as in the MNIST-1D paper.

    The classifier sees the states of all steps.
    """

    def __init__(
        self, in_shape: Sequence[int], num_classes: int, width: int = 6, depth: int = 1, bidirectional: bool = True
    ) -> None:
        super().__init__()
        if len(in_shape) == 2:
            features, steps = in_shape
        else:
            features, steps = in_shape[0] * in_shape[2], in_shape[1]
        self.recurrent = nn.GRU(features, width, depth, batch_first=True, bidirectional=bidirectional)
        self.head = nn.Linear(steps * width * (2 if bidirectional else 1), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of shape (samples, classes)."""
        # (samples, channels, steps[, width]) -> (samples, steps, features)
        states, _ = self.recurrent(x.movedim(2, 1).flatten(2))
        return self.head(states.flatten(1))  # type: ignore[no-any-return]  # torch types the call of a module as Any
