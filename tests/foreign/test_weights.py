"""Weights from one run in another, and what is said where they do not fit."""

import csv
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule

import sweeplab
from sweeplab.errors import UserError
from sweeplab.records.record import Status, read
from sweeplab.sweep.trial import Trial, enter
from tests.conftest import Compose
from tests.foreign.tables import TableRegression
from tests.training import evaluate, resume, run

pytestmark = pytest.mark.slow

BEST = Path("checkpoints", "best.ckpt")
STILL = ("model.lr=0.0", "+model.dropout=0.0")  # a training that leaves its weights as they were
STOP = "+callbacks.stop={_target_: tests.sweeplab.training.test_exact_resume.CtrlC, step: 12}"


class Wider(TableRegression):
    """A regression whose head has two outputs."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.net[3] = torch.nn.Linear(16, 2)

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.net(batch["features"]).mean(1)  # type: ignore[no-any-return]  # torch


class Other(LightningModule):
    """A module that shares no weight with the others."""

    def __init__(self) -> None:
        super().__init__()
        self.alone = torch.nn.Parameter(torch.zeros(3))


class KeepsAnObject(TableRegression):
    """Puts an object of its own into checkpoints."""

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["mine"] = Path("x")


@pytest.fixture
def trained(foreign: Compose) -> Path:
    config = foreign("tables", "trainer.max_epochs=1", folder="trained")
    run(config)
    return Path(config.folder)


def weights(path: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["state_dict"]
    return found


@pytest.mark.parametrize("source", ["", "checkpoints/best.ckpt"], ids=["folder", "checkpoint"])
def test_a_training_begins_with_the_weights_of_another(foreign: Compose, trained: Path, source: str) -> None:
    config = foreign("tables", *STILL, f"init_from={trained / source}", "trainer.max_epochs=1")
    run(config)
    old, new = weights(trained / BEST), weights(Path(config.folder) / BEST)
    assert all(torch.equal(old[name], new[name]) for name in old)
    facts = read(Path(config.folder))
    assert facts["init_from"] == {"checkpoint": str(trained / BEST), "taken": 4, "fresh": []}
    assert facts["objective"]["value"] == pytest.approx(read(trained)["objective"]["value"])


def test_another_head_is_refused_and_taken_where_that_is_said(foreign: Compose, trained: Path) -> None:
    wider = ("model._target_=tests.foreign.test_weights.Wider", f"init_from={trained}", "trainer.max_epochs=1", *STILL)
    with pytest.raises(UserError, match=r"another shape of net\.3\.weight; init_strict=false takes what fits\.$"):
        run(foreign("tables", *wider))
    config = foreign("tables", *wider, "init_strict=false", folder="wider")
    run(config)
    old, new = weights(trained / BEST), weights(Path(config.folder) / BEST)
    assert torch.equal(old["net.0.weight"], new["net.0.weight"])
    assert read(Path(config.folder))["init_from"]["fresh"] == ["net.3.weight", "net.3.bias"]


def test_weights_of_which_none_fits_are_refused(foreign: Compose, trained: Path) -> None:
    with pytest.raises(UserError, match=r"^no weight in .*best\.ckpt fits tests\.foreign\.autoencoder\.Autoencoder\.$"):
        run(foreign("autoencoder", f"init_from={trained}", "init_strict=false"))


def test_a_resumed_run_takes_its_own_weights(foreign: Compose, trained: Path) -> None:
    options = (f"init_from={trained}", "trainer.max_epochs=2")
    whole, cut = foreign("tables", *options, folder="whole"), foreign("tables", *options, STOP, folder="cut")
    run(whole)
    with pytest.raises(SystemExit):
        run(cut)
    shutil.rmtree(trained)  # it is not asked again
    resume(Path(cut.folder), ["~callbacks.stop"])
    first, second = (weights(Path(config.folder) / "checkpoints" / "last.ckpt") for config in (whole, cut))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert read(Path(cut.folder))["init_from"] == read(Path(whole.folder))["init_from"]


def renamed(path: Path, name: str) -> Path:
    """The checkpoint as if its module had been called otherwise."""
    content = torch.load(path, weights_only=True)
    content["model_config"]["_target_"] = name
    torch.save(content, path)
    return path


def one_sentence(error: pytest.ExceptionInfo[UserError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def test_a_class_that_is_gone_is_named_with_what_to_write(trained: Path) -> None:
    path = renamed(trained / BEST, "tests.foreign.tables.Regressor")
    with pytest.raises(UserError) as error:
        sweeplab.load_model(path)
    assert "tests.foreign.tables.Regressor does not exist" in one_sentence(error)
    assert "load_model(path, {'_target_': ...})" in str(error.value)
    description = {"_target_": "tests.foreign.tables.TableRegression"}
    assert isinstance(sweeplab.load_model(path, description), TableRegression)
    written = evaluate(trained, "test", ["model._target_=tests.foreign.tables.TableRegression"])
    assert "test_rmse" in written.read_text()


def test_an_argument_that_is_gone_is_named(trained: Path) -> None:
    content = torch.load(trained / BEST, weights_only=True)
    content["model_config"]["depth"] = 3
    torch.save(content, trained / BEST)
    with pytest.raises(UserError, match=r"no argument 'model\.depth'"):
        sweeplab.load_model(trained)


def test_a_checkpoint_of_the_parent_class_is_refused(trained: Path) -> None:
    renamed(trained / BEST, "tests.foreign.test_weights.Wider")
    with pytest.raises(UserError) as error:
        sweeplab.load_model(trained / BEST)
    assert "are not those of tests.foreign.test_weights.Wider" in one_sentence(error)


def test_a_checkpoint_that_lacks_a_weight_is_refused(trained: Path) -> None:
    content = torch.load(trained / BEST, weights_only=True)
    del content["state_dict"]["net.0.bias"]
    torch.save(content, trained / BEST)
    with pytest.raises(UserError, match=r"the file has no net\.0\.bias\.$"):
        sweeplab.load_model(trained)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "best.ckpt"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        sweeplab.load_model(path)
    assert str(path) in one_sentence(error)


def test_a_checkpoint_cut_short_is_refused(trained: Path) -> None:
    whole = (trained / BEST).read_bytes()
    (trained / BEST).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="not a checkpoint, or is incomplete") as error:
        sweeplab.load_model(trained)
    one_sentence(error)


def test_a_file_of_weights_alone_is_no_checkpoint(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "weights.pt")
    with pytest.raises(UserError, match="no state_dict"):
        sweeplab.load_model(tmp_path / "weights.pt")


def test_a_checkpoint_with_objects_inside_runs_nothing(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "path": Path("x")}, tmp_path / "objects.ckpt")
    with pytest.raises(UserError, match="holds an object and not plain data alone") as error:
        sweeplab.load_model(tmp_path / "objects.ckpt")
    one_sentence(error)


def test_a_checkpoint_that_somebody_else_wrote_says_how_to_load_it(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "hyper_parameters": {"width": 6}}, tmp_path / "theirs.ckpt")
    with pytest.raises(UserError, match=r"does not name its model; load it with its class"):
        sweeplab.load_model(tmp_path / "theirs.ckpt")


def test_a_module_that_can_loads_by_lightning_alone(trained: Path) -> None:
    model = TableRegression.load_from_checkpoint(trained / BEST, weights_only=True)
    assert all(torch.equal(value, weights(trained / BEST)[name]) for name, value in model.state_dict().items())


def test_a_module_that_saves_objects_is_told_so(foreign: Compose) -> None:
    config = foreign("tables", "model._target_=tests.foreign.test_weights.KeepsAnObject", "trainer.max_epochs=9")
    with pytest.raises(UserError, match=r"holds an object and not plain data alone .*add_safe_globals") as error:
        run(config)
    one_sentence(error)
    assert read(Path(config.folder))["status"] == Status.FAILED
    with (Path(config.folder) / "metrics.csv").open(newline="") as file:
        epochs = {row["epoch"] for row in csv.DictReader(file)}
    assert epochs <= {"", "0", "1"}, "the first checkpoint shows it"


def test_the_weights_that_were_taken_are_counted(foreign: Compose, trained: Path, caplog: Any) -> None:
    with caplog.at_level(logging.INFO, "sweeplab"):
        run(foreign("tables", f"init_from={trained}", "trainer.max_epochs=1"))
    assert "4 weights taken, 0 left as they were" in caplog.text


def test_a_trial_begins_with_the_weights_of_a_run(foreign: Compose, trained: Path) -> None:
    enter(Trial("study", 0, {}))
    try:
        config = foreign("tables", f"init_from={trained}", *STILL, "trainer.max_epochs=1")
        value = run(config)
    finally:
        enter(None)
    assert value == pytest.approx(read(trained)["objective"]["value"])
