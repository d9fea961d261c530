from collections.abc import Sequence
from math import prod

from torch import nn

from lab.models.shapes import CONVOLUTION, out_shape


class CNN(nn.Sequential):
    """Convolutions that halve their input, then a linear layer: on signals and 25 channels, the MNIST-1D paper's."""

    def __init__(
        self, in_shape: Sequence[int], num_classes: int, channels: int = 25, depth: int = 3, dropout: float = 0.0
    ) -> None:
        convolution = CONVOLUTION[len(in_shape)]
        features = nn.Sequential()
        for layer in range(depth):
            first = layer == 0
            features.append(
                convolution(in_shape[0] if first else channels, channels, 5 if first else 3, stride=2, padding=1)
            )
            features.append(nn.ReLU())
        width = prod(out_shape(features, in_shape, f"use a smaller model.depth than {depth}"))
        super().__init__(*features, nn.Flatten(), nn.Dropout(dropout), nn.Linear(width, num_classes))
