"""Two processes train one foreign module on the CPU."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.foreign.conftest import CHOICES, CONF, SMALL

pytestmark = pytest.mark.slow
DDP = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", *SMALL[1:])
PATH = {"PYTHONPATH": str(CONF.parents[2])}


def seen(folder: Path) -> list[list[float]]:
    """What each process was trained on in the first epoch."""
    files = sorted(folder.glob("seen-*.jsonl"))
    return [[value for line in file.read_text().splitlines() for value in json.loads(line)] for file in files]


@pytest.mark.parametrize(("name", "samples"), [("tables", 144), ("autoencoder", 256)])
def test_each_sample_is_seen_once_an_epoch(command: Command, tmp_path: Path, name: str, samples: int) -> None:
    look = ["+callbacks.seen._target_=tests.foreign.observers.Seen", "+callbacks.seen.folder=${folder}"]
    words = ["--config-dir", str(CONF), *DDP, *CHOICES[name], *look, "hydra.run.dir=run", "trainer.max_epochs=1"]
    command("train.py", *words, **PATH)
    first, second = seen(tmp_path / "run")
    assert len(first) == len(second) == samples // 2
    if name == "tables":  # whose values tell samples apart
        assert max(Counter([*first, *second]).values()) == 1


@pytest.mark.parametrize("name", ["tables", "template", "gan", "letters"])
def test_two_processes_train_resume_test_and_are_evaluated(command: Command, tmp_path: Path, name: str) -> None:
    # Each of a GAN's losses leaves the weights of the other network alone.
    unused = ["trainer.strategy=ddp_find_unused_parameters_true"] if name == "gan" else []
    words = ["--config-dir", str(CONF), *DDP, *CHOICES[name], *unused, "hydra.run.dir=run"]
    command("train.py", *words, **PATH)
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["status"] == "complete"
    resumed = command("train.py", "resume=run", "trainer.max_epochs=5", check=name != "letters", **PATH)
    if name == "letters":  # its schedule has an end
        assert "OneCycleLR was set up for" in resumed.stderr
    else:
        assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "complete"
    command("eval.py", "run=run", "stage=validate", **PATH)
    (written,) = (tmp_path / "run" / "eval").glob("validate-*/metrics.json")
    assert facts["objective"]["metric"] in json.loads(written.read_text())
