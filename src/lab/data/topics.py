from pydoc_data.topics import topics
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Subset, TensorDataset


class PythonTopics(LightningDataModule):
    """The help texts that come with Python, in pieces; the targets are the characters that follow."""

    def __init__(self, characters: int = 300_000, length: int = 128, batch_size: int = 32) -> None:
        super().__init__()
        self.characters, self.length, self.batch_size = characters, length, batch_size

    def setup(self, stage: str) -> None:
        """Number the characters, and keep the last two tenths of the text for validation and test."""
        text = "\n".join(topics[name] for name in sorted(topics))[: self.characters]
        self.alphabet = sorted(set(text))
        self.vocabulary_size = len(self.alphabet)
        numbers = self.encode(text)
        count = (len(text) - 1) // self.length
        x, y = (numbers[first : first + count * self.length].view(count, -1) for first in (0, 1))
        pieces, cuts = TensorDataset(x, y), (0, int(0.8 * count), int(0.9 * count), count)
        self.train, self.val, self.test = (Subset(pieces, range(*cuts[part : part + 2])) for part in range(3))

    def encode(self, text: str) -> Tensor:
        """Return the numbers of characters."""
        numbers = {character: number for number, character in enumerate(self.alphabet)}
        return torch.tensor([numbers[character] for character in text])

    def decode(self, numbers: Tensor) -> str:
        """Return the characters of numbers."""
        return "".join(self.alphabet[number] for number in numbers.tolist())

    def train_dataloader(self) -> Any:
        """Return the training part, shuffled."""
        return DataLoader(self.train, batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self) -> Any:
        """Return the validation part."""
        return DataLoader(self.val, batch_size=self.batch_size)

    def test_dataloader(self) -> Any:
        """Return the test part."""
        return DataLoader(self.test, batch_size=self.batch_size)

    predict_dataloader = test_dataloader
