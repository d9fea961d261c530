"""What Lightning allows works here too."""

from pathlib import Path

import pytest
import torch

import sweeplab
from sweeplab.records.record import Status, read
from sweeplab.training.predictions import averaged
from tests.conftest import Command, Compose
from tests.foreign.conftest import CHOICES, CONF, SMALL
from tests.training import evaluate, run

PATH = {"PYTHONPATH": str(CONF.parents[2])}


def mine(name: str) -> tuple[str, ...]:
    return (f"model._target_=tests.foreign.habits.{name}",)


def test_a_validation_that_logs_nothing_in_the_sanity_check_is_judged_later(foreign: Compose) -> None:
    config = foreign("tables", *mine("SkipsSanityCheck"), "objective.metric=val.error")
    assert run(config) == read(Path(config.folder))["best"]["val.error"]


def test_a_callback_may_log_the_objective(foreign: Compose) -> None:
    gap = "+callbacks.gap._target_=tests.foreign.habits.Gap"
    assert run(foreign("tables", gap, "objective.metric=gap")) == pytest.approx(1 / 3)


@pytest.mark.parametrize("name", ["MadeLate", "Frozen", "Lazy"])
def test_a_checkpoint_is_loaded_as_lightning_loads_it(foreign: Compose, name: str) -> None:
    config = foreign("tables", *mine(name), "trainer.max_epochs=1")
    run(config)
    folder = Path(config.folder)
    saved = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    loaded = sweeplab.load_model(folder).state_dict()
    assert saved
    assert all(torch.equal(loaded[key], value) for key, value in saved.items())
    assert evaluate(folder, "test").is_file()


@pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true")  # which Lightning does by itself
def test_data_that_lightning_makes_of_data_sets_has_a_test(foreign: Compose) -> None:
    config = foreign("tables", "data._target_=tests.foreign.habits.from_datasets", "trainer.max_epochs=1")
    run(config)
    assert read(Path(config.folder))["status"] == Status.COMPLETE


def test_nested_predictions_that_are_the_same_stay_as_they_are() -> None:
    member = {"meta": {"id": torch.arange(3)}, "value": torch.ones(3)}
    together, left = averaged([member, {"meta": {"id": torch.arange(3)}, "value": torch.zeros(3)}])
    assert together["value"].tolist() == [0.5, 0.5, 0.5]
    assert left == []


@pytest.mark.slow
def test_a_link_may_be_typed_and_a_linked_key_be_searched(command: Command, tmp_path: Path) -> None:
    words = ["--config-dir", str(CONF), *SMALL, *CHOICES["tables"], "trainer.max_epochs=1"]
    command("train.py", *words, "model.hidden=${data:width}", "hydra.run.dir=run", **PATH)
    assert read(tmp_path / "run")["links"] == {"model.hidden": "width"}
    letters = ["--config-dir", str(CONF), "-m", *SMALL, *CHOICES["letters"], "trainer.max_epochs=1", "study=mine"]
    command("train.py", *letters, "model.vocabulary_size=100,120", **PATH)
    assert read(tmp_path / "multirun" / "mine" / "1")["status"] == Status.COMPLETE


@pytest.mark.parametrize("name", ["tables", "template"])
@pytest.mark.parametrize("debug", ["default", "fdr", "limit"])
def test_the_presets_for_debugging_train_and_test_any_module(foreign: Compose, name: str, debug: str) -> None:
    config = foreign(name, f"debug={debug}", "logger=csv")
    run(config)
    facts = read(Path(config.folder))
    assert facts["status"] == Status.COMPLETE
    assert facts["test"]
    assert not (Path(config.folder) / "checkpoints").exists()
