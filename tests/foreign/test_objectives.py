"""Any logged number is an objective, whenever it is logged."""

import csv
from pathlib import Path

import pytest
import torch

from sweeplab.errors import SetupError
from sweeplab.records.record import read
from tests.conftest import Compose
from tests.training import run

MANY = "model._target_=tests.foreign.odd.ManyMetrics"
APART = {"twice": "+trainer.val_check_interval=0.5", "every-second": "+trainer.check_val_every_n_epoch=2", "once": ""}


def by_epoch(folder: Path, metric: str) -> list[float]:
    with (folder / "metrics.csv").open(newline="") as file:
        return [float(row[metric]) for row in csv.DictReader(file) if row[metric]]


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["both_epoch", "train_r2", "mean_of_all_steps"])
@pytest.mark.parametrize("apart", APART)
def test_the_checkpoint_is_of_the_epoch_at_which_a_metric_of_the_training_was_best(
    foreign: Compose, metric: str, apart: str
) -> None:
    mode = "max" if metric == "train_r2" else "min"
    # The rate is so high that the last epoch is not the best.
    choices = (MANY, f"objective={{metric: {metric}, mode: {mode}}}", "model.lr=0.3", "trainer.max_epochs=5")
    config = foreign("tables", *choices, *filter(None, [APART[apart]]))
    value = run(config)
    folder = Path(config.folder)
    values = by_epoch(folder, metric)
    best = (max if mode == "max" else min)(values)
    facts = read(folder)
    assert len(values) == 5
    assert value == pytest.approx(best)
    assert facts["objective"]["epoch"] == values.index(best)
    assert torch.load(folder / facts["checkpoint"], weights_only=True)["epoch"] == values.index(best)


def test_further_objectives_may_be_of_the_training(foreign: Compose) -> None:
    config = foreign(
        "tables", "objective.also=[{metric: train_loss, mode: min}]", "model.lr=0.3", "trainer.max_epochs=5"
    )
    values = run(config)
    facts = read(Path(config.folder))
    assert values == [
        facts["objective"]["value"],
        pytest.approx(by_epoch(Path(config.folder), "train_loss")[facts["objective"]["epoch"]]),
    ]


@pytest.mark.parametrize(
    "misspelt",
    ["objective.metric=val_rsme", "objective.also=[{metric: val_rsme, mode: min}]"],
    ids=["first", "further"],
)
def test_without_a_first_look_a_misspelt_objective_is_told_behind_an_epoch(foreign: Compose, misspelt: str) -> None:
    config = foreign("tables", misspelt, "trainer.num_sanity_val_steps=0")
    with pytest.raises(SetupError, match="the objective val_rsme is not logged; did you mean 'val_rmse'"):
        run(config)
    assert not (Path(config.folder) / "checkpoints" / "last.ckpt").exists()


def test_early_stopping_waits_for_a_metric_of_the_training(foreign: Compose) -> None:
    stop = ("callbacks.early_stopping.patience=2", "model.lr=0.0", "+model.dropout=0.0", "trainer.max_epochs=9")
    config = foreign("tables", "objective.metric=train_loss", *stop, APART["twice"])
    run(config)
    assert 2 <= len(by_epoch(Path(config.folder), "train_loss")) < 9
