from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

Batch = tuple[Tensor, Tensor]


class LetterModel(LightningModule):
    """A recurrent network that learns which letter comes next; `letters` are those that it knows, in their order."""

    def __init__(self, letters: str, width: int = 128, lr: float = 5e-3) -> None:
        super().__init__()
        self.letters, self.lr = letters, lr
        self.embedding = nn.Embedding(len(letters), width)
        self.network = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, len(letters))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of shape (samples, length, letters) for numbers of letters of shape (samples, length)."""
        return self.head(self.network(self.embedding(x))[0])  # type: ignore[no-any-return]  # torch types it as Any

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the cross entropy, and log it."""
        loss = self._loss(batch)
        self.log("train/loss", loss, on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log among how many letters the model hesitates, on average."""
        self.log("val/perplexity", self._loss(batch).exp(), prog_bar=True, sync_dist=True)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the same of the test part."""
        self.log("test/perplexity", self._loss(batch).exp(), sync_dist=True)

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Return how surprising each text is, in nats a letter."""
        return {"surprise": cross_entropy(self(batch[0]).transpose(1, 2), batch[1], reduction="none").mean(1)}

    @torch.no_grad()
    def generate(self, start: str, count: int, seed: int = 0) -> str:
        """Return a text with `count` letters more, drawn one after the other."""
        generator = torch.Generator().manual_seed(seed)
        state, text = None, start
        x = torch.tensor([[self.letters.index(letter) for letter in start]], device=self.device)
        for _ in range(count):
            hidden, state = self.network(self.embedding(x), state)
            chances = self.head(hidden[0, -1]).softmax(0).cpu()
            x = torch.multinomial(chances, 1, generator=generator)[None].to(self.device)
            text += self.letters[int(x)]
        return text

    def configure_optimizers(self) -> Any:
        """Return AdamW."""
        return torch.optim.AdamW(self.parameters(), lr=self.lr)

    def _loss(self, batch: Batch) -> Tensor:
        return cross_entropy(self(batch[0]).transpose(1, 2), batch[1])


class WriteText(Callback):
    """Writes a text of the model's own behind each validation: `epoch-003.txt`."""

    def __init__(self, folder: str, start: str = "The ", count: int = 300) -> None:
        self.folder, self.start, self.count = Path(folder), start, count

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write it, but not in the sanity check."""
        if trainer.is_global_zero and not trainer.sanity_checking and isinstance(pl_module, LetterModel):
            self.folder.mkdir(parents=True, exist_ok=True)
            text = pl_module.generate(self.start, self.count)
            (self.folder / f"epoch-{trainer.current_epoch + 1:03}.txt").write_text(text, encoding="utf-8")
