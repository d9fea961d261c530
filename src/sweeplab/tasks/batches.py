"""Data that fits in memory, served in whole batches: one indexed read each, no sample is touched by itself."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DistributedSampler, Sampler, SequentialSampler


class Shuffle(DistributedSampler[int]):
    """The order of samples in each epoch: a function of seed and epoch alone, so any epoch can be had again.

    With several ranks each takes its share, all of the same length, for which a few samples are used twice: Lightning
    leaves a `DistributedSampler` as it is, and calls `set_epoch`.
    """

    def __init__(self, size: int, seed: int, rank: int = 0, ranks: int = 1) -> None:
        self.size, self.seed, self.rank, self.ranks = size, seed, rank, ranks
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def order(self) -> Tensor:
        """Return the indices of this epoch."""
        # torch's CPU generator takes 32 bits of a seed: both numbers have to be mixed into them.
        seed = int(np.random.SeedSequence([self.seed, self.epoch]).generate_state(1)[0])
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(self.size, generator=generator)
        if self.ranks == 1:
            return order
        return torch.cat([order, order[: -self.size % self.ranks]])[self.rank :: self.ranks]

    def __iter__(self) -> Iterator[int]:
        return iter(self.order().tolist())

    def __len__(self) -> int:
        return -(-self.size // self.ranks)


class InOrder(DistributedSampler[int]):
    """All samples in their order, of which each rank takes its share, none twice."""

    def __init__(self, size: int, rank: int, ranks: int) -> None:
        self.indices = range(rank, size, ranks)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)

    def __len__(self) -> int:
        return len(self.indices)


class Batches:
    """Batches of tensors that lie in memory; stands wherever Lightning takes a DataLoader.

    Shuffled if there is a `shuffle`, else in order. It remembers its place: a run that stopped inside an epoch goes
    on with the batch that would have been next.
    """

    def __init__(
        self,
        *tensors: Tensor,
        batch_size: int,
        shuffle: Shuffle | None = None,
        rank: int = 0,
        ranks: int = 1,
        pin_memory: bool = False,
    ) -> None:
        assert len({len(tensor) for tensor in tensors}) == 1, "the tensors differ in length"
        self.tensors = tensors if shuffle else tuple(tensor[rank::ranks] for tensor in tensors)
        self.batch_size = batch_size
        self.shuffle = shuffle
        # Lightning looks here: for an order to set an epoch in, and whether there is one at all.
        self.sampler: Sampler[int] = shuffle or SequentialSampler(self.tensors[0])
        self.batch_sampler = None
        self.dataset = self.tensors[0]  # for its length, which Lightning compares with the batch size
        self.pin_memory = pin_memory
        self._next = 0
        self._resumed = False

    def __len__(self) -> int:
        size = len(self.shuffle) if self.shuffle else len(self.tensors[0])
        return -(-size // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        order = self.shuffle.order() if self.shuffle else None
        first, self._resumed = (self._next % len(self) if self._resumed else 0), False
        for number in range(first, len(self)):
            part = slice(number * self.batch_size, (number + 1) * self.batch_size)
            index = part if order is None else order[part]
            batch = tuple(tensor[index] for tensor in self.tensors)
            self._next = number + 1
            yield tuple(tensor.pin_memory() for tensor in batch) if self.pin_memory else batch

    def state_dict(self) -> dict[str, int]:
        """Return the number of the batch that comes next; the number of batches, when the epoch is over."""
        return {"next": self._next}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on with the batch that a saved state names."""
        self._next, self._resumed = state["next"], True
