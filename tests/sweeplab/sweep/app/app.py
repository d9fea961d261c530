"""A task with no torch in it, that ends in every way a trial can end."""

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import hydra
import optuna
from omegaconf import DictConfig

from sweeplab.errors import SetupError, UserError
from sweeplab.sweep.trial import TrialPruned, current


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def app(config: DictConfig) -> Any:
    trial = current()
    sys.stdout.write(f"this is x={config.x}\n")
    for step in range(1, config.steps + 1):
        time.sleep(config.sleep)
        if trial is not None and trial.report(config.x + step / 1000, step):
            raise TrialPruned
    if trial is not None and config.limit is not None:
        trial.constrain("x", config.x - config.limit)
    end(config)
    if config.objectives == 2:
        return config.x, -config.x
    return float(config.x) + config.opt.lr + config.seed


def is_last(config: DictConfig) -> float:
    """End at once, but for x=5: when the five others have begun."""
    Path(f"multirun/study/begun-{config.x}").touch()
    until = time.monotonic() + 300
    while config.x == 5 and len(list(Path("multirun/study").glob("begun-*"))) < 6:
        if time.monotonic() > until:
            raise TimeoutError("the others wait for this one")
        time.sleep(0.05)
    return float(config.x)


def breaks(config: DictConfig) -> float:
    """Fail once a process apart has drawn some trials."""
    time.sleep(0.1)
    if len(list(Path().glob("apart-*"))) >= 3:
        raise RuntimeError("enough of that")
    return float(config.x)


def misconfigured(config: DictConfig) -> float:
    """Find a mistake that all trials share, but for those behind `only`, which sleep for a while and return."""
    if config.only is None or config.x <= config.only:
        raise SetupError("the objective is not logged")
    time.sleep(config.sleep)
    return float(config.x)


def needs_more(config: DictConfig) -> float:
    """Find a mistake that only the point x=2 has, though it looks like one of all."""
    if config.x == 2:
        raise SetupError("there is no data for 2")
    return float(config.x)


def mistaken(config: DictConfig) -> float:
    """Find a mistake of the user that comes with x=1."""
    if config.x == 1:
        raise UserError("x=1 is too little")
    return float(config.x)


class MuteError(Exception):
    """An exception whose message raises."""

    def __str__(self) -> str:
        raise ValueError


