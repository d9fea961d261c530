"""Two processes on the CPU that are cut together go on as if they had never been, whatever the module."""

import csv
import json
from pathlib import Path

import pytest

from tests.conftest import Command, equal_weights
from tests.foreign.conftest import CHOICES, CONF, SMALL

pytestmark = pytest.mark.slow
PATH = {"PYTHONPATH": str(CONF.parents[2])}
DDP = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", *SMALL[1:], "callbacks.last.every_n_steps=1")
STOP = "+callbacks.stop={_target_: tests.foreign.test_exactness.CtrlC, batch: %d}"
# A batch inside the second epoch; each process has half of them.
INSIDE = {"tables": 7, "template": 4, "letters": 14, "autoencoder": 11}


def logged(folder: Path) -> dict[tuple[str, str], float]:
    with (folder / "metrics.csv").open(newline="") as file:
        return {
            (row["step"], name): float(value)
            for row in csv.DictReader(file)
            for name, value in row.items()
            if value and name != "step"
        }


@pytest.mark.parametrize("name", INSIDE)
def test_two_processes_that_were_cut_go_on_with_the_next_batch(command: Command, tmp_path: Path, name: str) -> None:
    words = ["--config-dir", str(CONF), *DDP, *CHOICES[name]]
    command("train.py", *words, "hydra.run.dir=whole", **PATH)
    done = command("train.py", *words, STOP % INSIDE[name], "hydra.run.dir=cut", check=False, **PATH)
    assert done.returncode != 0
    first, second = tmp_path / "whole", tmp_path / "cut"
    assert json.loads((second / "run.json").read_text())["status"] == "interrupted", done.stderr
    command("train.py", "resume=cut", "~callbacks.stop", **PATH)
    old, new = logged(first), logged(second)
    assert {name: (old.get(name), value) for name, value in new.items() if value != old.get(name)} == {}
    assert old.keys() == new.keys()
    assert equal_weights(first / "checkpoints" / "last.ckpt", second / "checkpoints" / "last.ckpt")


def test_predictions_of_a_run_of_two_processes_are_whole(command: Command, tmp_path: Path) -> None:
    words = ["--config-dir", str(CONF), *DDP, *CHOICES["tables"], "trainer.max_epochs=1", "hydra.run.dir=run"]
    command("train.py", *words, **PATH)
    command("eval.py", "run=run", "stage=predict", **PATH)
    (table,) = (tmp_path / "run" / "eval").glob("predict-*/predictions.csv")
    with table.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 48


def test_two_processes_end_with_one_sentence_where_the_objective_is_misspelt(command: Command) -> None:
    words = ["--config-dir", str(CONF), *DDP, *CHOICES["tables"], "objective.metric=val_rsme", "hydra.run.dir=run"]
    done = command("train.py", *words, check=False, **PATH)
    assert done.returncode == 1
    assert "did you mean 'val_rmse'" in done.stderr
    assert "Traceback" not in done.stderr, done.stderr


def test_two_processes_run_the_stages_of_a_training_function(command: Command, tmp_path: Path) -> None:
    program = tmp_path / "mine.py"
    program.write_text(
        "import hydra\n"
        f"@hydra.main(version_base='1.3', config_path={str(CONF.parents[2] / 'conf')!r}, config_name='train')\n"
        "def main(config):\n"
        "    from sweeplab.training.start import start\n"
        "    from tests.foreign import trainings\n"
        "    return start(trainings.folds, config)\n"
        "main()\n"
    )
    words = ["--config-dir", str(CONF), *DDP, *CHOICES["tables"], "+data.seed=0", "hydra.run.dir=run"]
    command(str(program), *words, **PATH)
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["status"] == "complete"
    assert list(facts["stages"]) == ["fold0", "fold1", "fold2"]
