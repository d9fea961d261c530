from pathlib import Path

import pytest
import torch

from lab.data.digits import Digits
from lab.models.cnn import CNN
from sweeplab.errors import UserError
from sweeplab.records.record import read
from sweeplab.tasks import Classification
from tests.conftest import Compose
from tests.training import evaluate, run


def test_a_checkpoint_is_all_that_a_model_needs(configured: Compose) -> None:
    config = configured("model=cnn", "model.channels=7", "task.label_smoothing=0.1")
    run(config)
    path = Path(config.folder) / "checkpoints" / "best.ckpt"
    torch.load(path, weights_only=True)  # plain data only, or this fails
    model = Classification.load_from_checkpoint(path)
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


def test_a_scheduler_without_an_end_is_refused(configured: Compose) -> None:
    with pytest.raises(UserError, match="a scheduler must know when training ends"):
        run(configured("scheduler=cosine", "trainer.max_epochs=-1"))


@pytest.mark.slow  # compiles C++
# torch 2.13's compiler imports a part of torch that torch has deprecated.
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_a_compiled_network_loads_without_compiling(configured: Compose) -> None:
    config = configured("model=mlp", "task.compile=true", "trainer.max_epochs=1")
    run(config)
    path = Path(config.folder) / "checkpoints" / "best.ckpt"
    assert not [name for name in torch.load(path, weights_only=True)["state_dict"] if "_orig_mod" in name]
    plain = configured("model=mlp", "trainer.max_epochs=1", folder="plain")
    assert run(plain) == pytest.approx(run_again(path, config.folder), abs=0.02)


def run_again(path: Path, folder: str) -> float:
    """Validate a checkpoint without compiling."""
    import json

    written = evaluate(Path(folder), "validate", ["task.compile=false"])
    return float(json.loads(written.read_text())["val/acc"])
