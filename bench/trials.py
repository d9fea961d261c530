"""Trials that do nothing, or sleep: what is left is the sweep engine. bench/sweep.py runs it."""

import random
import time

import hydra
from omegaconf import DictConfig

from sweeplab.sweep.trial import current


@hydra.main(version_base="1.3", config_path=None)
def trial(config: DictConfig) -> float:
    """Sleep for a time drawn from a log-normal distribution, the same for each number; not at all without a scale."""
    number = getattr(current(), "number", 0)
    length = config.get("scale", 0.0) * random.Random(number).lognormvariate(0.0, config.get("sigma", 0.0))
    time.sleep(length)
    return float(length)


if __name__ == "__main__":
    trial()
