import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig

from lab.train import train
from sweeplab import Run
from sweeplab.errors import UserError
from sweeplab.records.record import Status, read
from sweeplab.training.check import check
from sweeplab.training.effective_config import effective_config
from sweeplab.training.start import start
from tests.conftest import Command, Compose, equal_weights
from tests.training import run

LAST = Path("checkpoints", "last.ckpt")


def trained(configured: Compose, *overrides: str, folder: str = "run") -> Path:
    config = configured(*overrides, folder=folder)
    run(config)
    return Path(config.folder)


def test_a_run_folder_explains_itself(configured: Compose) -> None:
    folder = trained(configured, "model=cnn")
    facts = read(folder)
    assert facts["status"] == Status.COMPLETE
    assert facts["checkpoint"] == "checkpoints/best.ckpt"
    files = {path.name for path in folder.iterdir()} - {"uncommitted.patch"}
    assert files == {"checkpoints", "config.yaml", "metrics.csv", "run.json", "test"}
    assert "${" not in (folder / "config.yaml").read_text()
    assert facts["versions"]["torch"].startswith("2.")
    assert {"train/loss", "train/acc", "val/loss", "val/acc", "test/loss", "test/acc"} <= facts["metrics"].keys()


def test_the_objective_is_the_best_value_and_not_the_last(configured: Compose) -> None:
    # A learning rate that jumps up makes the last epochs worse than the first ones.
    options = ("optimizer=sgd", "optimizer.lr=0.05", "trainer.max_epochs=6", "scheduler=plateau", "scheduler.mode=min")
    folder = trained(configured, *options, "scheduler.patience=0", "scheduler.factor=0.99", "optimizer.momentum=0.999")
    with (folder / "metrics.csv").open(newline="") as file:
        values = [float(row["val/acc"]) for row in csv.DictReader(file) if row["val/acc"]]
    facts = read(folder)
    assert values[-1] < max(values), "the training was meant to get worse"
    assert facts["objective"]["value"] == pytest.approx(max(values))
    assert facts["objective"]["epoch"] == values.index(max(values))
    assert facts["best"]["val/acc"] == facts["objective"]["value"]


@pytest.mark.parametrize("seed", [0, 3])
def test_the_same_seed_gives_the_same_numbers(configured: Compose, seed: int) -> None:
    options = ("model=mlp", "model.dropout=0.2", f"seed={seed}")
    first, second = (trained(configured, *options, folder=name) for name in ("first", "second"))
    assert read(first)["metrics"] == read(second)["metrics"]
    assert equal_weights(first / LAST, second / LAST)


@pytest.mark.slow
def test_other_seeds_give_other_numbers_and_null_draws_one(configured: Compose) -> None:
    folders = [trained(configured, f"seed={seed}", folder=str(seed)) for seed in (0, 1, "null")]
    assert not equal_weights(folders[0] / LAST, folders[1] / LAST)
    drawn = read(folders[2])["seed"]
    assert isinstance(drawn, int)
    again = trained(configured, f"seed={drawn}", folder="again")
    assert equal_weights(folders[2] / LAST, again / LAST)


def test_a_training_that_diverges_fails(configured: Compose) -> None:
    diverging = ("optimizer=sgd", "optimizer.lr=1e30", "finite_loss=false")
    config = configured(*diverging, "objective={metric: val/loss, mode: min}")
    with pytest.raises(UserError, match="val/loss was never a finite number"):
        run(config)
    facts = read(Path(config.folder))
    assert facts["status"] == Status.FAILED
    assert "never a finite number" in facts["error"]


def returning(value: Any) -> Callable[[Run], Any]:
    """A training function that returns something of its own."""

    def train_and_return(under_way: Run) -> Any:
        train(under_way)
        return value

    return train_and_return


