"""The engines that bench/ compares, and how each is asked for the same search.

A search is run as its users would: one command in the engine's own environment, in a folder of its own. The trials
are known from what the task wrote down itself, see peers/task.py, so no engine's own bookkeeping is trusted.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "bench" / "peers"
PACKAGES = ["torch", "lightning", "wandb", "hydra-core", "hydra-optuna-sweeper", "hydra-joblib-launcher", "optuna"]
PACKAGES += ["ray", "syne-tune"]


@dataclass(frozen=True)
class Search:
    """What every engine is asked for; `prune` is successive halving by thirds, from the first epoch on."""

    task: str
    trials: int
    slots: int = 2
    sampler: str = "random"
    prune: bool = False
    epochs: int = 1
    seed: int = 0
    lengths: str = "uniform"
    mean: float = 1.0


@dataclass
class Trial:
    """A trial as its task saw it; `end` is None where it was cut."""

    start: float
    config: dict[str, Any]
    values: list[tuple[float, float]] = field(default_factory=list)
    end: float | None = None


@dataclass
class Found:
    """What a search came to: its trials in order of their start, and the command's own beginning and end."""

    trials: list[Trial]
    begin: float
    finish: float
    error: str = ""

    @property
    def seconds(self) -> float:
        """The command's wall time."""
        return self.finish - self.begin

    def each(self, slots: int) -> float:
        """Return the wall milliseconds a trial, once each slot has had one; trials of a batch end together."""
        ends = sorted(trial.end for trial in self.trials if trial.end is not None)
        return 1000 * (ends[-1] - ends[slots - 1]) / (len(ends) - slots) if len(ends) > slots else float("nan")


