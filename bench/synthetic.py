"""A study that nobody trained: folders of runs as a sweep leaves them, thousands in seconds.

python bench/synthetic.py multirun/made-up 1000

Learning rates, sizes and models decide the values, successive halving the endings; a few runs fail or are killed.
"""

import json
import math
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sweeplab.records.study import Axis, Study

BEGINNING = datetime(2026, 1, 31, 12, tzinfo=UTC)
AXES = {
    "optimizer.lr": Axis(low=1e-4, high=0.1, log=True),
    "model.channels": Axis(low=8, high=64, log=True),
    "model.depth": Axis(low=1, high=4),
    "model.dropout": Axis(low=0.0, high=0.5),
    "optimizer": Axis(choices=["adam", "sgd"]),
}
RUNGS = (1, 3, 9)  # epochs after which two thirds are stopped
SLOTS = 4
CONFIG = """\
objective:
  metric: val/acc
  mode: max
  also: {also}
seed: {seed}
init_from: null
init_strict: true
test: true
folder: {folder}
root: {root}
study: {study}
callbacks:
  best:
    _target_: sweeplab.callbacks.BestCheckpoint
    dirpath: {folder}/checkpoints
    filename: best
    monitor: val/acc
    mode: max
  last:
    _target_: sweeplab.callbacks.LastCheckpoint
    path: {folder}/checkpoints/last.ckpt
    every_n_steps: null
  early_stopping:
    _target_: lightning.pytorch.callbacks.EarlyStopping
    monitor: val/acc
    mode: max
    patience: 10
logger:
  csv:
    _target_: sweeplab.loggers.CSVLogger
    save_dir: {folder}
data:
  _target_: lab.data.digits.Digits
  test_fraction: 0.2
  val_fraction: 0.2
  split_seed: 0
  batch_size: 64
  num_workers: 0
task:
  _target_: sweeplab.tasks.Classification
  label_smoothing: 0.0
  metrics:
    acc:
      _target_: torchmetrics.classification.MulticlassAccuracy
      num_classes: 10
      average: micro
  compile: false
model:
  _target_: lab.models.cnn.CNN
  in_shape: [1, 8, 8]
  num_classes: 10
  channels: {channels}
  depth: {depth}
  dropout: {dropout}
optimizer:
  _target_: torch.optim.{optimizer_class}
  _partial_: true
  lr: {lr}
  weight_decay: 0.0
scheduler: {{}}
trainer:
  _target_: lightning.pytorch.Trainer
  default_root_dir: {folder}
  accelerator: auto
  devices: 1
  max_epochs: {epochs}
"""


def make_study(
    folder: Path, count: int, epochs: int = 20, objectives: int = 1, pruned: bool = True, seed: int = 0
) -> Study:
    """Write `count` runs and the study's own file to `folder`; the same arguments give the same study.

    With two objectives the second is `model/parameters`.
    """
    random_ = random.Random(seed)
    chosen: list[dict[str, str]] = [
        {"metric": "val/acc", "mode": "max"},
        {"metric": "model/parameters", "mode": "min"},
    ]
    study = Study(
        name=folder.name,
        command=f"python train.py -m sweep=asha study={folder.name}",
        objectives=chosen[:objectives],
        axes=AXES,
        n_trials=count,
    )
    free = [BEGINNING] * SLOTS
    for number in range(count):
        point = _point(random_)
        curve = _curve(point, epochs, random_)
        status = _status(curve, pruned, random_)
        slot = min(range(SLOTS), key=free.__getitem__)
        started = free[slot] + timedelta(seconds=0.1)
        free[slot] = started + timedelta(seconds=(2 + len(curve)) * math.sqrt(point["model.depth"]))
        _write(folder, number, point, curve, status, (started, free[slot]), (chosen[1:objectives], epochs))
    study.write(folder)
    return study


def _point(random_: random.Random) -> dict[str, Any]:
    return {
        "optimizer.lr": 10 ** random_.uniform(-4, -1),
        "model.channels": round(2 ** random_.uniform(3, 6)),
        "model.depth": random_.randint(1, 4),
        "model.dropout": random_.uniform(0, 0.5),
        "optimizer": random_.choice(["adam", "sgd"]),
    }


