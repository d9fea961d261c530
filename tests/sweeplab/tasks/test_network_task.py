"""What all ready-made tasks do, shown by one of them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics.classification import MulticlassAccuracy

from sweeplab.errors import UserError
from sweeplab.tasks import Classification, Regression
from sweeplab.tasks.network_task import NetworkTask

NETWORK = {"_target_": "torch.nn.Linear", "in_features": 4, "out_features": 3}
OPTIMIZER = {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 0.01}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint of a classification, with all that it says of itself."""
    task: dict[str, Any] = {"_target_": "sweeplab.tasks.Classification", "network": NETWORK, "optimizer": OPTIMIZER}
    task["scale"] = [[2.0], [4.0]]
    weights = {"network.weight": torch.ones(3, 4), "network.bias": torch.zeros(3)}
    path = tmp_path / "a.ckpt"
    states = Classification(network=nn.Linear(4, 3), optimizer=torch.optim.Adam).state_dict()
    torch.save({"state_dict": {**states, **weights}, "model_config": task}, path)
    return path


def test_a_checkpoint_gives_the_task_back(checkpoint: Path) -> None:
    for kind in (Classification, NetworkTask):
        model = kind.load_from_checkpoint(checkpoint)
        assert type(model) is Classification
        assert not model.training
        assert model.device.type == "cpu"
        # Each input is 6, and so 1 when it is scaled.
        assert torch.equal(model(torch.full((2, 1, 4), 6.0)).flatten(), torch.full((6,), 4.0))


def test_a_checkpoint_goes_to_the_device_that_is_asked_for(checkpoint: Path) -> None:
    model = Classification.load_from_checkpoint(checkpoint, map_location="meta")
    assert {weight.device.type for weight in model.parameters()} == {"meta"}
    assert model.mean.device.type == "meta"


def test_a_checkpoint_of_another_task_is_refused(checkpoint: Path) -> None:
    with pytest.raises(UserError, match=r"a\.ckpt is of Classification, not of Regression\."):
        Regression.load_from_checkpoint(checkpoint)


@pytest.mark.parametrize("shape", [(5, 2), (5, 2, 7), (5, 2, 3, 3)])
def test_each_channel_is_scaled_by_its_own_numbers(shape: tuple[int, ...]) -> None:
    model = Regression(network=nn.Identity(), optimizer=torch.optim.SGD, scale=[[1.0, 10.0], [2.0, 5.0]])
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    for _ in range(2):  # the second time too
        scaled = model(x)
        assert torch.allclose(scaled[:, 0], (x[:, 0] - 1) / 2)
        assert torch.allclose(scaled[:, 1], (x[:, 1] - 10) / 5)
    assert not model.state_dict().keys() & {"mean", "deviation"}, "the description of a model has them"


def test_inputs_of_every_number_of_axes_are_scaled_by_one_model() -> None:
    model = Regression(network=nn.Identity(), optimizer=torch.optim.SGD, scale=[[1.0], [2.0]])
    for shape in ((5, 1, 7), (5, 1, 3, 3), (5, 1, 7)):
        assert torch.equal(model(torch.full(shape, 5.0)), torch.full(shape, 2.0))


def test_without_a_scale_inputs_stay_as_they_are() -> None:
    model = Regression(network=nn.Identity(), optimizer=torch.optim.SGD)
    assert torch.equal(model(torch.full((3, 2), 5.0)), torch.full((3, 2), 5.0))


def test_each_stage_has_metrics_of_its_own(tmp_path: Path) -> None:
    accuracy = MulticlassAccuracy(3)
    model = Classification(network=nn.Linear(4, 3), optimizer=torch.optim.SGD, metrics={"acc": accuracy, "off": None})
    found = [getattr(model, f"{stage}_metrics").metrics for stage in ("train", "val", "test")]
    assert [list(each) for each in found] == [["acc"]] * 3
    assert len({id(metric) for each in found for metric in each.values()} | {id(accuracy)}) == 4


def test_a_task_says_what_it_logs() -> None:
    task = {"metrics": {"acc": {"_target_": "x"}, "f1": None}}
    assert Classification.logs(task) == ["val/loss", "val/acc", "train/loss", "train/acc"]
    assert Regression.logs({}) == ["val/loss", "train/loss"]


def trainer(folder: Path, **more: Any) -> Trainer:
    return Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False,
        enable_model_summary=False, default_root_dir=folder, **more,
    )  # fmt: skip


@pytest.fixture
def batches() -> DataLoader[tuple[Tensor, ...]]:
    x = torch.randn(60, 1, 20, generator=torch.Generator().manual_seed(0))
    return DataLoader(TensorDataset(x, torch.arange(60) % 3), batch_size=20)


# Three batches from memory need no workers, and are fewer than the steps between two logs.
@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
@pytest.mark.filterwarnings("ignore:The number of training batches")
def test_plain_loaders_and_a_plain_trainer_do(batches: DataLoader[tuple[Tensor, ...]], tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(20, 100), nn.ReLU(), nn.Linear(100, 3))
    model = Classification(network=network, optimizer=lambda weights: torch.optim.Adam(weights, lr=0.01))
    fitted = trainer(tmp_path, max_epochs=40)
    fitted.fit(model, batches, batches)
    validated = float(fitted.callback_metrics["val/loss"])
    assert validated < 0.1  # it has learnt these few by heart
    (tested,) = fitted.test(model, batches, verbose=False)
    assert tested["test/loss"] == pytest.approx(validated)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"optimizer": lambda weights: torch.optim.SGD(weights, lr=-1.0)}, "^optimizer: Invalid learning rate: -1.0"),
        (
            {"optimizer": torch.optim.Adam, "scheduler": lambda optimizer, steps: _refuse(f"no {steps} steps")},
            "^scheduler: no 3 steps",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
def test_what_an_optimizer_or_a_scheduler_refuses_is_told(
    batches: DataLoader[tuple[Tensor, ...]], tmp_path: Path, given: dict[str, Any], words: str
) -> None:
    model = Classification(network=nn.Sequential(nn.Flatten(), nn.Linear(20, 3)), **given)
    with pytest.raises(UserError, match=words):
        trainer(tmp_path, max_epochs=1).fit(model, batches, batches)


def _refuse(words: str) -> None:
    raise ValueError(words)
