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


def test_class_weights_and_smoothing_are_of_the_training_alone() -> None:
    task = Classification(network=torch.nn.Identity(), optimizer=torch.optim.SGD, class_weights=[1.0, 3.0])
    logits, labels = torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), torch.tensor([0, 0, 1])
    weighted = torch.nn.CrossEntropyLoss(weight=torch.tensor([1.0, 3.0]))
    assert torch.equal(task.loss(logits, labels, training=True), weighted(logits, labels))
    assert torch.equal(task.loss(logits, labels, training=False), torch.nn.CrossEntropyLoss()(logits, labels))


def test_weights_of_another_number_of_classes_are_refused(configured: Compose) -> None:
    with pytest.raises(UserError, match=r"^task\.class_weights has 3 weights, and there are 10 classes\.$"):
        run(configured("model=linear", "task.class_weights=[1,2,3]"))


def test_class_weights_come_from_the_data_and_are_recorded(configured: Compose) -> None:
    config = configured("model=linear", "task.class_weights='${data:class_weights}'", "trainer.max_epochs=1")
    run(config)
    model = Classification.load_from_checkpoint(Path(config.folder) / "checkpoints" / "best.ckpt")
    assert model.class_weights is not None
    assert len(model.class_weights) == 10
    assert read(Path(config.folder))["links"]["task.class_weights"] == "class_weights"
    assert evaluate(Path(config.folder), "test").is_file()


def test_another_loss_takes_the_place_of_the_cross_entropy(configured: Compose) -> None:
    criterion = "task.criterion={_target_: torch.nn.MultiMarginLoss, p: 2}"
    config = configured("model=linear", criterion, "trainer.max_epochs=1")
    run(config)
    model = Classification.load_from_checkpoint(Path(config.folder) / "checkpoints" / "best.ckpt")
    logits, labels = torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1])
    for training in (True, False):
        expected = torch.nn.MultiMarginLoss(p=2)(logits, labels)
        assert torch.equal(model.loss(logits, labels, training), expected)
    with pytest.raises(UserError, match="are of the cross entropy: give the criterion its own"):
        run(configured("model=linear", criterion, "task.label_smoothing=0.1", folder="both"))


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
