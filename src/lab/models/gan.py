from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from PIL import Image
from torch import Tensor, cdist, nn
from torch.nn.functional import binary_cross_entropy_with_logits, pad

Batch = tuple[Tensor, ...]


class DigitGan(LightningModule):
    """A generator of 8 x 8 digits and a discriminator, trained against each other without labels."""

    def __init__(self, latent: int = 16, width: int = 256, lr: float = 1e-3) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.latent, self.lr = latent, lr
        self.generator = nn.Sequential(
            *(nn.Linear(latent, width), nn.BatchNorm1d(width), nn.ReLU()),
            *(nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU()),
            *(nn.Linear(width, 64), nn.Sigmoid()),
        )
        self.discriminator = nn.Sequential(
            *(nn.Linear(64, width), nn.LeakyReLU(0.2), nn.Dropout(0.3)),
            *(nn.Linear(width, width), nn.LeakyReLU(0.2), nn.Dropout(0.3)),
            nn.Linear(width, 1),
        )

    def forward(self, z: Tensor) -> Tensor:
        """Return digits of shape (samples, 64), from 0 to 1, for noise of shape (samples, latent)."""
        return self.generator(z)  # type: ignore[no-any-return]  # torch types the call as Any

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Train the discriminator to tell real digits from generated ones, then the generator to deceive it."""
        g_optimizer, d_optimizer = self.optimizers()  # type: ignore[attr-defined]  # a list of two
        real = batch[0].flatten(1) / 16
        fake = self(self.noise(len(real)))
        d_loss = self.d_loss(real, 0.9) + self.d_loss(fake.detach(), 0.0)
        d_optimizer.zero_grad()
        self.manual_backward(d_loss)
        d_optimizer.step()
        g_loss = self.d_loss(fake, 1.0)
        g_optimizer.zero_grad()
        self.manual_backward(g_loss)
        g_optimizer.step()
        self.log_dict({"g_loss": g_loss, "d_loss": d_loss}, on_step=False, on_epoch=True)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the energy distance between real digits and those of the same noise in every epoch; 0 is the best."""
        real, fake = batch[0].flatten(1) / 16, self(self.noise(len(batch[0]), seed=batch_idx))
        distance = 2 * cdist(real, fake).mean() - cdist(real, real).mean() - cdist(fake, fake).mean()
        self.log("energy_distance", distance)

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Return as many new digits as the batch has."""
        return {"digits": self(self.noise(len(batch[0]))).view(-1, 8, 8)}

    def configure_optimizers(self) -> Any:
        """Return an optimizer for each of the two networks."""
        networks = (self.generator, self.discriminator)
        return [torch.optim.Adam(network.parameters(), lr=self.lr, betas=(0.5, 0.999)) for network in networks]

    def noise(self, count: int, seed: int | None = None) -> Tensor:
        """Return noise to make digits of; with a seed, always the same."""
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        return torch.randn(count, self.latent, generator=generator).to(self.device)

    def d_loss(self, digits: Tensor, label: float) -> Tensor:
        """Return the discriminator's loss on digits that are all real (1) or all generated (0)."""
        logits = self.discriminator(digits)
        return binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


class DrawDigits(Callback):
    """Draws 64 generated digits to `epoch-010.png` and so on."""

    def __init__(self, folder: str, every_n_epochs: int = 10) -> None:
        self.folder, self.every_n_epochs = Path(folder), every_n_epochs

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw, if it is time."""
        epoch = trainer.current_epoch + 1
        if trainer.sanity_checking or not trainer.is_global_zero or epoch % self.every_n_epochs:
            return
        assert isinstance(pl_module, DigitGan)
        digits = pl_module(pl_module.noise(64, seed=0)).cpu().view(8, 8, 8, 8)
        grid = pad(digits, (1, 1, 1, 1)).transpose(1, 2).reshape(80, 80)
        self.folder.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray((255 * (1 - grid)).byte().numpy())
        picture.resize((640, 640), Image.Resampling.NEAREST).save(self.folder / f"epoch-{epoch:03}.png")
