"""A character language model on text that comes with Python, with samples by a callback of its own."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset


class Windows(Dataset[tuple[Tensor, Tensor]]):
    def __init__(self, text: Tensor, length: int) -> None:
        self.text, self.length = text, length

    def __len__(self) -> int:
        return (len(self.text) - 1) // self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        start = index * self.length
        return self.text[start : start + self.length], self.text[start + 1 : start + self.length + 1]


class PythonTopics(LightningDataModule):
    def __init__(self, length: int = 16, characters: int = 6000, batch_size: int = 16) -> None:
        super().__init__()
        self.length, self.characters, self.batch_size = length, characters, batch_size

    def setup(self, stage: str) -> None:
        from pydoc_data.topics import topics

        text = "".join(topics[name] for name in sorted(topics))[: self.characters]
        self.letters = sorted(set(text))
        self.vocabulary_size = len(self.letters)
        numbers = torch.tensor([self.letters.index(letter) for letter in text])
        cut = int(0.9 * len(numbers))
        self.train, self.val = Windows(numbers[:cut], self.length), Windows(numbers[cut:], self.length)

    def train_dataloader(self) -> Any:
        return DataLoader(self.train, self.batch_size, shuffle=True, drop_last=True)

    def val_dataloader(self) -> Any:
        return DataLoader(self.val, self.batch_size)

    test_dataloader = predict_dataloader = val_dataloader


class LetterModel(LightningModule):
    def __init__(self, vocabulary_size: int, width: int = 16, lr: float = 1e-2) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.lr = lr
        self.embedding = nn.Embedding(vocabulary_size, width)
        self.network = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, vocabulary_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.network(self.embedding(x))[0])  # type: ignore[no-any-return]  # torch

    def step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        return cross_entropy(self(batch[0]).transpose(1, 2), batch[1])

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        loss = self.step(batch)
        self.log("loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.log("perplexity", self.step(batch).exp())

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.log("test_perplexity", self.step(batch).exp())

    def predict_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Any]:
        said = self(batch[0]).argmax(2)
        return {
            "next": said,
            "surprise": cross_entropy(self(batch[0]).transpose(1, 2), batch[1], reduction="none").mean(1),
        }

    @torch.inference_mode()
    def generate(self, start: Tensor, count: int) -> Tensor:
        for _ in range(count):
            start = torch.cat([start, self(start[None])[0, -1:].argmax(1)])
        return start

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.lr)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.lr, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class WriteText(Callback):
    def __init__(self, path: str, count: int = 20) -> None:
        self.path, self.count = Path(path), count

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, LetterModel)
        letters = trainer.datamodule.letters  # type: ignore[attr-defined]  # set by Lightning
        numbers = pl_module.generate(torch.tensor([0]), self.count)
        self.path.write_text("".join(letters[number] for number in numbers))
