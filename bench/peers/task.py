"""The task that every engine searches: the same data, steps and metrics, so it costs the same everywhere.

`values(config)` trains and yields the best validation accuracy so far after each epoch; how to report it is the
engine's own affair. Kinds of task: noop, sleep, cnn (a plain PyTorch loop), lightning, wandb (Lightning with W&B,
offline), hold (lightning, then asleep: for looking at its memory). With Lightning the network is the smallest, whatever
was drawn, so that all trials do the same work.

Each trial leaves a file in the folder $BENCH_RECORDS, a JSON object a line: its beginning with its configuration and
process, each value with its time, its end or its error. Nothing heavy is imported before a trial needs it, or `load`
is called.
"""

import importlib
import json
import math
import os
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

Config = Mapping[str, Any]
RUNGS = (1, 3, 9, 27)
SMALLEST = {"lr": 1e-3, "channels": 8, "depth": 1, "dropout": 0.0}
MODULES = dict.fromkeys(("lightning", "wandb", "hold"), "lightning_network") | {"cnn": "network"}


def load(kind: str) -> None:
    """Import what the trials of a kind need, as a script does at its top."""
    if kind in MODULES:
        importlib.import_module(MODULES[kind])


def values(config: Config) -> Iterator[float]:
    """Run the task that the configuration names; yield the best value so far after each epoch."""
    folder = os.environ.get("BENCH_RECORDS")
    if folder is None:
        yield from _run(config)
        return
    with Path(folder, f"{uuid.uuid4().hex}.jsonl").open("w", buffering=1) as file:
        _note(file, config=dict(config), process=os.getpid())
        try:
            for value in _run(config):
                _note(file, value=value)
                yield value
        except GeneratorExit:  # it was pruned
            _note(file, end=True)
            raise
        except Exception as error:
            _note(file, error=f"{type(error).__name__}: {error}")
            raise
        _note(file, end=True)


def run(config: Config) -> float:
    """Run the task to its end; return its value."""
    return list(values(config))[-1]


def length(kind: str, number: int, mean: float) -> float:
    """Return the seconds that the trial of a number sleeps: a fixed draw from the distribution `kind`."""
    draw = random.Random(number)
    lengths: dict[str, Callable[[], float]] = {
        "uniform": lambda: draw.uniform(0.5, 1.5),
        "log-normal": lambda: draw.lognormvariate(-0.5, 1.0),
        "exponential": lambda: draw.expovariate(1.0),
        "asha": lambda: RUNGS[min(int(-math.log(1 - draw.random(), 3)), len(RUNGS) - 1)] / 3.0,
    }
    return mean * lengths[kind]()


def _note(file: Any, **facts: Any) -> None:
    file.write(json.dumps({"time": time.time(), **facts}) + "\n")


def _run(config: Config) -> Iterator[float]:
    kind = config["task"]
    if kind == "noop":
        yield 0.0
    elif kind == "sleep":
        time.sleep(length(config["lengths"], int(config["number"]), float(config["mean"])))
        yield 0.0
    elif kind == "cnn":
        import network

        yield from network.values(config)
    else:
        import lightning_network

        yield lightning_network.value({**config, **SMALLEST}, log_to_wandb=kind == "wandb")
        if kind == "hold":
            time.sleep(float(config["mean"]))
