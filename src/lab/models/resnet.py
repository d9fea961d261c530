from collections.abc import Sequence

from torch import Tensor, nn

from lab.models.shapes import BATCH_NORM, CONVOLUTION


class Block(nn.Module):
    """Two convolutions and a shortcut (He et al. 2015, arXiv 1512.03385)."""

    def __init__(self, dimensions: int, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        convolution, norm = CONVOLUTION[dimensions], BATCH_NORM[dimensions]
        self.body = nn.Sequential(
            convolution(in_channels, channels, 3, stride=stride, padding=1, bias=False),
            norm(channels),
            nn.ReLU(),
            convolution(channels, channels, 3, padding=1, bias=False),
            norm(channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            self.shortcut = nn.Sequential(
                convolution(in_channels, channels, 1, stride=stride, bias=False), norm(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the block's channels, the input's size divided by the stride."""
        return nn.functional.relu(self.body(x) + self.shortcut(x))


class ResNet(nn.Module):
    """Stages of residual blocks, each of half the size and twice the channels of the one before it."""

    def __init__(
        self, in_shape: Sequence[int], num_classes: int, channels: int = 16, stages: int = 2, blocks: int = 1
    ) -> None:
        super().__init__()
        dimensions = len(in_shape)
        self.stem = nn.Sequential(
            CONVOLUTION[dimensions](in_shape[0], channels, 3, padding=1, bias=False),
            BATCH_NORM[dimensions](channels),
            nn.ReLU(),
        )
        self.stages = nn.Sequential()
        width = channels
        for stage in range(stages):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                out = channels * 2**stage
                self.stages.append(Block(dimensions, width, out, stride))
                width = out
        self.head = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of shape (samples, classes)."""
        features = self.stages(self.stem(x))
        return self.head(features.flatten(2).mean(2))  # type: ignore[no-any-return]  # torch types the call as Any
