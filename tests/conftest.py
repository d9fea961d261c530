import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from tests.wandb_server import WandbServer

ROOT = Path(__file__).resolve().parent.parent

# Training is small here: what costs time is threads that wait for each other.
os.environ["OMP_NUM_THREADS"] = "1"
# The background ignores Ctrl-C, nohup the end of a terminal, and all that is started from there would, too.
for ignored, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(ignored) is signal.SIG_IGN:
        signal.signal(ignored, default)
# No test may find a W&B account, or leave anything in the user's home.
for name in [name for name in os.environ if name.startswith("WANDB_")]:
    del os.environ[name]
os.environ["PYTHON_DOTENV_DISABLED"] = "1"  # whoever works here may have one in a file .env

SMALL = (
    "trainer=cpu",
    "trainer.max_epochs=2",
    "++callbacks.progress=null",
    "++callbacks.summary=null",
    "++callbacks.early_stopping=null",
    "++task.callbacks.samples=null",
)

Compose = Callable[..., DictConfig]
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True, scope="session")
def own_key(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Sign the runs of all tests with one key, which is nobody's."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.getbasetemp().parent / "state")


@pytest.fixture(autouse=True)
def no_trace_in_hydra() -> Iterator[None]:
    """Leave no job's configuration behind, whose overrides the next test would take for its own."""
    yield
    if "hydra" in sys.modules:
        from hydra.core.global_hydra import GlobalHydra
        from hydra.core.hydra_config import HydraConfig

        GlobalHydra.instance().clear()
        HydraConfig.instance().cfg = None


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where generated data is kept, shared by all tests."""
    return tmp_path_factory.getbasetemp().parent / "data"


@pytest.fixture
def configured(tmp_path: Path, cache: Path) -> Compose:
    """Compose the configuration as train.py does, small, writing below the test's own folder."""

    def compose_small(*overrides: str, folder: str = "run") -> DictConfig:
        from hydra import compose, initialize_config_dir

        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            return compose("train", [*SMALL, f"folder={tmp_path / folder}", f"root={cache.parent}", *overrides])

    return compose_small


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run one of the entry points as a user would, in a folder of the test's own."""

    def run(script: str, *arguments: str, check: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, str(ROOT / script), *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "COLUMNS": "200", **more},
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def wandb_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    """A W&B server that this process and its children find and have a key for; whether to use it is left to them."""
    home = tmp_path / "home"
    home.mkdir()
    with WandbServer() as server:
        for name, value in {**server.env, "HOME": str(home)}.items():
            monkeypatch.setenv(name, value)
        yield server


def equal_weights(first: Path, second: Path) -> bool:
    """Say whether two checkpoints hold the same weights, bit by bit."""
    import torch

    with warnings.catch_warnings():
        a, b = (torch.load(path, weights_only=True)["state_dict"] for path in (first, second))
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def small(*overrides: str) -> Sequence[str]:
    """The overrides that make a training of train.py small."""
    return [*SMALL, *overrides]
