"""A GAN: manual optimization, two optimizers, no labels, no test."""

from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.utils.data import DataLoader, TensorDataset


class Ring(LightningDataModule):
    def __init__(self, count: int = 256, batch_size: int = 32) -> None:
        super().__init__()
        self.count, self.batch_size = count, batch_size

    def setup(self, stage: str | None = None) -> None:
        angle = torch.rand(self.count, generator=torch.Generator().manual_seed(0)) * 2 * torch.pi
        self.points = torch.stack([angle.cos(), angle.sin()], dim=1)

    def train_dataloader(self) -> Any:
        return DataLoader(TensorDataset(self.points), self.batch_size, shuffle=True)

    def val_dataloader(self) -> Any:
        return DataLoader(TensorDataset(self.points), self.batch_size)


class Gan(LightningModule):
    def __init__(self, latent: int = 4, hidden: int = 16, lr: float = 2e-3) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.latent, self.lr = latent, lr
        self.generator = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, 2))
        self.discriminator = nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, z: Tensor) -> Tensor:
        return self.generator(z)  # type: ignore[no-any-return]  # torch

    def training_step(self, batch: list[Tensor], batch_idx: int) -> None:
        (real,) = batch
        first, second = self.optimizers()  # type: ignore[attr-defined]  # there are two
        fake = self(torch.randn(len(real), self.latent, device=self.device))
        right, wrong = torch.ones(len(real), 1, device=self.device), torch.zeros(len(real), 1, device=self.device)
        self.toggle_optimizer(first)
        g_loss = bce(self.discriminator(fake), right)
        first.zero_grad()
        self.manual_backward(g_loss)
        first.step()
        self.untoggle_optimizer(first)
        self.toggle_optimizer(second)
        d_loss = (bce(self.discriminator(real), right) + bce(self.discriminator(fake.detach()), wrong)) / 2
        second.zero_grad()
        self.manual_backward(d_loss)
        second.step()
        self.untoggle_optimizer(second)
        self.log_dict({"g_loss": g_loss, "d_loss": d_loss}, on_step=False, on_epoch=True)

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        fake = self(torch.randn(len(batch[0]), self.latent, device=self.device))
        self.log("off_the_ring", (fake.norm(dim=1) - 1).abs().mean())

    def predict_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return self(torch.randn(len(batch[0]), self.latent, device=self.device))  # type: ignore[no-any-return]  # torch

    def configure_optimizers(self) -> Any:
        first = torch.optim.Adam(self.generator.parameters(), lr=self.lr)
        return [first, torch.optim.Adam(self.discriminator.parameters(), lr=self.lr)], []
