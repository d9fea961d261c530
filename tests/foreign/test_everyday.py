"""What docs/lightning.md promises of Lightning's everyday options, each run on the CPU."""

import json
import logging
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.profilers import SimpleProfiler

from sweeplab.errors import UserError
from sweeplab.records.record import Status, read
from sweeplab.training.start import start
from tests.conftest import ROOT, Compose
from tests.foreign import trainings
from tests.foreign.tables import TableRegression, Tables
from tests.training import evaluate, run

SLOW = pytest.mark.slow


ROWS = re.findall(r"^\| [^|]+ \| `([^`]+)` \|", (ROOT / "docs" / "lightning.md").read_text(), re.MULTILINE)
OF_OTHERS = ("python eval.py", "objective.metric=")  # which need a run, and several loaders: below


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line in ROWS if not line.startswith(OF_OTHERS)])
def test_each_row_of_the_table_trains(configured: Compose, line: str) -> None:
    words = [word.replace("${data:class_weights}", "'${data:class_weights}'") for word in shlex.split(line)]
    config = configured(*words, "trainer.max_epochs=1")
    run(config)
    assert read(Path(config.folder))["status"] == Status.COMPLETE


def weights(folder: str | Path, name: str = "last") -> dict[str, Any]:
    content: dict[str, Any] = torch.load(Path(folder, "checkpoints", f"{name}.ckpt"), weights_only=True)["state_dict"]
    return content


@pytest.mark.parametrize("accumulated", [1, 4])
def test_accumulated_gradients_are_those_of_lightning(foreign: Compose, tmp_path: Path, accumulated: int) -> None:
    """To the last bit: what is left out around a step changes none."""
    config = foreign("tables", f"trainer.accumulate_grad_batches={accumulated}", "trainer.max_epochs=2", "test=false")
    run(config)
    seed_everything(0, workers=True, verbose=False)
    data, model = Tables(), TableRegression()
    trainer = Trainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        max_epochs=2,
        accumulate_grad_batches=accumulated,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, data)
    ours = weights(config.folder)
    assert all(torch.equal(value, ours[name]) for name, value in model.state_dict().items())


@SLOW
def test_accumulated_batches_count_as_one_larger(foreign: Compose) -> None:
    options = ("+model.dropout=0", "trainer.max_epochs=1", "test=false", "data.batch_size=36")
    whole = foreign("tables", *options, "++data.batch_size=144", folder="whole")
    parts = foreign("tables", *options, "trainer.accumulate_grad_batches=4", folder="parts")
    run(whole)
    run(parts)
    first, second = weights(whole.folder), weights(parts.folder)
    assert all(torch.allclose(value, second[name], atol=1e-6) for name, value in first.items())


@pytest.mark.parametrize(
    ("kind", "precision"), [("", "bf16-mixed"), ("tables", "bf16-mixed"), pytest.param("", "bf16-true", marks=SLOW)]
)
def test_half_precision_trains_on_the_cpu(foreign: Compose, configured: Compose, kind: str, precision: str) -> None:
    options = (f"trainer.precision={precision}", "trainer.max_epochs=1")
    samples = "++task.callbacks.samples={_target_: sweeplab.tasks.Samples, folder: '${folder}/samples'}"
    config = foreign(kind, *options) if kind else configured(*options, samples)
    run(config)
    assert read(Path(config.folder))["status"] == Status.COMPLETE
    kinds = {value.dtype for value in weights(config.folder).values()}
    assert kinds == {torch.float32 if precision == "bf16-mixed" else torch.bfloat16}


@SLOW
def test_overfitting_a_few_batches_sees_the_same_ones(foreign: Compose) -> None:
    config = foreign(
        "tables",
        "debug=overfit",
        "trainer.overfit_batches=1",
        "trainer.max_epochs=150",
        "+model.dropout=0",
        "model.hidden=64",
        "model.lr=0.03",
        "test=false",
    )
    with pytest.warns(match="You requested to overfit but enabled train dataloader shuffling"):
        run(config)
    assert read(Path(config.folder))["metrics"]["train_loss"] < 1e-3