@pytest.mark.parametrize(("code", "said"), [(0, 1), (None, 1), (256, 1), (3, 3), ("enough", "enough")])
def test_an_exit_is_never_a_success(configured: Compose, code: Any, said: Any) -> None:
    def leave(under_way: Run) -> None:
        under_way.build("data")
        sys.exit(code)

    config = configured(*TINY)
    with pytest.raises((UserError, SystemExit)) as left:
        start(leave, config)
    if said == 1:  # as every mistake
        assert "the training called sys.exit(" in str(left.value)
    else:
        assert isinstance(left.value, SystemExit)
        assert left.value.code == said
    assert read(Path(config.folder))["status"] == Status.FAILED


TINY = ("model=linear", "trainer.max_epochs=1", "test=false")
LESS_LOSS = "objective.also=[{metric: val/loss, mode: min}]"


@pytest.mark.parametrize("value", [0.25, np.float32(0.25), torch.tensor(0.25), [0.25]], ids=repr)
def test_a_number_that_the_training_returns_is_the_objective(configured: Compose, value: Any) -> None:
    config = configured(*TINY)
    assert start(returning(value), config) == 0.25
    assert read(Path(config.folder))["objective"]["value"] == 0.25


@pytest.mark.slow
@pytest.mark.parametrize("value", [None, True, "0.25", {"acc": 0.25}, [], torch.zeros(2)], ids=repr)
def test_what_else_the_training_returns_is_not_the_objective(configured: Compose, value: Any) -> None:
    config = configured(*TINY)
    assert start(returning(value), config) == read(Path(config.folder))["best"]["val/acc"]


def test_several_objectives_are_returned_together(configured: Compose) -> None:
    config = configured(*TINY, LESS_LOSS)
    assert start(returning((0.25, 3)), config) == [0.25, 3.0]
    assert read(Path(config.folder))["objective"]["also"] == [{"metric": "val/loss", "mode": "min", "value": 3.0}]


@pytest.mark.parametrize(
    ("overrides", "value", "words"),
    [
        ((), float("nan"), r"train\(run\) returned nan: the objective must be a finite number"),
        ((), torch.tensor(float("inf")), r"returned inf: the objective must be a finite number"),
        ((), [0.25, 3.0], r"returned \[0\.25, 3\.0\]; return one number for each objective, 1 in all"),
        ((LESS_LOSS,), 0.25, r"returned 0\.25; return one number for each objective, 2 in all"),
    ],
)
def test_a_run_fails_by_what_its_training_returns(
    configured: Compose, overrides: tuple[str, ...], value: Any, words: str
) -> None:
    config = configured(*TINY, *overrides)
    with pytest.raises(UserError, match=words):
        start(returning(value), config)
    assert read(Path(config.folder))["status"] == Status.FAILED


def test_a_second_run_does_not_touch_the_first(configured: Compose) -> None:
    folder = trained(configured)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match="already holds a run"):
        run(configured("seed=1"))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["best", "last", "early_stopping", "learning_rate", "samples", "charts", "pruning", "progress", "summary"]
)
def test_each_callback_can_be_switched_off(configured: Compose, name: str) -> None:
    config = configured("trainer.max_epochs=1")
    (config.callbacks if name in config.callbacks else config.task.callbacks)[name] = None
    run(config)
    folder = Path(config.folder)
    assert (folder / "checkpoints" / "best.ckpt").exists() == (name != "best")
    assert (folder / LAST).exists() == (name != "last")
    assert (folder / "test").exists() == (name != "charts")
    assert read(folder)["objective"]["value"] > 0


def test_no_callbacks_and_no_logger_leave_config_and_record_alone(configured: Compose) -> None:
    folder = trained(configured, "logger=none", "callbacks=none")
    assert {path.name for path in folder.iterdir()} - {"uncommitted.patch"} == {"config.yaml", "run.json"}
    assert read(folder)["metrics"]["test/acc"] > 0


@pytest.mark.slow
def test_predictions_are_drawn(configured: Compose) -> None:
    from PIL import Image

    for data in ("digits", "mnist1d"):
        config = configured(f"data={data}", folder=data)
        config.task.callbacks.samples = {
            "_target_": "sweeplab.tasks.Samples",
            "folder": f"{config.folder}/samples",
            "count": 5,
        }
        run(config)
        (path,) = (Path(config.folder) / "samples").iterdir()
        with Image.open(path) as picture:
            assert picture.size == (768, 110)
            assert len(picture.getcolors(10**6) or []) > 2, "an empty picture"