def _curve(point: dict[str, Any], epochs: int, random_: random.Random) -> list[float]:
    """Return the accuracy after each epoch: best around a learning rate that the optimizer decides."""
    best = -2.5 if point["optimizer"] == "adam" else -1.5
    end = 0.97 - 0.12 * (math.log10(point["optimizer.lr"]) - best) ** 2 + 0.02 * math.log2(point["model.channels"] / 64)
    end = max(0.1, end - 0.1 * abs(point["model.dropout"] - 0.2) + random_.gauss(0, 0.01))
    return [end - (end - 0.1) * math.exp(-epoch / 4) + random_.gauss(0, 0.01) for epoch in range(1, epochs + 1)]


def _status(curve: list[float], pruned: bool, random_: random.Random) -> str:
    """Cut the curve where the run ended, and say how it did."""
    luck = random_.random()
    if luck < 0.03:
        del curve[random_.randrange(len(curve)) :]
        return "failed" if luck < 0.02 else "killed"
    for rung, bar in zip(RUNGS, (0.25, 0.5, 0.8), strict=True) if pruned else ():
        if rung < len(curve) and curve[rung - 1] < bar:
            del curve[rung:]
            return "pruned"
    return "complete"


def _write(
    folder: Path,
    number: int,
    point: dict[str, Any],
    curve: list[float],
    status: str,
    times: tuple[datetime, datetime],
    shared: tuple[list[dict[str, str]], int],
) -> None:
    run = folder / str(number)
    run.mkdir(parents=True)
    also, epochs = shared
    facts = _facts(run, number, point, curve, status, times, also)
    (run / "run.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    words = {key.rpartition(".")[2]: value for key, value in point.items()}
    config = CONFIG.format(
        **words | {"optimizer_class": {"adam": "Adam", "sgd": "SGD"}[point["optimizer"]]},
        also=json.dumps(also),
        seed=0,
        folder=run.absolute(),
        root=folder.absolute().parent,
        study=folder.name,
        epochs=epochs,
    )
    (run / "config.yaml").write_text(config, encoding="utf-8")
    lines = ["epoch,step,train/loss,val/acc,val/loss"]
    for epoch, value in enumerate(curve):
        lines += [f"{epoch},{17 * epoch + 16},,{value},{2.3 * (1 - value)}"]
        lines += [f"{epoch},{17 * epoch + 16},{2.4 * (1 - value)},,"]
    (run / "metrics.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _facts(
    run: Path,
    number: int,
    point: dict[str, Any],
    curve: list[float],
    status: str,
    times: tuple[datetime, datetime],
    also: list[dict[str, str]],
) -> dict[str, Any]:
    started, ended = times
    facts: dict[str, Any] = {
        "status": status,
        "command": "python train.py " + " ".join(f"{key}={value}" for key, value in point.items()),
        "directory": str(Path.cwd()),
        "overrides": [f"{key}={value}" for key, value in point.items()],
        "choices": {"model": "cnn", "data": "digits", "optimizer": point["optimizer"], "trainer": "cpu"},
        "git": {"commit": "0" * 40, "dirty": False, "untracked": [], "patch": None},
        "versions": {"python": "3.11.7", "torch": "2.13.0"},
        "process": {"host": "elsewhere", "pid": 4000 + number, "started": started.timestamp()},
        "started": started.isoformat(timespec="milliseconds"),
        "seed": 0,
        "trial": {"study": run.parent.name, "number": number, "repeat": 0, "params": point},
        "ended": ended.isoformat(timespec="milliseconds"),
        "seconds": round((ended - started).total_seconds(), 3),
    }
    if status in ("failed", "killed"):
        reason = "signal SIGKILL"
        facts["error"] = "Traceback (most recent call last):\n  ...\nValueError: no such luck" * (status == "failed")
        facts["error"] = facts["error"] or reason
    if status not in ("failed", "killed") or curve:
        size = point["model.depth"] * point["model.channels"] ** 2
        best = max(curve)
        further = {"model/parameters": size}
        facts["objective"] = {"metric": "val/acc", "mode": "max", "value": best, "epoch": curve.index(best)}
        if also:
            facts["objective"]["also"] = [{**one, "value": further[one["metric"]]} for one in also]
        facts["best"] = {"val/loss": 2.3 * (1 - best), "val/acc": best, **further}
        facts["metrics"] = {"val/loss": 2.3 * (1 - curve[-1]), "val/acc": curve[-1]}
    if status == "complete":
        tests = {"test/acc": best - 0.01, "test/loss": 2.3 * (1.01 - best)}
        facts |= {"metrics": facts["metrics"] | tests, "test": sorted(tests)}
    return facts


if __name__ == "__main__":
    make_study(Path(sys.argv[1]), int(sys.argv[2]))
