from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce


class DigitGan(LightningModule):
    """A generator and a discriminator of 8 x 8 digits that train each other: two optimizers, and no labels."""

    def __init__(self, latent: int = 16, width: int = 128, lr: float = 5e-4) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.latent, self.lr = latent, lr
        self.generator = nn.Sequential(nn.Linear(latent, width), nn.ReLU(), nn.Linear(width, 64), nn.Sigmoid())
        self.discriminator = nn.Sequential(nn.Linear(64, width), nn.LeakyReLU(0.2), nn.Linear(width, 1))

    def forward(self, z: Tensor) -> Tensor:
        """Return pictures of shape (samples, 8, 8), from 0 to 1, for numbers of shape (samples, latent)."""
        return self.generator(z).view(-1, 8, 8)  # type: ignore[no-any-return]  # torch types the call as Any

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> None:
        """Train the discriminator on real and made pictures, then the generator against it."""
        real = batch[0].flatten(1) / 16
        for_generator, for_discriminator = self.optimizers()  # type: ignore[attr-defined]  # there are two
        made = self(self._noise(len(real))).flatten(1)
        d_loss = (self._taken_for(real, 0.9) + self._taken_for(made.detach(), 0.0)) / 2
        for_discriminator.zero_grad()
        self.manual_backward(d_loss)
        for_discriminator.step()
        g_loss = self._taken_for(made, 1.0)
        for_generator.zero_grad()
        self.manual_backward(g_loss)
        for_generator.step()
        self.log_dict({"loss/generator": g_loss, "loss/discriminator": d_loss}, on_step=False, on_epoch=True)

    def validation_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> None:
        """Log how far the means and deviations of made pixels are from those of real ones."""
        real, made = batch[0].flatten(1) / 16, self(self._noise(len(batch[0]))).flatten(1)
        gap = (real.mean(0) - made.mean(0)).square() + (real.std(0) - made.std(0)).square()
        self.log("pixel_gap", gap.mean().sqrt(), prog_bar=True, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """Return the generator's Adam and the discriminator's."""
        parts = (self.generator, self.discriminator)
        return [torch.optim.Adam(part.parameters(), lr=self.lr, betas=(0.5, 0.999)) for part in parts]

    def _noise(self, count: int) -> Tensor:
        return torch.randn(count, self.latent, device=self.device)

    def _taken_for(self, pictures: Tensor, share: float) -> Tensor:
        judged = self.discriminator(pictures)
        return bce(judged, torch.full_like(judged, share))


class DrawDigits(Callback):
    """Draws 64 made digits every so many epochs: `epoch-010.png`."""

    def __init__(self, folder: str, every_n_epochs: int = 10) -> None:
        self.folder, self.every_n_epochs = Path(folder), every_n_epochs
        self.noise = torch.randn(64, 1000, generator=torch.Generator().manual_seed(0))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw, if it is time."""
        epoch = trainer.current_epoch + 1
        if trainer.is_global_zero and not trainer.sanity_checking and epoch % self.every_n_epochs == 0:
            assert isinstance(pl_module, DigitGan)
            digits = pl_module(self.noise[:, : pl_module.latent].to(pl_module.device)).detach().cpu()
            grid = digits.view(8, 8, 8, 8).transpose(1, 2).reshape(64, 64)
            self.folder.mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray((255 * (1 - grid)).byte().numpy())
            picture.resize((512, 512), Image.Resampling.NEAREST).save(self.folder / f"epoch-{epoch:03}.png")