@pytest.mark.parametrize(
    "profiler",
    ["simple", pytest.param("advanced", marks=pytest.mark.slow), pytest.param("pytorch", marks=pytest.mark.slow)],
)
@pytest.mark.filterwarnings("ignore:The PyTorch Profiler default schedule")  # Lightning, of short trainings
@pytest.mark.filterwarnings("ignore:Warning. Profiler clears events")  # torch, of its own cycles
def test_a_profile_lies_in_the_folder_of_the_run(
    foreign: Compose, caplog: pytest.LogCaptureFixture, profiler: str
) -> None:
    config = foreign("tables", f"trainer.profiler={profiler}", "trainer.max_epochs=1")
    with caplog.at_level(logging.INFO, "sweeplab"):
        run(config)
    assert f"The profile is written to {config.folder}/fit-profile.txt" in caplog.text
    assert "FIT Profiler Report" in Path(config.folder, "fit-profile.txt").read_text()
    assert Path(config.folder, "test-profile.txt").is_file()
    assert "Profiler Report" not in caplog.text


def test_each_stage_has_a_profile_of_its_own(foreign: Compose) -> None:
    config = foreign("tables", "trainer.profiler=simple", "trainer.max_epochs=1")
    start(trainings.two_stages, config)
    profiles = sorted(Path(config.folder).glob("*profile*"))
    assert [path.name for path in profiles] == ["fit-profile-head.txt", "fit-profile-pretrain.txt"]
    assert [path.read_text().count("FIT Profiler Report") for path in profiles] == [1, 1]


def test_a_profiler_with_a_place_of_its_own_keeps_it(foreign: Compose, tmp_path: Path) -> None:
    kind = f"{SimpleProfiler.__module__}.SimpleProfiler"
    config = foreign("tables", f"trainer.profiler={{_target_: {kind}, dirpath: {tmp_path}/there, filename: mine}}")
    run(config)
    assert (tmp_path / "there" / "fit-mine.txt").is_file()


@pytest.mark.parametrize("metric", ["reconstruction", "reconstruction/dataloader_idx_2"])
def test_a_name_without_its_loader_is_refused_before_training(foreign: Compose, metric: str) -> None:
    with pytest.raises(UserError, match=rf"the objective {metric} is not logged; did you mean 'reconstruction/datal"):
        run(foreign("autoencoder", f"objective.metric={metric}"))
    assert not (Path(foreign("autoencoder").folder) / "checkpoints").exists()


class TwoParts(Tables):
    """Validates on two parts, by names."""

    def val_dataloader(self) -> Any:
        return {"near": super().val_dataloader(), "far": super().test_dataloader()}


def test_a_module_that_takes_one_loader_is_told_of_a_second(foreign: Compose) -> None:
    with pytest.raises(
        UserError, match=r"^the data has more than one val_dataloader, and TableRegression\.validation_"
    ):
        run(foreign("tables", f"data._target_={__name__}.TwoParts"))


@pytest.mark.parametrize("number", [0, 1])
def test_the_objective_may_be_of_any_validation_loader(foreign: Compose, number: int) -> None:
    config = foreign("autoencoder", f"objective.metric=reconstruction/dataloader_idx_{number}")
    value = run(config)
    assert json.loads(evaluate(Path(config.folder), "validate").read_text())[config.objective.metric] == value


def test_a_run_that_was_not_tested_is_tested_by_itself(foreign: Compose) -> None:
    config = foreign("tables", "trainer.max_epochs=1", "test=false")
    run(config)
    assert read(Path(config.folder))["test"] == []
    assert set(json.loads(evaluate(Path(config.folder), "test").read_text())) == {"test_rmse"}
