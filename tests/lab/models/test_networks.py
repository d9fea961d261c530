import pytest
import torch
from torch import nn

from lab.models.cnn import CNN
from lab.models.gru import GRU
from lab.models.linear import Linear
from lab.models.mlp import MLP
from lab.models.resnet import ResNet
from sweeplab.errors import UserError

NETWORKS = (Linear, MLP, CNN, GRU, ResNet)


@pytest.mark.parametrize(
    ("network", "count"),
    [(Linear, 410), (MLP, 15_210), (CNN, 5_210), (GRU, 5_134)],
    ids=lambda x: getattr(x, "__name__", x),
)
def test_networks_on_mnist1d_have_the_size_of_the_paper(network: type[nn.Module], count: int) -> None:
    """Counted in the repository of the paper, arXiv 2011.14439."""
    assert sum(weights.numel() for weights in network([1, 40], 10).parameters()) == count


@pytest.mark.parametrize("in_shape", [(1, 40), (3, 25), (1, 8, 8), (3, 9, 7)], ids=str)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_takes_signals_and_images(network: type[nn.Module], in_shape: tuple[int, ...]) -> None:
    logits = network(in_shape, 4)(torch.randn(5, *in_shape))
    assert logits.shape == (5, 4)
    logits.sum().backward()


def test_too_small_an_input_is_named() -> None:
    with pytest.raises(UserError, match=r"\(1, 2\) are too small for this model; use a smaller model.depth"):
        CNN([1, 2], 10)
