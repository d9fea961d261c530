from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchmetrics.text import Perplexity

Batch = tuple[Tensor, Tensor]


class LetterModel(LightningModule):
    """A recurrent network that predicts the next character of a text."""

    def __init__(self, vocabulary_size: int, width: int = 192, lr: float = 4e-3) -> None:
        super().__init__()
        self.lr = lr
        self.embedding = nn.Embedding(vocabulary_size, width)
        self.network = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, vocabulary_size)
        self.val_perplexity, self.test_perplexity = Perplexity(), Perplexity()

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return logits of shape (samples, length, vocabulary), and the state to go on from."""
        hidden, state = self.network(self.embedding(x), state)
        return self.head(hidden), state

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the cross entropy."""
        loss = cross_entropy(self(batch[0])[0].transpose(1, 2), batch[1])
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the perplexity, over the whole part."""
        self.val_perplexity(self(batch[0])[0], batch[1])
        self.log("val/perplexity", self.val_perplexity)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the perplexity of the test part."""
        self.test_perplexity(self(batch[0])[0], batch[1])
        self.log("test/perplexity", self.test_perplexity)

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Return the cross entropy of each piece of text."""
        losses = cross_entropy(self(batch[0])[0].transpose(1, 2), batch[1], reduction="none")
        return {"loss": losses.mean(1)}

    @torch.no_grad()
    def generate(self, text: Tensor, count: int, temperature: float = 0.8) -> Tensor:
        """Return a text of shape (length,) with `count` more characters, each drawn from the model's prediction."""
        generator = torch.Generator().manual_seed(0)
        new, state = text, None
        for _ in range(count):
            logits, state = self(new[None], state)
            chances = (logits[0, -1] / temperature).softmax(0)
            new = torch.multinomial(chances.cpu(), 1, generator=generator).to(text)
            text = torch.cat([text, new])
        return text

    def configure_optimizers(self) -> Any:
        """Return AdamW."""
        return torch.optim.AdamW(self.parameters(), lr=self.lr)


class WriteText(Callback):
    """Writes what the model makes of the beginning of a text to `epoch-001.txt` and so on."""

    def __init__(self, folder: str, start: str = "The ", count: int = 400) -> None:
        self.folder, self.start, self.count = Path(folder), start, count

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write, except in the sanity check."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        assert isinstance(pl_module, LetterModel)
        data: Any = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it
        text = pl_module.generate(data.encode(self.start).to(pl_module.device), self.count)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"epoch-{trainer.current_epoch + 1:03}.txt"
        path.write_text(data.decode(text) + "\n", encoding="utf-8")
