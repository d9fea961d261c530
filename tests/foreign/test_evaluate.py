"""Foreign runs, looked at again from their folders alone."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sweeplab
from sweeplab.errors import UserError
from sweeplab.records.record import read
from sweeplab.records.rerun import Rerun
from sweeplab.records.run import Run
from sweeplab.training.start import start
from tests.conftest import ROOT, Compose
from tests.foreign.conftest import CHOICES
from tests.foreign.letters import LetterModel
from tests.training import evaluate, run


@pytest.fixture
def trained(foreign: Compose, request: pytest.FixtureRequest) -> Path:
    config = foreign(request.param)
    run(config)
    return Path(config.folder)


def every_module(**kinds: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("trained", [name for name in CHOICES if name not in kinds.values()], indirect=True)


@every_module()
def test_a_checkpoint_is_plain_data_and_all_that_a_model_needs(trained: Path) -> None:
    content = torch.load(trained / "checkpoints" / "best.ckpt", weights_only=True)
    model = sweeplab.load_model(trained / "checkpoints" / "best.ckpt")
    assert all(torch.equal(content["state_dict"][name], value) for name, value in model.state_dict().items())
    assert not model.training
    loaded = sweeplab.load(trained)
    assert isinstance(loaded, Run)
    assert type(loaded.model) is type(model)
    assert loaded.facts["module"] == f"{type(model).__module__}.{type(model).__qualname__}"


@every_module(but="silent")
def test_validation_gives_the_objective(trained: Path) -> None:
    facts = read(trained)
    found = json.loads(evaluate(trained, "validate").read_text())
    if facts["objective"]["metric"] != "off_the_ring":  # which is drawn anew each time
        assert found[facts["objective"]["metric"]] == pytest.approx(facts["objective"]["value"], rel=1e-5)
    assert found.keys() <= facts["best"].keys()


@pytest.mark.parametrize("trained", ["tables", "letters", "template"], indirect=True)
def test_the_test_gives_the_numbers_that_training_gave(trained: Path) -> None:
    facts = read(trained)
    found = json.loads(evaluate(trained, "test").read_text())
    assert facts["test"] == sorted(found)
    assert found == {name: pytest.approx(facts["metrics"][name], rel=1e-6) for name in facts["test"]}


@pytest.mark.parametrize("trained", ["silent"], indirect=True)
def test_a_validation_that_logs_nothing_has_no_numbers(trained: Path) -> None:
    assert json.loads(evaluate(trained, "validate").read_text()) == {}


@pytest.mark.parametrize("trained", ["tables"], indirect=True)
def test_one_number_a_sample_is_a_column(trained: Path) -> None:
    with evaluate(trained, "predict").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["sample", "value"]
    assert len(rows) == 48
    assert [int(row["sample"]) for row in rows] == list(range(48))


@pytest.mark.parametrize("trained", ["letters"], indirect=True)
def test_a_named_row_of_numbers_a_sample_is_as_many_columns(trained: Path) -> None:
    with evaluate(trained, "predict").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:3] == ["sample", "next_0", "next_1"]
    assert float(rows[0]["surprise"]) > 0


@pytest.mark.parametrize("trained", ["autoencoder"], indirect=True)
def test_the_outputs_of_several_loaders_stand_apart(trained: Path) -> None:
    written = evaluate(trained, "predict")
    arrays = np.load(written)
    assert {name: arrays[name].shape for name in arrays} == {"value": (32, 3), "value_1": (16, 3)}


@pytest.mark.parametrize(
    ("trained", "stage", "missing"),
    [("gan", "test", "Gan has no test_step"), ("gan", "predict", "Ring has no predict_dataloader")],
    indirect=["trained"],
)
def test_a_stage_that_cannot_be_is_refused(trained: Path, stage: str, missing: str) -> None:
    with pytest.raises(UserError, match=f"^{missing}; choose another stage than {stage}\\.$"):
        evaluate(trained, stage)
    assert not (trained / "eval").exists()


@pytest.mark.slow
@every_module()
def test_a_run_trained_again_has_the_same_numbers(trained: Path, tmp_path: Path) -> None:
    again = Rerun.of(trained, [f"hydra.run.dir={tmp_path / 'again'}", "hydra/job_logging=none"], ROOT / "conf", "train")
    again.start(lambda config: start(_train(), config, again.origin))
    old, new = read(trained), read(tmp_path / "again")
    assert (old["objective"], old["metrics"]) == (new["objective"], new["metrics"])


def _train() -> Any:
    from lab.train import train

    return train


@pytest.mark.parametrize("trained", ["letters"], indirect=True)
def test_what_the_data_knew_stands_in_the_configuration(trained: Path) -> None:
    assert "${" not in (trained / "config.yaml").read_text()
    model = sweeplab.load_model(trained)
    assert isinstance(model, LetterModel)
    assert read(trained)["links"] == {"model.vocabulary_size": "vocabulary_size"}
