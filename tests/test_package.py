"""The package by itself: what its wheel has, and what it does in an environment that has nothing but the wheel."""

import csv
import json
import os
import re
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow

APP = """
import hydra
from sweeplab import current


@hydra.main(version_base="1.3", config_path=None)
def app(config):
    current().report(config.x, 1)
    return config.x


if __name__ == "__main__":
    app()
"""

TRAINING = """
import hydra
import torch
from lightning.pytorch import LightningModule, Trainer
from sweeplab import current
from sweeplab.callbacks import Pruning
from sweeplab.sweep.trial import TrialPruned


class Line(LightningModule):
    def __init__(self, lr):
        super().__init__()
        self.slope, self.lr = torch.nn.Parameter(torch.zeros(1)), lr

    def training_step(self, batch, batch_idx):
        (x,) = batch
        return ((self.slope * x - 3 * x) ** 2).mean()

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.training_step(batch, batch_idx))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)


@hydra.main(version_base="1.3", config_path=None)
def app(config):
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(8, 1)), batch_size=4)
    pruning = Pruning("val_loss")
    trainer = Trainer(max_epochs=6, accelerator="cpu", logger=False,
                      enable_progress_bar=False, enable_model_summary=False, callbacks=[pruning])
    trainer.fit(Line(config.lr), data, data)
    if pruning.pruned:
        raise TrialPruned
    return trainer.callback_metrics["val_loss"].item()


if __name__ == "__main__":
    app()
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def environment(folder: Path, wheel: Path, extras: str = "") -> str:
    """Make an environment with the wheel, some of its extras and their dependencies; return its Python."""
    run(sys.executable, "-m", "venv", folder)
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run(*pip, "-c", ROOT / "constraints.txt", f"sweeplab{extras} @ {wheel.as_uri()}")
    return python


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> str:
    """The Python of an environment that has no extras."""
    return environment(tmp_path_factory.mktemp("core"), wheel)


@pytest.fixture(scope="module")
def python_that_trains(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> str:
    """The Python of an environment that has the extra `train`."""
    return environment(tmp_path_factory.mktemp("train"), wheel, "[train]")


def run(*command: str | Path, cwd: Path | None = None) -> str:
    hidden = {"PYTHONPATH": "", "PIP_CONSTRAINT": ""}  # what this environment would lend the other one
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env={**os.environ, **hidden})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def installed(python: str) -> set[str]:
    lines = run(python, "-m", "pip", "--disable-pip-version-check", "freeze").splitlines()
    return {line.partition("==")[0].partition(" @")[0].lower() for line in lines}


def test_the_wheel_has_neither_lab_nor_what_it_takes(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
        (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        needs = [line for line in archive.read(metadata).decode().splitlines() if line.startswith("Requires-Dist")]
    assert {top for top in tops if not top.endswith(".dist-info")} == {"sweeplab", "hydra_plugins"}
    assert not [need for need in needs if "mnist1d" in need or "scikit" in need]


def test_the_wheel_alone_sweeps_any_hydra_app(tmp_path: Path, python: str) -> None:
    assert not installed(python) & {"torch", "lightning", "wandb", "scikit-learn", "scipy", "pandas", "plotly"}
    (tmp_path / "app.py").write_text(APP)
    sweep = [python, "app.py", "-m", "hydra/sweeper=sweeplab", "+x=interval(0,1)", "hydra.sweep.dir=multirun/mine"]
    assert "2 complete" in run(*sweep, "hydra.sweeper.n_trials=2", cwd=tmp_path)
    assert "3 complete" in run(*sweep, "hydra.sweeper.n_trials=3", cwd=tmp_path)
    assert states(tmp_path / "multirun" / "mine") == {"complete": 3}


@pytest.mark.parametrize("name", ["Run", "load_model"])
def test_a_name_whose_extra_is_absent_says_how_to_install_it(python: str, name: str) -> None:
    done = subprocess.run([python, "-c", f"from sweeplab import {name}"], capture_output=True, text=True)
    assert re.search(rf"sweeplab\.{name}: \w+ is not installed; run: pip install 'sweeplab\[train\]'$", done.stderr)


def test_a_sampler_that_needs_more_says_so_before_the_sweep(tmp_path: Path, python: str) -> None:
    (tmp_path / "app.py").write_text(APP)
    sweep = [python, "app.py", "-m", "hydra/sweeper=sweeplab", "+x=interval(0,1)", "hydra.sweeper.n_trials=2"]
    done = subprocess.run([*sweep, "hydra/sweeper/sampler=gp"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode
    assert done.stderr.strip().endswith("GPSampler needs more than is installed; run: pip install scipy torch")


def test_with_the_extra_train_a_sweep_prunes_trainings_of_any_lightning_module(
    tmp_path: Path, python_that_trains: str
) -> None:
    python = python_that_trains
    assert not installed(python) & {"wandb", "scikit-learn", "pandas", "plotly"}
    (tmp_path / "app.py").write_text(TRAINING)
    run(
        *(python, "app.py", "-m", "hydra/sweeper=sweeplab", "hydra/sweeper/pruner=asha", "+lr=0.1,0.05,1e-3,1e-4"),
        *("hydra.sweeper.n_jobs=1", "hydra.sweeper.pruner.min_resource=1", "hydra.sweep.dir=multirun/mine"),
        cwd=tmp_path,
    )
    assert states(tmp_path / "multirun" / "mine")["pruned"] >= 1


def test_the_wheel_makes_a_project_that_trains_and_sweeps(tmp_path: Path, wheel: Path, python_that_trains: str) -> None:
    said = run(Path(python_that_trains).with_name("sweeplab"), "new", "my-own", "task=language", cwd=tmp_path)
    assert f"It needs sweeplab[report,train,wandb] @ {wheel.as_uri()}" in said
    folder = tmp_path / "my-own"
    train = ["env", f"PYTHONPATH={folder / 'src'}", python_that_trains, "train.py"]
    small = ["trainer=cpu", "trainer.max_epochs=1", "data.characters=8000", "data.batch_size=8", "model.width=16"]
    run(*train, *small, "hydra.run.dir=run", "experiment=letters", "callbacks.text.count=50", cwd=folder)
    assert json.loads((folder / "run" / "run.json").read_text())["status"] == "complete"
    said = run(*train, "-m", *small, "sweep=tpe", "hydra.sweeper.n_trials=2", "study=two", cwd=folder)
    assert states(folder / "multirun" / "two") == {"complete": 2}
    assert "no report.html: a report needs plotly; run: pip install 'sweeplab[report]'" in said


def test_an_update_of_sweeplab_leaves_a_project_as_its_user_changed_it(tmp_path: Path, wheel: Path) -> None:
    """As docs/own-project.md has it: install anew, then see what a new project would have."""
    packages, folder = tmp_path / "packages", tmp_path / "mylab"
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade")
    install: tuple[str | Path, ...] = (*pip, "--target", packages, wheel)
    paths = f"PYTHONPATH={packages}{os.pathsep}{folder / 'src'}"
    new = ["env", paths, sys.executable, "-m", "sweeplab.new.command", "new"]
    run(*install)
    run(*new, "mylab", cwd=tmp_path)
    config = folder / "conf" / "train.yaml"
    config.write_text(config.read_text().replace("\nseed: 0\n", "\nseed: 7\n"))
    run(*install)
    assert "\nseed: 7\n" in run("env", paths, sys.executable, "train.py", "--help", cwd=folder)
    (tmp_path / "newer").mkdir()
    run(*new, "newer/mylab", cwd=tmp_path)
    diff = subprocess.run(
        [
            "diff",
            "--recursive",
            "--brief",
            "--exclude=.git",
            "--exclude=__pycache__",
            folder,
            tmp_path / "newer" / "mylab",
        ],
        capture_output=True,
        text=True,
    )
    assert len(diff.stdout.splitlines()) == 1
    assert "conf/train.yaml" in diff.stdout


def states(study: Path) -> Counter[str]:
    """How many trials of a study ended in each way."""
    with (study / "trials.csv").open() as file:
        return Counter(row["status"] for row in csv.DictReader(file))
