from pathlib import Path

import pytest
import torch
from lab.models.classifier import Classifier
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader, TensorDataset

from lab.data.digits import Digits
from lab.models.cnn import CNN
from lab.train import run, train
from sweeplab.errors import UserError
from sweeplab.runs.record import read
from sweeplab.training.objective import Objective
from tests.conftest import Compose


def test_a_checkpoint_is_all_that_a_model_needs(configured: Compose) -> None:
    config = configured("model=cnn", "model.channels=7", "label_smoothing=0.1")
    run(config)
    path = Path(config.folder) / "checkpoints" / "best.ckpt"
    torch.load(path, weights_only=True)  # plain data only, or this fails
    model = Classifier.load_from_checkpoint(path)
    assert isinstance(model.network, CNN)
    assert model.network[0].out_channels == 7
    assert model.label_smoothing == 0.1
    raw = Digits(batch_size=64, val_fraction=0.2, test_fraction=0.2, shuffle_seed=0)
    raw.setup()
    x, y = raw.parts["test"]
    accuracy = (model.probabilities(x).argmax(1) == y).float().mean().item()
    assert accuracy == pytest.approx(read(Path(config.folder))["metrics"]["test/acc"])
    weights = torch.load(path, weights_only=True)["state_dict"]
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())


def test_plain_loaders_do_without_a_data_module(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(60, 1, 20, generator=generator), torch.arange(60) % 3
    loader = DataLoader(TensorDataset(x, y), batch_size=20)
    network = {"_target_": "lab.models.mlp.MLP", "in_shape": [1, 20], "num_classes": 3}
    model = Classifier(network, lambda weights: torch.optim.Adam(weights, lr=0.01))
    trainer = Trainer(
        max_epochs=40, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_checkpointing=False, enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    loaders = {"train": loader, "val": loader, "test": loader}
    result = train(model, loaders, trainer, Objective("val/loss", "min"))
    assert result.objective < 0.1  # it has learnt these few by heart
    assert result.metrics["test/loss"] == pytest.approx(result.metrics["val/loss"])


def test_a_scheduler_without_an_end_is_refused(configured: Compose) -> None:
    with pytest.raises(UserError, match="a scheduler must know when training ends"):
        run(configured("scheduler=cosine", "trainer.max_epochs=-1"))


@pytest.mark.thorough  # compiles C++
# torch 2.13's compiler imports a part of torch that torch has deprecated.
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_a_compiled_network_loads_without_compiling(configured: Compose) -> None:
    config = configured("model=mlp", "compile=true", "trainer.max_epochs=1")
    run(config)
    path = Path(config.folder) / "checkpoints" / "best.ckpt"
    assert not [name for name in torch.load(path, weights_only=True)["state_dict"] if "_orig_mod" in name]
    plain = configured("model=mlp", "trainer.max_epochs=1", folder="plain")
    assert run(plain) == pytest.approx(run_again(path, config.folder), abs=0.02)


def run_again(path: Path, folder: str) -> float:
    """Validate a checkpoint without compiling."""
    import json

    from lab.evaluate import evaluate

    written = evaluate(Path(folder), "validate", ["compile=false"])
    return float(json.loads(written.read_text())["val/acc"])
