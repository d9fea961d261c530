"""Numbers learned by bare networks, from arrays in a file."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig
from torch import Tensor, nn

import sweeplab
from sweeplab.errors import UserError
from sweeplab.records.record import read
from sweeplab.tasks import Regression
from sweeplab.tasks.network_task import NetworkTask
from sweeplab.tasks.npz import Npz
from sweeplab.training.evaluate import evaluate as evaluate_together
from tests.conftest import Compose
from tests.training import evaluate, run

Numbers = NDArray[np.float64]
WEIGHTS = np.linspace(-1, 1, 6)


class Column(nn.Module):
    """A bare network, which knows nothing of Lightning."""

    def __init__(self, width: int, numbers: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, numbers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(1))  # type: ignore[no-any-return]  # torch types the call of a module as Any


def save_arrays(path: Path, numbers: int = 1, shift: float = 0.0) -> Path:
    """Write signals far from zero and what is a weighted sum of each; as many sums a sample as `numbers`."""
    generator = np.random.default_rng(0)
    x = generator.normal(40, 5, size=(160, 6))
    y = (x - 40) @ WEIGHTS + shift
    y = y if numbers == 1 else np.stack([y * (number + 1) for number in range(numbers)], axis=1)
    np.savez(path, x_train=x[:120], y_train=y[:120], x_test=x[120:], y_test=y[120:])
    return path


@pytest.fixture
def regression(configured: Compose, tmp_path: Path) -> Compose:
    """Compose the training of a bare network on numbers."""

    def compose_regression(*overrides: str, folder: str = "run", numbers: int = 1) -> DictConfig:
        path = save_arrays(tmp_path / f"{numbers}.npz", numbers)
        choices = ("task=regression", "data=npz", f"data.path={path}", "data.batch_size=16", "optimizer.lr=0.05")
        config = configured(*choices, *overrides, folder=folder)
        config.model = {"_target_": f"{__name__}.Column", "width": 6, "numbers": "${data:num_targets}"}
        return config

    return compose_regression


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def columns(path: Path, *names: str) -> Numbers:
    return np.array([[float(row[name]) for name in names] for row in rows(path)])


def rmse(predicted: Numbers, target: Numbers) -> float:
    return float(np.sqrt(((predicted - target) ** 2).mean()))


@pytest.mark.slow
def test_a_bare_network_learns_the_numbers_of_a_file(regression: Compose) -> None:
    config = regression("trainer.max_epochs=20")
    value = run(config)
    folder = Path(config.folder)
    facts = read(folder)
    assert (facts["objective"]["metric"], facts["objective"]["mode"]) == ("val/rmse", "min")
    assert isinstance(value, float)
    assert value < 2, "the numbers themselves spread by more than 8"
    assert facts["test"] == ["test/loss", "test/rmse"]
    assert facts["metrics"]["test/loss"] == pytest.approx(facts["metrics"]["test/rmse"] ** 2, rel=1e-4)
    model = sweeplab.load_model(folder)
    assert isinstance(model, Regression)
    assert isinstance(model.network, Column)


def test_predictions_stand_beside_the_numbers_and_agree_with_the_test(regression: Compose) -> None:
    config = regression()
    run(config)
    written = evaluate(Path(config.folder), "predict")
    assert list(rows(written)[0]) == ["sample", "predicted", "target"]
    predicted, target = columns(written, "predicted"), columns(written, "target")
    assert len(target) == 40
    with np.load(config.data.path) as arrays:
        np.testing.assert_allclose(target[:, 0], arrays["y_test"], rtol=1e-5)
        inputs = torch.from_numpy(arrays["x_test"][:, None]).float()
    assert rmse(predicted, target) == pytest.approx(read(Path(config.folder))["metrics"]["test/rmse"], rel=1e-4)
    with torch.no_grad():  # raw numbers in, as the file has them
        said = sweeplab.load_model(config.folder)(inputs)
    np.testing.assert_allclose(said.numpy(), predicted[:, 0], rtol=1e-4, atol=1e-4)


def test_inputs_without_numbers_are_predicted(regression: Compose, tmp_path: Path) -> None:
    config = regression()
    run(config)
    known = rows(evaluate(Path(config.folder), "predict"))[0]
    with np.load(config.data.path) as arrays:
        np.savez(tmp_path / "new.npz", x_predict=arrays["x_test"][:1])  # its own scale would make it zero
    (new,) = rows(evaluate(Path(config.folder), "predict", [f"data.path={tmp_path}/new.npz"]))
    assert new == {"sample": "0", "predicted": known["predicted"]}


def test_a_row_of_numbers_a_sample_is_learned_together(regression: Compose) -> None:
    config = regression(numbers=2)
    run(config)
    written = evaluate(Path(config.folder), "predict")
    assert list(rows(written)[0]) == ["sample", "predicted_0", "predicted_1", "target_0", "target_1"]
    predicted, target = columns(written, "predicted_0", "predicted_1"), columns(written, "target_0", "target_1")
    np.testing.assert_allclose(target[:, 1], 2 * target[:, 0], rtol=1e-4, atol=1e-4)
    assert rmse(predicted, target) == pytest.approx(read(Path(config.folder))["metrics"]["test/rmse"], rel=1e-4)


@pytest.mark.slow
def test_an_ensemble_says_the_mean_and_is_judged_by_it(regression: Compose, tmp_path: Path) -> None:
    folders = [tmp_path / str(seed) for seed in range(3)]
    for seed, folder in enumerate(folders):
        run(regression(f"seed={seed}", folder=folder.name))
    each = [columns(evaluate(folder, "predict"), "predicted", "target") for folder in folders]
    mean, target = np.mean([member[:, 0] for member in each], axis=0), each[0][:, 1]
    together = columns(evaluate_together(tmp_path, folders, "predict"), "predicted", "target")
    np.testing.assert_allclose(together[:, 0], mean, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(together[:, 1], target, rtol=1e-5)
    measured = json.loads(evaluate_together(tmp_path, folders).read_text())
    assert measured["test/rmse"] == pytest.approx(rmse(mean, target), rel=1e-4)
    assert measured["test/loss"] == pytest.approx(rmse(mean, target) ** 2, rel=1e-4)
    for folder in folders:
        own = read(folder)["metrics"]
        assert measured["members"][folder.name]["test/rmse"] == pytest.approx(own["test/rmse"], rel=1e-5)


def test_another_criterion_is_another_loss(regression: Compose) -> None:
    config = regression("task.criterion._target_=torch.nn.L1Loss")
    run(config)
    predicted = columns(evaluate(Path(config.folder), "predict"), "predicted", "target")
    found = json.loads(evaluate(Path(config.folder)).read_text())
    assert found["test/loss"] == pytest.approx(np.abs(predicted[:, 0] - predicted[:, 1]).mean(), rel=1e-4)
    assert found["test/rmse"] == pytest.approx(rmse(predicted[:, 0], predicted[:, 1]), rel=1e-4)


def test_a_column_of_outputs_fits_a_row_of_targets_either_way() -> None:
    """Shapes (samples, 1) and (samples,) would be spread over each other, to a loss that is quite another."""
    model = Regression(network=nn.Identity(), optimizer=torch.optim.SGD)
    for outputs, targets in ((torch.ones(4, 1), torch.zeros(4)), (torch.ones(4), torch.zeros(4, 1))):
        loss, said = model._step("val", (outputs * torch.arange(4.0).view(outputs.shape), targets))
        assert said.shape == (4,)
        assert loss.item() == pytest.approx(14 / 4)


def test_whole_numbers_are_labels_and_others_are_not(tmp_path: Path) -> None:
    for numbers in (1, 3):
        path = save_arrays(tmp_path / f"{numbers}.npz", numbers)
        data = Npz(str(path), batch_size=8, val_fraction=0.2)
        data.setup()
        assert data.num_targets == numbers
        with pytest.raises(UserError, match="numbers to predict"):
            _ = data.num_classes
        assert data.parts["train"][1].dtype is torch.float32


def test_a_checkpoint_is_loaded_by_the_class_of_its_task_or_one_above(regression: Compose) -> None:
    config = regression("trainer.max_epochs=1")
    run(config)
    path = Path(config.folder) / "checkpoints" / "best.ckpt"
    assert type(NetworkTask.load_from_checkpoint(path)) is Regression
    assert type(Regression.load_from_checkpoint(path, weights_only=True)) is Regression
