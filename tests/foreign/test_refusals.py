"""What cannot be is told before it costs anything, with what to write instead."""

from pathlib import Path

import pytest
from hydra.errors import HydraException
from torch import Tensor

from sweeplab.errors import SetupError
from sweeplab.hydra_errors import sentence
from sweeplab.records.record import read
from sweeplab.training.effective_config import effective_config
from tests.conftest import Compose
from tests.foreign.tables import TableRegression
from tests.training import run


class EpochEnd(TableRegression):
    """Logs a number of the training when an epoch ends."""

    def on_train_epoch_end(self) -> None:
        self.log("weights", sum(weight.norm() for weight in self.parameters()))


class WithLoss(TableRegression):
    """Logs a loss of the validation, and cannot take a single training step."""

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        raise AssertionError("the objective is looked for before the first step")

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self.log("val_loss", self(batch).sum())


@pytest.mark.parametrize(
    ("name", "override", "words"),
    [
        ("tables", "optimizer.lr=5", r"'optimizer\.lr=5' sets nothing: .*TableRegression.* did you mean 'model\.lr'"),
        ("template", "optimizer.lr=5", r"did you mean 'model\.optimizer\.lr'"),
        ("tables", "task.label_smoothing=0.3", r"'task\.label_smoothing=0\.3' sets nothing"),
        ("tables", "task=regression", "'task=regression' sets nothing"),
        ("tables", "optimizer=sgd", "'optimizer=sgd' sets nothing"),
        ("template", "scheduler=cosine", "'scheduler=cosine' sets nothing"),
    ],
)
def test_a_key_that_nothing_reads_is_refused(foreign: Compose, name: str, override: str, words: str) -> None:
    with pytest.raises(SetupError, match=words):
        effective_config(foreign(name, override), [override])


def test_a_misspelt_argument_is_answered_with_those_of_the_module(foreign: Compose) -> None:
    with pytest.raises(HydraException) as error:
        foreign("tables", "model.hiden=3")
    takes = "tests.foreign.tables.TableRegression takes width, hidden, dropout, lr"
    assert sentence(error.value) == f"there is no key 'model.hiden'; did you mean 'model.hidden'? ({takes})"


def test_a_run_keeps_no_group_that_nothing_read(foreign: Compose) -> None:
    config = effective_config(foreign("tables"), [])
    assert not {"task", "optimizer", "scheduler"} & set(config)


def test_a_group_that_the_model_refers_to_is_read(foreign: Compose) -> None:
    overrides = ["model.optimizer=${optimizer}", "optimizer=sgd", "optimizer.lr=0.05"]
    config = effective_config(foreign("template", *overrides), overrides)
    assert config.model.optimizer._target_ == "torch.optim.SGD"
    assert "scheduler" not in config


def test_a_misspelt_objective_is_told_before_the_first_step(foreign: Compose) -> None:
    mine = "model._target_=tests.foreign.test_refusals.WithLoss"
    with pytest.raises(SetupError, match="the objective val_los is not logged; did you mean 'val_loss'"):
        run(foreign("tables", mine, "objective.metric=val_los"))


def test_an_objective_of_another_task_is_told_with_what_is_logged(foreign: Compose) -> None:
    with pytest.raises(SetupError, match="val/acc is not logged; choose from model/parameters, train_loss, val_rmse"):
        run(foreign("tables", "objective.metric=val/acc"))


@pytest.mark.parametrize(
    ("kind", "metric"), [("tables.TableRegression", "train_loss"), ("test_refusals.EpochEnd", "weights")]
)
def test_any_logged_number_is_an_objective(foreign: Compose, kind: str, metric: str) -> None:
    config = foreign("tables", f"model._target_=tests.foreign.{kind}", f"objective.metric={metric}")
    value = run(config)
    facts = read(Path(config.folder))
    assert facts["objective"]["value"] == value
    assert value == pytest.approx(min(facts["best"][metric], facts["metrics"][metric]))
    assert (Path(config.folder) / facts["checkpoint"]).is_file()


def test_what_the_data_does_not_have_is_named(foreign: Compose) -> None:
    with pytest.raises(SetupError, match=r"model\.hidden=\$\{data:widht\}: Tables has no attribute 'widht'.* 'width'"):
        run(foreign("tables", "model.hidden=${data:widht}"))


def test_a_test_that_cannot_be_is_refused_before_the_training(foreign: Compose) -> None:
    with pytest.raises(SetupError, match="Gan has no test_step, so there is nothing to test; write test=false"):
        run(foreign("gan", "test=true"))


def test_a_model_that_cannot_be_imported_is_named(foreign: Compose) -> None:
    with pytest.raises(SetupError, match=r"model\._target_=tests\.foreign\.tables\.TableRegresion does not exist"):
        run(foreign("tables", "model._target_=tests.foreign.tables.TableRegresion"))
