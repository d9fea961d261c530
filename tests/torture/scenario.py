"""The sweeps that are attacked."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

APP = Path(__file__).parent / "app"
STUDY = "study"


@dataclass(frozen=True)
class Scenario:
    """A sweep: its program and overrides, how many trials it must come to, and how many controllers run it.

    `grid` is the key whose values are 0, 1, ... budget - 1, each of which must be tried once; `url` is the storage,
    None for the journal in the sweep's folder; `pause` is the most seconds between two signals. With `nodes` its trials
    run on so many workers of a Dask cluster.
    """

    name: str
    budget: int
    overrides: tuple[str, ...]
    grid: str | None = None
    controllers: int = 1
    url: str | None = None
    trains: bool = False
    pause: float = 1.5
    nodes: int = 0

    def command(self) -> list[str]:
        """Return what is typed, the same each time."""
        program = ROOT / "train.py" if self.trains else Path("app/app.py")
        return [sys.executable, str(program), "-m", f"study={STUDY}", *self.overrides]

    def prepare(self, folder: Path) -> None:
        """Lay the program into an empty folder."""
        if not self.trains:
            shutil.copytree(APP, folder / "app", ignore=shutil.ignore_patterns("__pycache__"))


def _grid(budget: int) -> str:
    return f"x=range({budget})"


_DATABASE = "sqlite:///study.db"
_TPE = ("value=interval(0,1)", "hydra/sweeper/sampler=tpe")
_RATE = "optimizer.lr=tag(log,interval(1e-4,1e-1))"
_TRAINING = (
    "model=mlp",
    "data=digits",
    "trainer=cpu",
    "trainer.max_epochs=3",
    "++task.callbacks.samples=null",
    "hydra.sweeper.retries=100000",
)
# A silent node is noticed early: a machine under attack is slow, but not by seconds.
_CLUSTER = ("hydra.sweeper.n_jobs=auto", "hydra.sweeper.cluster={address: cluster/scheduler.json, lease: 6}")
SCENARIOS = (
    Scenario("a grid", 18, (_grid(18),), grid="x"),
    Scenario("random search", 15, ("value=interval(0,1)", "hydra/sweeper/sampler=random", "hydra.sweeper.n_trials=15")),
    Scenario("TPE with ASHA", 20, (*_TPE, "hydra/sweeper/pruner=asha", "hydra.sweeper.n_trials=20", "steps=8")),
    Scenario(
        "a slow sampler",
        20,
        ("value=interval(0,1)", "hydra.sweeper.sampler._target_=slow.Slow", "hydra.sweeper.n_trials=20"),
    ),
    Scenario("processes that are reused", 24, (_grid(24), "hydra.sweeper.reuse=5"), grid="x"),
    Scenario("two controllers, a grid", 24, (_grid(24),), grid="x", controllers=2),
    Scenario("two controllers, TPE", 20, (*_TPE, "hydra.sweeper.n_trials=20"), controllers=2),
    Scenario("SQLite, a grid", 18, (_grid(18), f"hydra.sweeper.storage={_DATABASE}"), grid="x", url=_DATABASE),
    Scenario("a cluster, a grid", 24, (_grid(24), *_CLUSTER), grid="x", nodes=2, pause=3.0),
    Scenario(
        "a cluster, TPE with ASHA",
        20,
        (*_TPE, *_CLUSTER, "hydra/sweeper/pruner=asha", "hydra.sweeper.n_trials=20", "steps=8"),
        nodes=2,
        pause=3.0,
    ),
    Scenario("train.py, a grid", 6, (*_TRAINING, "seed=range(6)"), grid="seed", trains=True, pause=1.0),
    Scenario(
        "train.py with ASHA",
        8,
        (
            *_TRAINING,
            "optimizer.lr=tag(log,interval(1e-4,1e-1))",
            "hydra/sweeper/pruner=asha",
            "hydra.sweeper.n_trials=8",
        ),
        trains=True,
        pause=1.0,
    ),
)
