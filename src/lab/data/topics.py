from pydoc_data.topics import topics
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset


class PythonTopics(LightningDataModule):
    """The help texts that come with Python, cut into pieces of `length` letters; the targets are one letter later."""

    def __init__(self, length: int = 64, batch_size: int = 64, letters: int = 100_000) -> None:
        super().__init__()
        self.length, self.batch_size, self.size = length, batch_size, letters

    def setup(self, stage: str) -> None:
        """Number the letters, and hold two tenths of the text out."""
        text = "".join(topics[name] for name in sorted(topics))[: self.size]
        self.letters = "".join(sorted(set(text)))
        number = {letter: place for place, letter in enumerate(self.letters)}
        numbers = torch.tensor([number[letter] for letter in text])
        pieces = (len(numbers) - 1) // self.length
        x, y = (numbers[shift : shift + pieces * self.length].view(pieces, self.length) for shift in (0, 1))
        first, second = int(0.8 * pieces), int(0.9 * pieces)
        self.parts = {name: (x[cut], y[cut]) for name, cut in _cuts(first, second).items()}

    def train_dataloader(self) -> Any:
        """Return the training part, shuffled."""
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> Any:
        """Return the validation part."""
        return self._loader("val")

    def test_dataloader(self) -> Any:
        """Return the test part."""
        return self._loader("test")

    predict_dataloader = test_dataloader

    def _loader(self, part: str, shuffle: bool = False) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(TensorDataset(*self.parts[part]), batch_size=self.batch_size, shuffle=shuffle)


def _cuts(first: int, second: int) -> dict[str, slice]:
    return {"train": slice(0, first), "val": slice(first, second), "test": slice(second, None)}
