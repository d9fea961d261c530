"""The CNN of MNIST-1D's paper and its training, in plain PyTorch."""

import os
import random
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

BATCH = 128
Part = tuple[Tensor, Tensor]


def cnn(channels: int, depth: int, dropout: float) -> nn.Sequential:
    """Convolutions that halve their input, then a linear layer."""
    layers: list[nn.Module] = []
    size = 40
    for layer in range(depth):
        kernel = 5 if layer == 0 else 3
        layers += [nn.Conv1d(channels if layer else 1, channels, kernel, stride=2, padding=1), nn.ReLU()]
        size = (size + 2 - kernel) // 2 + 1
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(dropout), nn.Linear(size * channels, 10))


@cache
def parts() -> dict[str, Part]:
    """Return train (3,200), val (800) and test (1,000), scaled by the training part."""
    path = Path(os.environ["BENCH_DATA"])
    if not path.exists():
        generate(path)
    with np.load(path) as arrays:
        x, y, x_test, y_test = (torch.from_numpy(arrays[key]) for key in ("x_train", "y_train", "x_test", "y_test"))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    held, kept = order[:800], order[800:]
    mean, deviation = x[kept].mean(), x[kept].std()
    found = {"train": (x[kept], y[kept]), "val": (x[held], y[held]), "test": (x_test, y_test)}
    return {name: ((inputs - mean) / deviation, labels) for name, (inputs, labels) in found.items()}


def generate(path: Path) -> None:
    """Write the set, with its paper's arguments, as the package makes it."""
    from mnist1d.data import get_dataset_args, make_dataset

    before = random.getstate(), np.random.get_state()
    data = make_dataset(get_dataset_args())
    random.setstate(before[0])
    np.random.set_state(before[1])
    x, x_test = (data[key][:, None].astype(np.float32) for key in ("x", "x_test"))
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, x_train=x, y_train=data["y"], x_test=x_test, y_test=data["y_test"])


@torch.no_grad()
def accuracy(network: nn.Module, part: Part) -> float:
    """Return the share that the network gets right."""
    network.eval()
    right: float = (network(part[0]).argmax(1) == part[1]).float().mean().item()
    network.train()
    return right


def values(config: Mapping[str, Any]) -> Iterator[float]:
    """Train; yield the best validation accuracy so far after each epoch."""
    for best, _ in curve(config, test=False):
        yield best


def curve(config: Mapping[str, Any], test: bool) -> Iterator[tuple[float, float]]:
    """Train; yield the best validation accuracy so far and, if asked, the test accuracy that went with it."""
    torch.set_num_threads(1)
    torch.manual_seed(int(config["seed"]))
    network = cnn(int(config["channels"]), int(config["depth"]), float(config["dropout"]))
    optimizer = torch.optim.Adam(network.parameters(), lr=float(config["lr"]))
    data = parts()
    x, y = data["train"]
    best, tested = -1.0, 0.0
    for _ in range(int(config["epochs"])):
        for index in torch.randperm(len(x)).split(BATCH):  # type: ignore[no-untyped-call]  # torch
            optimizer.zero_grad()
            cross_entropy(network(x[index]), y[index]).backward()  # type: ignore[no-untyped-call]  # torch
            optimizer.step()
        found = accuracy(network, data["val"])
        if found > best:
            best, tested = found, accuracy(network, data["test"]) if test else 0.0
        yield best, tested
