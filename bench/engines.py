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
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

import psutil
from search import Found, Search, Trial, task_records

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "bench" / "peers"
PACKAGES = ["torch", "lightning", "wandb", "hydra-core", "hydra-optuna-sweeper", "hydra-joblib-launcher", "optuna"]
PACKAGES += ["ray", "syne-tune"]
LIMIT = 600.0  # seconds; a search that takes longer hangs


@dataclass(frozen=True)
class Engine:
    """An engine: its environment's folder, and the arguments behind `python` for a search."""

    name: str
    environment: str
    arguments: Callable[[Search], list[str]]
    read: Callable[[Path], list[Trial]] = task_records

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
        asked: int | None = None,
    ) -> Found:
        """Search; after so many seconds all its processes are killed.

        Without `seconds` it is an error if fewer trials end than `asked`, which are those of the search if it is not
        said. `look` sees the command's process five times a second, `prepare` the empty folder before.
        """
        print(f"{self.name}: {search}", file=sys.stderr, flush=True)
        make_data()
        # What a peer may leave behind can still write there.
        with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
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
                try:
                    _attend(process, begin + (seconds or LIMIT), look)
                    finish = time.time()
                finally:
                    code = process.poll()
                    _kill_all(process, folder)
                output.seek(0)
                said = output.read()[-2000:]
            trials = sorted(self.read(Path(folder)), key=lambda trial: trial.start)
        wrong = next((trial.error for trial in trials if trial.error), "")
        if seconds is None:
            wrong = wrong or _wrong(code, said, trials, asked or search.trials)
        elif code:
            wrong = wrong or said or f"exit code {code}"
        return Found(trials, begin, finish, wrong)


def _wrong(code: int | None, said: str, trials: list[Trial], asked: int) -> str:
    """Say what is wrong with a search that had all the time it needs."""
    if code is None:
        return f"took more than {LIMIT:.0f} s"
    if code:
        return said or f"exit code {code}"
    ended = sum(trial.end is not None for trial in trials)
    return f"{ended} of {asked} trials ended" if ended < asked else ""


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
    preload = {"noop": "", "sleep": "", "cnn": "network,torch._dynamo", "wandb": "lightning_network"}
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
    words += [f"data.cache={ROOT / 'data'}", "model.channels=8", "model.depth=1"]  # as small as the task's network
    words += [f"sweep={search.sampler}", f"seed={search.seed}", f"trainer.max_epochs={search.epochs}"]
    words += [f"hydra.sweeper.n_trials={search.trials}", f"hydra.sweeper.n_jobs={search.slots}"]
    return [str(ROOT / "train.py"), "-m", *words, "hydra.sweep.dir=study"]


def _own_records(folder: Path) -> list[Trial]:
    trials = []
    for path in folder.glob("study/*/run.json"):
        facts = json.loads(path.read_text())
        start = datetime.fromisoformat(facts["started"]).timestamp()
        end = datetime.fromisoformat(facts["ended"]).timestamp() if facts["status"] == "complete" else None
        error = str(facts.get("error", ""))
        trials.append(Trial(start, dict(facts["trial"]["params"]), facts["process"]["pid"], end=end, error=error))
    return trials


def _script(path: str, *known: str) -> Callable[[Search], list[str]]:
    def arguments(search: Search) -> list[str]:
        words = [str(PEERS / path)]
        for name in ("task", "trials", "slots", "epochs", "seed", "mean", *known):
            words += [f"--{name}", str(getattr(search, name))]
        return words + ["--asha"] * search.prune

    return arguments


def _reusing(search: Search) -> list[str]:
    return [*_ours(search), "hydra.sweeper.reuse=20"]


OURS, REUSE, TRAIN = "sweeplab", "sweeplab reuse=20", "sweeplab train.py"
ENGINES = {
    engine.name: engine
    for engine in (
        Engine(OURS, "", _ours),
        Engine(REUSE, "", _reusing),
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


def make_data() -> None:
    """Make the data set once, on nobody's account."""
    data = ROOT / "data" / "mnist1d.npz"
    if not data.exists():
        program = "import network; network.parts()"
        subprocess.run([sys.executable, "-c", program], env=environment(""), check=True, capture_output=True)


def _attend(process: "subprocess.Popen[bytes]", until: float, look: Callable[[psutil.Process], None] | None) -> None:
    """Wait for a command until a time, and look at it meanwhile."""
    watched = psutil.Process(process.pid)
    while process.poll() is None and (left := until - time.time()) > 0:
        if look:
            look(watched)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(min(left, 0.2) if look else left)


def _kill_all(process: "subprocess.Popen[bytes]", folder: str) -> None:
    """Kill what a search has started and left behind: all that its environment was handed down to.

    And their children: some of Ray's write their title over their environment.
    """
    for _ in range(10):
        left = [one for root in psutil.process_iter() if _belongs(root, folder) for one in _family(root)]
        for one in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait()
        if not left:
            return
        psutil.wait_procs(left, timeout=2)


def _belongs(process: psutil.Process, folder: str) -> bool:
    try:
        return process.environ().get("BENCH_RECORDS") == f"{folder}/records"
    except psutil.Error:
        return False


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


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