def test_tensorboard_records_the_same_curves(configured: Compose) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = trained(configured, "logger=[csv,tensorboard]")
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    with (folder / "metrics.csv").open(newline="") as file:
        values = [float(row["val/acc"]) for row in csv.DictReader(file) if row["val/acc"]]
    assert [scalar.value for scalar in events.Scalars("val/acc")] == pytest.approx(values)


@pytest.mark.slow
@pytest.mark.parametrize("group", ["trainer=debug", "debug=fast", "debug=overfit", "debug=profile"])
def test_debugging_presets_run(configured: Compose, group: str) -> None:
    folder = trained(
        configured, group, "trainer.max_epochs=2", "~callbacks.best" if group == "debug=fast" else "seed=0"
    )
    assert read(folder)["status"] == Status.COMPLETE


def test_overfit_sees_the_same_batches_each_epoch(configured: Compose) -> None:
    folder = trained(configured, "debug=overfit", "trainer.max_epochs=30", "model.width=200", "optimizer.lr=1e-2")
    assert read(folder)["metrics"]["train/acc"] == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_two_processes_train_test_resume_and_evaluate_one_model(tmp_path: Path, command: Command, workers: int) -> None:
    choices = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", f"data.num_workers={workers}"]
    command("train.py", *choices, "trainer.max_epochs=2", "hydra.run.dir=run", "logger=[csv,wandb]")
    folder = tmp_path / "run"
    facts = json.loads((folder / "run.json").read_text())
    assert facts["status"] == Status.COMPLETE
    assert len(list((folder / "wandb").glob("offline-run-*"))) == 1
    assert not list(tmp_path.glob("outputs"))
    with (folder / "metrics.csv").open(newline="") as file:
        steps = [int(row["step"]) for row in csv.DictReader(file) if row["val/acc"]]
    assert steps == [8, 17]  # 1,079 samples, two at a time 64 of them: 9 steps an epoch

    command("train.py", "resume=run", "trainer.max_epochs=3")
    facts = json.loads((folder / "run.json").read_text())
    assert facts["status"] == Status.COMPLETE

    command("eval.py", "run=run", "stage=predict")
    (written,) = folder.glob("eval/predict-*/predictions.csv")
    with written.open(newline="") as file:
        table = list(csv.DictReader(file))
    right = sum(row["predicted"] == row["label"] for row in table)
    assert (len(table), right / len(table)) == (359, pytest.approx(facts["metrics"]["test/acc"]))


def find_mistakes(config: DictConfig) -> None:
    """Look for mistakes as it is done before anything is written."""
    check(config)
    effective_config(config, [])


@pytest.mark.slow
def test_check_finds_what_the_configuration_can_tell(configured: Compose) -> None:
    for override, words in {
        "objective.metric=val/ac": "did you mean 'val/acc'",
        "objective.metric=test/acc": "objective.metric=test/acc is not logged",
        "objective.mode=up": "write min or max",
        "objective.also=[{metric: val/los, mode: min}]": r"also\[0\].metric=val/los .* did you mean 'val/loss'",
        "objective.also=[{metric: parameters, mode: min}]": "did you mean 'model/parameters'",
        "objective.also=[{metric: val/f1, mode: min}]": "there is val/loss, val/acc, train/loss, .*model/parameters",
        "objective.also=[{metric: val/loss, mode: down}]": r"also\[0\].mode=down is not known; write min or max",
        "objective.also=[{metric: val/loss}]": "must have a metric and a mode",
        "objective.also=[val/loss]": "must have a metric and a mode",
        "objective.also=val/loss": "is not a list; write objective.also=",
        "seed=-1": "whole number",
        "+logger.mine={name: x}": "logger.mine has no _target_",
        "data=npz": "data.path has no value",
    }.items():
        with pytest.raises(UserError, match=words):
            find_mistakes(configured(override))
