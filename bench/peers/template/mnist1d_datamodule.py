"""The usual data module: data sets, and a DataLoader for each."""

import network
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

Loader = DataLoader[tuple[Tensor, ...]]


class Mnist1DDataModule(LightningDataModule):
    """MNIST-1D in three parts."""

    def __init__(self, batch_size: int = 128, num_workers: int = 0, pin_memory: bool = False) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        self.parts: dict[str, TensorDataset] = {}

    def setup(self, stage: str | None = None) -> None:
        """Load the parts, once."""
        if not self.parts:
            self.parts = {name: TensorDataset(*part) for name, part in network.parts().items()}

    def train_dataloader(self) -> Loader:
        """Return the training part, shuffled."""
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> Loader:
        """Return the validation part."""
        return self._loader("val")

    def test_dataloader(self) -> Loader:
        """Return the test part."""
        return self._loader("test")

    def _loader(self, part: str, shuffle: bool = False) -> Loader:
        return DataLoader(
            self.parts[part],
            batch_size=self.hparams.batch_size,
            num_workers=self.hparams.num_workers,
            pin_memory=self.hparams.pin_memory,
            shuffle=shuffle,
        )