def end(config: DictConfig) -> None:
    """End in the way that was asked for, if it is another than returning."""
    current_trial = current()
    how = config.how if config.only is None or config.only == config.x else "returns"
    if how == "once" and not Path(config.mark).exists():
        Path(config.mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "raises":
        raise RuntimeError("no good")
    elif how == "sigkill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "segfault":
        ctypes.string_at(0)
    elif how == "exits":
        os._exit(3)
    elif how == "leaves":
        sys.exit(3)
    elif how == "memory":
        resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
        bytearray(2**31)
    elif how == "hangs":
        time.sleep(1000)
    elif how == "hangs deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(1000)
    elif how == "reports before the start":
        assert current_trial is not None
        current_trial.report(1.0, -1)
    elif how == "constrains by nan":
        assert current_trial is not None
        current_trial.constrain("c", float("nan"))
    elif how == "cannot say why":
        raise MuteError
    elif how == "leaves a thread":
        threading.Thread(target=time.sleep, args=(1000,)).start()
    elif how == "leaves children":
        subprocess.Popen(["sleep", "1000"])


def nothing(config: DictConfig) -> None:
    """Return no objective."""


def words(config: DictConfig) -> str:
    """Return what is not a number."""
    return "done"


def not_a_number(config: DictConfig) -> float:
    return float("nan")


def some_bytes(config: DictConfig) -> bytes:
    return b"1"


def a_number(config: DictConfig) -> Any:
    """Return the number of another kind that was asked for."""
    import numpy as np

    kinds: dict[str, Any] = {
        "text": "1.5",
        "scalar": np.float32(1.5),
        "array": np.array([1.5]),
        "table": np.array([[1.5]]),
        "of no dimension": np.array(1.5),
        "list": [1.5],
        "integer": np.int64(1),
    }
    return kinds[config.name]


def two_numbers(config: DictConfig) -> Any:
    import numpy as np

    return np.array([1.5, config.x])


def infinite(config: DictConfig) -> float:
    return float("inf")


def records(config: DictConfig) -> float:
    """Keep a `run.json`, and do what `app` does."""
    from hydra.core.hydra_config import HydraConfig

    from sweeplab.records import record
    from sweeplab.records.ending import recorded

    trial = current()
    assert trial is not None
    with recorded(record.begin(Path(HydraConfig.get().runtime.output_dir), [], None, trial.attempt)):
        value = app.__wrapped__(config)
        assert isinstance(value, float)
        return value


def needs_a_file(config: DictConfig) -> float:
    """Fail below 3 unless there is a file named `mended`."""
    if config.x < 3 and not Path("mended").exists():
        raise RuntimeError("there is no file")
    return float(config.x)


def hangs_once(config: DictConfig) -> float:
    """Hang in the first attempt."""
    trial = current()
    assert trial is not None
    if trial.attempt == 0:
        time.sleep(1000)
    return trial.attempt


def counts_its_attempts(config: DictConfig) -> float:
    """Leave a line for each attempt, and be killed in the first two of x=1."""
    from hydra.core.hydra_config import HydraConfig

    trial = current()
    assert trial is not None
    with Path(HydraConfig.get().runtime.output_dir, "attempts.txt").open("a") as file:
        file.write(f"{trial.attempt}\n")
    if config.x == 1 and trial.attempt < 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return trial.attempt


def reports_its_attempt(config: DictConfig) -> float:
    """Report the number of the attempt, at more steps in the second, and be killed in the first."""
    trial = current()
    assert trial is not None
    for step in range(1, 3 + 2 * trial.attempt):
        trial.report(trial.attempt, step)
    if trial.attempt == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return 0.0


def records_its_own_way(config: DictConfig) -> float:
    """Write a `run.json` that is not sweeplab's, and do what `app` does."""
    from hydra.core.hydra_config import HydraConfig

    Path(HydraConfig.get().runtime.output_dir, "run.json").write_text('{"acc": 0.9}')
    value = app.__wrapped__(config)
    assert isinstance(value, float)
    return value


def tells(config: DictConfig) -> float:
    """Write down what the process of a trial looks like."""
    from hydra.core.hydra_config import HydraConfig

    trial = current()
    assert trial is not None
    told = {
        "study": trial.study,
        "number": trial.number,
        "params": dict(trial.params),
        "argv": sys.argv,
        "threads": os.environ["OMP_NUM_THREADS"],
        "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
    }
    Path(HydraConfig.get().runtime.output_dir, "told.json").write_text(json.dumps(told, default=str))
    return 0.0


def greets(config: DictConfig) -> float:
    """Write down what the environment of a trial says."""
    from hydra.core.hydra_config import HydraConfig

    Path(HydraConfig.get().runtime.output_dir, "greeting.txt").write_text(str(config.greeting))
    return 0.0


def suggests(config: DictConfig, trial: optuna.Trial) -> None:
    """Keep the learning rate below x."""
    trial.suggest_float("opt.lr", 0.0, config.x)


def suggests_the_study(config: DictConfig, trial: optuna.Trial) -> None:
    """Name another study for each trial."""
    trial.suggest_categorical("study", ["a", "b"])


spoilt = 0


def spoils(config: DictConfig) -> float:
    """Return how often this process has run a task before."""
    global spoilt
    spoilt += 1
    return spoilt - 1.0


gpus_seen: list[str] = []


def sees_gpus(config: DictConfig) -> float:
    """Return how many choices of GPUs this process has seen, times 100, and how many trials it has run."""
    gpus_seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
    return 100.0 * len(set(gpus_seen)) + len(gpus_seen)


if __name__ == "__main__":
    app()
