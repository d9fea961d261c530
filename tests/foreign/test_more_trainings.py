"""What else a training function may do, and what its checkpoints hold then."""

import csv
import json
import shutil
from pathlib import Path

import pytest

import sweeplab
from sweeplab.errors import UserError
from sweeplab.records.record import Status, read
from sweeplab.training.start import resume, start
from tests.conftest import Compose
from tests.foreign import trainings
from tests.training import run

pytestmark = pytest.mark.slow

LAST = Path("checkpoints", "last.ckpt")


@pytest.fixture
def trained(foreign: Compose) -> Path:
    config = foreign("tables", "trainer.max_epochs=1", folder="trained")
    run(config)
    return Path(config.folder)


def test_every_stage_of_a_resumed_run_begins_with_the_weights_it_was_given(foreign: Compose, trained: Path) -> None:
    # A training that leaves its weights as they were.
    still = ("model.lr=0.0", "+data.seed=0", "trainer.max_epochs=1")
    config = foreign("tables", f"init_from={trained}", *still)
    start(trainings.folds, config)
    folder = Path(config.folder)
    cut_behind_the_first_fold(folder)
    resume(trainings.folds, folder)
    values = [done["objective"] for done in read(folder)["stages"].values()]
    assert values == pytest.approx([read(trained)["objective"]["value"]] * 3)


def cut_behind_the_first_fold(folder: Path) -> None:
    facts = read(folder)
    facts |= {"status": Status.INTERRUPTED, "stages": {"fold0": facts["stages"]["fold0"]}}
    (folder / "run.json").write_text(json.dumps(facts))
    for name in ("fold1", "fold2"):
        shutil.rmtree(folder / "checkpoints" / name)


def test_a_checkpoint_that_is_validated_first_leaves_the_metrics_of_the_training_empty(foreign: Compose) -> None:
    many = "model._target_=tests.foreign.odd.ManyMetrics"  # some of which Lightning would leave fit for inference alone
    choices = (many, "+trainer.inference_mode=false", "trainer.max_epochs=1", "trainer.log_every_n_steps=1")
    before = foreign("tables", *choices, folder="before")
    run(before)
    config = foreign("tables", *choices, f"+before={Path(before.folder) / LAST}", "test=false")
    start(trainings.look_first, config)
    with (Path(config.folder) / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    steps = [float(row["both_step"]) for row in rows if row["both_step"]]
    assert len(steps) == 9
    (mean,) = [float(row["mean_of_all_steps"]) for row in rows if row["mean_of_all_steps"]]
    assert mean == pytest.approx(sum(steps) / 9)


def test_a_network_that_no_configuration_describes_is_trained_and_tested(foreign: Compose) -> None:
    config = foreign("template")
    start(trainings.own_network, config)
    facts = read(Path(config.folder))
    assert facts["status"] == Status.COMPLETE
    assert "test/acc" in facts["metrics"]
    with pytest.raises(UserError, match=r"the weights in .* are not those of"):  # the configuration has another one
        sweeplab.load_model(Path(config.folder))
