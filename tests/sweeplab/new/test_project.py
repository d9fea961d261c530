import ast
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from sweeplab.help import help_text
from sweeplab.new import project
from sweeplab.new.files import TASKS
from sweeplab.new.project import commit, requirement, write_project
from tests.conftest import ROOT

SMALL = ("trainer=cpu", "trainer.max_epochs=1", "++trainer.limit_train_batches=2", "++trainer.limit_val_batches=2")


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path, task: str) -> Path:
    folder = tmp_path / "my-own"
    write_project(folder, TASKS[task])
    return folder


def texts(folder: Path) -> dict[str, str]:
    paths = [path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in paths}


def test_a_project_has_one_example_and_nothing_of_lab_or_of_sweeplab(folder: Path, task: str) -> None:
    files = texts(folder)
    assert not [path for path, text in files.items() if re.search(r"\blab\b|\{\{|/lab/", path + text)]
    example = (f"models/{TASKS[task].model}", f"data/{TASKS[task].data}") if task != "empty" else ()
    assert {path for path in files if path.startswith("src/")} == {
        f"src/my_own/{name}.py" for name in ("__init__", "train", "data/__init__", "models/__init__", *example)
    }
    assert {path.partition("/")[0] for path in files if "/" in path} == {
        *(".github", ".vscode", "conf", "multirun", "outputs", "src", "tests")
    }
    assert "project: my-own\n" in files["conf/logger/wandb.yaml"]
    assert [path.name for path in folder.parent.iterdir()] == ["my-own"]


@pytest.mark.parametrize("task", [task for task in TASKS if task != "empty"])
def test_the_help_of_a_project_names_only_what_is_there(folder: Path, task: str) -> None:
    about = ast.get_docstring(ast.parse((folder / "train.py").read_text())) or ""
    assert f"python train.py                                   {TASKS[task].model} on {TASKS[task].data}\n" in about
    for line in re.findall(r"^python train\.py (\S.*?)  ", about, re.MULTILINE):
        words = [word for word in shlex.split(line) if not word.startswith(("resume=", "rerun="))]
        assert help_text(about, folder / "conf", "train", words)


@pytest.mark.parametrize("task", [task for task in TASKS if task != "empty"])
def test_what_an_editor_launches_in_a_project_is_there(folder: Path) -> None:
    for launch in json.loads((folder / ".vscode" / "launch.json").read_text())["configurations"]:
        program = launch.get("program", "train.py").removeprefix("${workspaceFolder}/")
        assert (folder / program).is_file()
        if launch.get("program", "").endswith("/train.py"):
            assert help_text("", folder / "conf", "train", [word for word in launch["args"] if word != "-m"])


