"""Training in the test's own process, by the training function of lab."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from lab.train import train
from sweeplab.training import evaluate as evaluation
from sweeplab.training import start


def run(config: DictConfig, origin: Path | None = None) -> float | list[float]:
    """Train as train.py does."""
    return start.start(train, config, origin)


def resume(folder: Path, overrides: Sequence[str] = (), conf: Path | None = None) -> float | list[float]:
    """Resume as train.py does."""
    return start.resume(train, folder, overrides, conf)


def evaluate(run: Path, stage: str = "test", overrides: Sequence[str] = (), conf: Path | None = None) -> Path:
    """Evaluate one run as eval.py does."""
    return evaluation.evaluate(run, [run], stage, overrides, conf)
