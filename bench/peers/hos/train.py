"""A Hydra app under hydra-optuna-sweeper, as that project's pages write it."""

import hydra
import task
from omegaconf import DictConfig, OmegaConf


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def train(config: DictConfig) -> float:
    """Return the value of a trial."""
    return task.run(OmegaConf.to_container(config, resolve=True))


if __name__ == "__main__":
    train()
