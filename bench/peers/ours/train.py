"""The same Hydra app under this project's sweeper, reporting so that it can be pruned."""

import hydra
import task
from omegaconf import DictConfig, OmegaConf

from sweeplab.sweep.trial import TrialPruned, current


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def train(config: DictConfig) -> float:
    """Return the value of a trial."""
    trial, value = current(), 0.0
    for epoch, value in enumerate(task.values(OmegaConf.to_container(config, resolve=True)), 1):
        if trial is not None and trial.report(value, epoch) and epoch < config.epochs:
            raise TrialPruned
    return value


if __name__ == "__main__":
    train()
