import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from sweeplab.errors import UserError
from sweeplab.extras import EXTRA_OF, missing_extra
from sweeplab.hydra_errors import sentence
from sweeplab.records import record
from sweeplab.records.config import save
from sweeplab.records.links import resolved
from sweeplab.tracking.service import SharedService
from sweeplab.tracking.sweep_service import SweepService
from tests.conftest import ROOT, Compose
from tests.sweeplab.tracking.infos import came_to, info_of

HIDDEN = """
import runpy, sys
script, module, *arguments = sys.argv[1:]
sys.modules[module] = None
sys.argv = [script, *arguments]
runpy.run_path(script, run_name="__main__")
"""
TRAIN = "lightning is not installed; run: pip install 'sweeplab[train]'"


def test_each_extra_that_is_named_is_one_of_the_package_and_brings_the_module() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    distribution = {
        "PIL": "pillow",
        "dask": "distributed",
        "dask_jobqueue": "dask-jobqueue",
        "dotenv": "python-dotenv",
        "grpc": "grpcio",
        "optuna_dashboard": "optuna-dashboard",
        "wandb_workspaces": "wandb-workspaces",
    }
    for module, extra in EXTRA_OF.items():
        assert distribution.get(module, module) in {re.split(r"[\[<>=]", line)[0] for line in extras[extra]}
    assert extras["all"] == [f"sweeplab[{','.join(sorted(extras.keys() - {'all'}))}]"]


def test_a_module_that_an_extra_brings_is_named_with_the_command() -> None:
    error = ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")
    assert missing_extra(error) == sentence(error) == "torch is not installed; run: pip install 'sweeplab[train]'"
    assert missing_extra(ModuleNotFoundError("No module named 'mine'", name="mine")) is None
    assert missing_extra(ModuleNotFoundError("no name")) is None
    assert missing_extra(ValueError("torch")) is None


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("from sweeplab import Objective", ""),
        ("from sweeplab import Run", f"ModuleNotFoundError: sweeplab.Run: {TRAIN}\n"),
        (
            "from sweeplab.build import build; build({'_target_': 'sweeplab.callbacks.Pruning'}, 'pruning')",
            "sweeplab.errors.UserError: pruning._target_=sweeplab.callbacks.Pruning cannot be imported: "
            + TRAIN
            + ".\n",
        ),
    ],
)
def test_a_name_that_needs_an_extra_says_so(code: str, answer: str) -> None:
    hidden = "import sys; sys.modules['lightning'] = None; "
    done = subprocess.run([sys.executable, "-c", hidden + code], capture_output=True, text=True)
    assert done.stderr.endswith(answer)
    assert bool(done.stderr) == bool(answer)


def hiding(module: str, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run train.py where a module is not installed."""
    command = [sys.executable, "-c", HIDDEN, str(ROOT / "train.py"), module, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


@pytest.mark.parametrize("arguments", [("hydra.run.dir=run",), ("-m", "sweep=random", "hydra.sweeper.n_trials=1")])
@pytest.mark.parametrize(
    ("module", "choice", "extra"),
    [
        ("lightning", "logger=csv", "train"),
        ("wandb", "logger=wandb", "wandb"),
        ("tensorboard", "logger=tensorboard", "tensorboard"),
    ],
)
def test_a_command_that_needs_an_extra_says_so_and_leaves_nothing(
    tmp_path: Path, module: str, choice: str, extra: str, arguments: tuple[str, ...]
) -> None:
    done = hiding(module, tmp_path, *arguments, choice)
    assert done.stderr == f"Error: {module} is not installed; run: pip install 'sweeplab[{extra}]'\n"
    assert done.returncode == 1
    assert not list(tmp_path.glob("**/*.json"))
    assert not (tmp_path / "multirun").exists()


def test_a_module_that_another_one_needs_is_named_too(tmp_path: Path) -> None:
    done = hiding("torchmetrics", tmp_path, "hydra.run.dir=run")
    assert done.stderr == "Error: torchmetrics is not installed; run: pip install 'sweeplab[train]'\n"
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_run_is_not_trained_again_without_the_extra(configured: Compose, tmp_path: Path) -> None:
    config = configured("model=mlp")
    begun = record.begin(Path(config.folder), [], 0)
    save(OmegaConf.create(resolved(config)), begun.folder)
    done = hiding("lightning", tmp_path, f"rerun={begun.folder}", "hydra.run.dir=again")
    assert done.stderr == f"Error: {TRAIN}\n"
    assert not (tmp_path / "again").exists()


def test_a_listener_that_lends_w_and_b_s_service_needs_w_and_b(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match=r"^wandb is not installed; run: pip install 'sweeplab\[wandb\]'$"):
        SharedService()
    info = info_of("x=interval(0,1)", "hydra.sweeper.n_trials=1")
    monkeypatch.setattr("sweeplab.tracking.sweep_service.logger_of", lambda sweep: {})
    with pytest.raises(UserError, match="wandb is not installed"):
        SweepService().sweep_started(info, came_to([], []), True)