def test_a_project_passes_its_own_check(folder: Path) -> None:
    commands = re.findall(r"^\t\$\(BIN\)/(ruff .*)$", (folder / "Makefile").read_text(), re.M)
    assert len(commands) == 2
    for command in commands:
        done = subprocess.run([sys.executable, "-m", *command.split()], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("task", ["regression"])
def test_the_configuration_of_a_project_agrees_with_its_classes_and_a_misspelt_key_does_not(folder: Path) -> None:
    command = [sys.executable, "-m", "sweeplab.new.command"]
    environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
    before = texts(folder)
    done = subprocess.run([*command, "schema"], cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    written = {path: text for path, text in texts(folder).items() if not path.startswith((".schemas/", "src/"))}
    assert written == {path: text for path, text in before.items() if not path.startswith("src/")}
    (model,) = (folder / "conf" / "model").iterdir()
    model.write_text(model.read_text().replace("width:", "widht:"))
    done = subprocess.run([*command, "check"], cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"conf/model/{model.name}: my_own.models.{model.stem}.")
    assert line.endswith(" has no argument 'model.widht'; did you mean 'width'?")


def test_a_project_is_small(folder: Path) -> None:
    files = texts(folder)
    lines = {
        end: sum(text.count("\n") for path, text in files.items() if path.endswith(end)) for end in (".py", ".yaml")
    }
    assert lines[".py"] <= 450
    assert lines[".yaml"] <= 605


def test_a_project_says_what_it_needs(folder: Path, task: str) -> None:
    facts = tomllib.loads((folder / "pyproject.toml").read_text())
    assert facts["project"]["name"] == "my-own"
    assert facts["project"]["dependencies"] == sorted([*TASKS[task].needs, requirement()])
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["lab"]
    assert set(TASKS[task].needs) <= set(extras)


def test_a_project_is_committed_whole(folder: Path, task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, "a@example.org")
    for name, value in {"COUNT": "1", "KEY_0": "init.defaultBranch", "VALUE_0": "trunk"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    assert commit(folder, task)
    git = ["git", "-C", str(folder)]
    assert not subprocess.run([*git, "status", "--porcelain"], check=True, capture_output=True, text=True).stdout
    tracked = subprocess.run([*git, "ls-files"], check=True, capture_output=True, text=True).stdout.split()
    assert set(tracked) == set(texts(folder))
    branch = subprocess.run([*git, "branch", "--show-current"], check=True, capture_output=True, text=True).stdout
    assert f"branches: [{branch.strip()}]" in (folder / ".github" / "workflows" / "ci.yaml").read_text()


@pytest.mark.parametrize("variable", ["PATH", "GIT_CONFIG_COUNT"])
def test_a_project_without_a_commit_is_whole_where_git_is_not_there_or_not_set_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    folder = tmp_path / "my-own"
    write_project(folder, TASKS["language"])
    settings = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.useConfigOnly", "GIT_CONFIG_VALUE_0": "true"}
    for name, value in {"HOME": str(tmp_path), **(settings if variable != "PATH" else {"PATH": ""})}.items():
        monkeypatch.setenv(name, value)
    assert not commit(folder, "language")
    assert (folder / "train.py").exists()


@pytest.mark.parametrize(
    ("origin", "version", "needed"),
    [
        (None, "1.2.3", "sweeplab[report,train,wandb]>=1.2.3,<1.3"),
        (None, "0.2rc1", "sweeplab[report,train,wandb]>=0.2rc1,<0.3"),
        (None, "0.2.0+local", "sweeplab[report,train,wandb]>=0.2.0,<0.3"),
        (
            '{"url": "file:///wheels/s.whl", "archive_info": {}}',
            "1.2.3",
            "sweeplab[report,train,wandb] @ file:///wheels/s.whl",
        ),
        (
            '{"url": "https://example.org/s.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}',
            "1.2.3",
            "sweeplab[report,train,wandb] @ git+https://example.org/s.git@abc",
        ),
    ],
)
def test_a_project_needs_the_sweeplab_that_made_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, origin: str | None, version: str, needed: str
) -> None:
    class Installed(Distribution):
        def read_text(self, filename: str) -> str | None:
            return origin if filename == "direct_url.json" else f"Name: sweeplab\nVersion: {version}\n"

        def locate_file(self, path: object) -> Path:
            return tmp_path

    monkeypatch.setattr(project, "PACKED", tmp_path)
    monkeypatch.setattr(project, "distribution", lambda name: Installed())
    assert requirement() == needed


@pytest.mark.slow
@pytest.mark.parametrize("task", ["regression", "empty"])  # lab's own are the classification's
def test_the_tests_of_a_project_pass(folder: Path, task: str) -> None:
    """Its own: they train, evaluate, resume, sweep and compare."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("3 skipped" if task == "empty" else "3 passed") in done.stdout


OWN_MODEL = """\
import torch
from lightning.pytorch import LightningModule


class Own(LightningModule):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(1, width), torch.nn.Linear(width, 1))

    def training_step(self, batch, batch_idx):
        return (self.layers(batch[0]) - 3).pow(2).mean()

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.training_step(batch, batch_idx))

    def test_step(self, batch, batch_idx):
        self.log("test/loss", self.training_step(batch, batch_idx))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)
"""
OWN_DATA = """\
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, TensorDataset


class Own(LightningDataModule):
    def train_dataloader(self):
        return DataLoader(TensorDataset(torch.ones(16, 1)), batch_size=4)

    val_dataloader = test_dataloader = train_dataloader
"""


@pytest.mark.parametrize("task", ["empty"])
def test_an_empty_project_says_what_to_write(folder: Path) -> None:
    """Of the model; what it says of the data, once that is there, the next test follows."""
    command = [sys.executable, "train.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "Error: there is no model to choose yet: write conf/model/own.yaml.\n"


@pytest.mark.slow
@pytest.mark.parametrize("task", ["empty"])
def test_an_empty_project_trains_and_passes_its_tests_with_what_its_readme_asks_for(folder: Path) -> None:
    config = folder / "conf"
    for kind, text in {"models": OWN_MODEL, "data": OWN_DATA}.items():
        (folder / "src" / "my_own" / kind / "own.py").write_text(text)
        group = config / kind.removesuffix("s")
        group.mkdir()
        (group / "own.yaml").write_text(f"_target_: my_own.{kind}.own.Own\n" + "width: 8\n" * (kind == "models"))
    (config / "space").mkdir()
    (config / "space" / "own.yaml").write_text("model.width: int(interval(2, 16))\n")
    train = (config / "train.yaml").read_text()
    objective = "objective:\n  metric: ???\n  mode: ???\n"
    assert objective in train
    (config / "train.yaml").write_text(train.replace(objective, "objective:\n  metric: val/loss\n  mode: min\n"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("task", ["language"])  # which has an experiment
def test_what_make_runs_in_a_project_trains_and_sweeps(folder: Path) -> None:
    """The commands of its Makefile, made small."""
    commands = re.findall(r"^\t\$\(BIN\)/python (train\.py.*)$", (folder / "Makefile").read_text(), re.M)
    assert len(commands) == 2
    for command in commands:
        done = subprocess.run(
            [sys.executable, *command.split(), *SMALL, *(["hydra.sweeper.n_trials=2"] if " -m " in command else [])],
            cwd=folder,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(folder / "src")},
        )
        assert done.returncode == 0, done.stdout + done.stderr