@dataclass(frozen=True)
class Engine:
    """An engine: its environment's folder, and the arguments behind `python` for a search."""

    name: str
    environment: str
    arguments: Callable[[Search], list[str]]
    read: Callable[[Path], list[Trial]] = lambda folder: [_recorded(path) for path in folder.glob("records/*.jsonl")]

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return ROOT / self.environment / "bin" / "python" if self.environment else Path(sys.executable)

    @property
    def there(self) -> bool:
        """Whether the environment has been made."""
        return not self.environment or (ROOT / self.environment / "ready").exists()

    def versions(self) -> dict[str, str]:
        """Return the versions of what matters in its environment."""
        return _versions(str(self.python))

    def run(
        self,
        search: Search,
        seconds: float | None = None,
        look: Callable[[psutil.Process], None] | None = None,
        prepare: Callable[[Path], None] | None = None,
    ) -> Found:
        """Search; after so many seconds all its processes are killed.

        `look` sees the command's process five times a second, `prepare` the empty folder before.
        """
        print(f"{self.name}: {search}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            records = Path(folder, "records")
            records.mkdir()
            if prepare:
                prepare(Path(folder))
            command = [str(self.python), *self.arguments(search)]
            begin = time.time()
            with Path(folder, "output").open("w+") as output:
                process = subprocess.Popen(
                    command,
                    cwd=folder,
                    env=environment(folder),
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                cut = _attend(process, begin, seconds, look)
                finish = time.time()
                output.seek(0)
                said = output.read()[-2000:]
            trials = sorted(self.read(Path(folder)), key=lambda trial: trial.start)
        failed = not cut and (process.returncode != 0 or not trials)
        return Found(trials, begin, finish, said or f"exit code {process.returncode}" if failed else "")


def _hydra(app: str, *further: str) -> Callable[[Search], list[str]]:
    def arguments(search: Search) -> list[str]:
        chosen = {
            "task": search.task,
            "epochs": search.epochs,
            "seed": search.seed,
            "lengths": search.lengths,
            "mean": search.mean,
            "hydra/sweeper/sampler": search.sampler,
            "hydra.sweeper.sampler.seed": search.seed,
            "hydra.sweeper.n_trials": search.trials,
            "hydra.sweeper.n_jobs": search.slots,
            "hydra.sweep.dir": "study",
        }
        words = [word.format(slots=search.slots) for word in further]
        return [str(PEERS / app / "train.py"), "-m", *(f"{key}={value}" for key, value in chosen.items()), *words]

    return arguments


def _ours(search: Search) -> list[str]:
    preload = {"noop": "", "sleep": "", "cnn": "network", "wandb": "lightning_network"}
    further = [f"hydra.sweeper.preload=[{preload.get(search.task, 'lightning_network')}]"]
    if search.task == "wandb":
        further += ["+hydra.sweeper.listeners.wandb._target_=sweeplab.tracking.service.SharedService"]
    if search.prune:
        further += ["hydra/sweeper/pruner=asha", "hydra.sweeper.pruner.min_resource=1"]
        further += ["hydra.sweeper.pruner.reduction_factor=3"]
    return _hydra("ours", *further)(search)


def _train_py(search: Search) -> list[str]:
    """Ask this project's own command for its own training: as small as the task's, but recorded as all its runs are."""
    logger = "wandb" if search.task == "wandb" else "none"
    words = ["model=cnn", "data=mnist1d", "trainer=cpu", "callbacks=none", "test=false", f"logger={logger}"]
    words += [f"sweep={search.sampler}", f"seed={search.seed}", f"trainer.max_epochs={search.epochs}"]
    words += [f"hydra.sweeper.n_trials={search.trials}", f"hydra.sweeper.n_jobs={search.slots}"]
    return [str(ROOT / "train.py"), "-m", *words, "hydra.sweep.dir=study"]


def _own_records(folder: Path) -> list[Trial]:
    trials = []
    for path in folder.glob("study/*/run.json"):
        facts = json.loads(path.read_text())
        start = datetime.fromisoformat(facts["started"]).timestamp()
        end = datetime.fromisoformat(facts["ended"]).timestamp() if facts["status"] == "complete" else None
        trials.append(Trial(start, dict(facts["trial"]["params"]), end=end))
    return trials


def _script(path: str, *known: str) -> Callable[[Search], list[str]]:
    def arguments(search: Search) -> list[str]:
        words = [str(PEERS / path)]
        for name in ("task", "trials", "slots", "epochs", "seed", "mean", *known):
            words += [f"--{name}", str(getattr(search, name))]
        return words + ["--asha"] * search.prune

    return arguments


OURS, TRAIN = "sweeplab", "sweeplab train.py"
ENGINES = {
    engine.name: engine
    for engine in (
        Engine(OURS, "", _ours),
        Engine(TRAIN, "", _train_py, _own_records),
        Engine("hos-1.3 basic", ".venv-peers/hos13", _hydra("hos")),
        Engine(
            "hos-1.3 joblib",
            ".venv-peers/hos13",
            _hydra("hos", "hydra/launcher=joblib", "hydra.launcher.n_jobs={slots}"),
        ),
        Engine("hos-1.4 basic", ".venv-peers/hos14", _hydra("hos")),
        Engine(
            "hos-1.4 joblib",
            ".venv-peers/hos14",
            _hydra("hos", "hydra/launcher=joblib", "hydra.launcher.n_jobs={slots}"),
        ),
        Engine("ray tune", ".venv-peers/raytune", _script("raytune/train.py", "sampler")),
        Engine("syne tune", ".venv-peers/synetune", _script("synetune/search.py")),
        Engine("optuna loop", "", _script("optuna_loop/search.py", "sampler", "lengths")),
        Engine("bare loop", "", _script("bare/search.py")),
    )
}


def environment(folder: str) -> dict[str, str]:
    """Return the variables of a search: where the task is and what it needs, and nothing sent anywhere."""
    return os.environ | {
        "PYTHONPATH": str(PEERS),
        "BENCH_RECORDS": f"{folder}/records",
        "BENCH_DATA": str(ROOT / "data" / "mnist1d.npz"),
        "SYNETUNE_FOLDER": folder,
        "RAY_TMPDIR": folder,
        "WANDB_MODE": "offline",
        "WANDB_SILENT": "true",
        "RAY_USAGE_STATS_ENABLED": "0",
    }


def _attend(
    process: "subprocess.Popen[bytes]",
    begin: float,
    seconds: float | None,
    look: Callable[[psutil.Process], None] | None,
) -> bool:
    """Wait for a command, and look at it meanwhile; return whether it had to be cut."""
    watched = psutil.Process(process.pid)
    try:
        while process.poll() is None:
            left = 1e9 if seconds is None else begin + seconds - time.time()
            if left <= 0:
                return True
            if look:
                look(watched)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(min(left, 0.2) if look else left)
        return False
    finally:
        if process.poll() is None:
            _kill(watched)
            process.wait()


def _kill(process: psutil.Process) -> None:
    """Kill a process and all that came from it."""
    family = [process, *process.children(recursive=True)]
    for one in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(family[1:], timeout=10)


def _recorded(path: Path) -> Trial:
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    trial = Trial(lines[0]["time"], lines[0]["config"])
    for line in lines[1:]:
        if "value" in line:
            trial.values.append((line["time"], line["value"]))
        elif "end" in line:
            trial.end = line["time"]
    return trial


@cache
def _versions(python: str) -> dict[str, str]:
    program = (
        "import importlib.metadata as m, json, platform; found = {'python': platform.python_version()}\n"
        f"for name in {PACKAGES!r}:\n"
        "  try: found[name] = m.version(name)\n"
        "  except m.PackageNotFoundError: pass\n"
        "print(json.dumps(found))"
    )
    answer = subprocess.run([python, "-c", program], check=True, capture_output=True, text=True)
    found: dict[str, str] = json.loads(answer.stdout)
    return found
