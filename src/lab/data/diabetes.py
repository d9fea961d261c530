from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from sklearn.datasets import load_diabetes
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, random_split


class Rows(Dataset[dict[str, Tensor]]):
    """The rows of a table, each a dict."""

    def __init__(self, features: Tensor, target: Tensor) -> None:
        self.features, self.target = features, target

    def __len__(self) -> int:
        return len(self.target)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"features": self.features[index], "target": self.target[index]}


class Diabetes(LightningDataModule):
    """442 patients, ten measurements each, and how their diabetes progressed in a year; they come with scikit-learn."""

    def __init__(self, batch_size: int = 32, split_seed: int = 0) -> None:
        super().__init__()
        self.batch_size, self.split_seed = batch_size, split_seed

    def setup(self, stage: str) -> None:
        """Split the table; measurements and target have mean 0 and deviation 1."""
        features, target = load_diabetes(return_X_y=True)
        x, y = (torch.tensor(part, dtype=torch.float32) for part in (features, target))
        rows = Rows((x - x.mean(0)) / x.std(0), (y - y.mean()) / y.std())
        self.num_features = x.shape[1]
        split = torch.Generator().manual_seed(self.split_seed)
        self.train, self.val, self.test = random_split(rows, [0.6, 0.2, 0.2], split)

    def train_dataloader(self) -> Any:
        """Return the training part, shuffled."""
        return DataLoader(self.train, batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self) -> Any:
        """Return the validation part, in one batch."""
        return DataLoader(self.val, batch_size=len(self.val))

    def test_dataloader(self) -> Any:
        """Return the test part, in one batch."""
        return DataLoader(self.test, batch_size=len(self.test))

    predict_dataloader = test_dataloader
