"""Layers for signals (channels, length) and for images (channels, height, width)."""

from collections.abc import Sequence

import torch
from torch import nn

from sweeplab.errors import UserError

CONVOLUTION = {2: nn.Conv1d, 3: nn.Conv2d}
BATCH_NORM = {2: nn.BatchNorm1d, 3: nn.BatchNorm2d}


def out_shape(network: nn.Module, in_shape: Sequence[int], remedy: str) -> tuple[int, ...]:
    """Return the shape of one sample behind a network.

    Raises:
        UserError: the input is too small; the message names the remedy.
    """
    training = network.training
    try:
        with torch.no_grad():
            return tuple(network.eval()(torch.zeros(1, *in_shape)).shape[1:])
    except RuntimeError:
        raise UserError(f"inputs of shape {tuple(in_shape)} are too small for this model; {remedy}.") from None
    finally:
        network.train(training)
