from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from sklearn.datasets import load_diabetes
from torch.utils.data import DataLoader, Subset


class Diabetes(LightningDataModule):
    """442 patients: ten measurements each, and how far their diabetes had progressed after a year."""

    def __init__(self, batch_size: int = 32, split_seed: int = 0) -> None:
        super().__init__()
        self.batch_size, self.split_seed = batch_size, split_seed

    def setup(self, stage: str) -> None:
        """Split the patients, and scale the measurements by those of the training part."""
        table = load_diabetes(return_X_y=True, scaled=False)
        x, y = (torch.tensor(part, dtype=torch.float32) for part in table)
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(self.split_seed))
        train, val, test = order[:264], order[264:353], order[353:]
        x = (x - x[train].mean(0)) / x[train].std(0)
        rows: Any = [{"features": features, "target": target} for features, target in zip(x, y, strict=True)]
        self.train, self.val, self.test = (Subset(rows, part.tolist()) for part in (train, val, test))
        self.num_features = x.shape[1]
        self.target_mean, self.target_std = y[train].mean().item(), y[train].std().item()

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
