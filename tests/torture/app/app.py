"""A task with no torch in it that records its run, reports, and lets itself be pruned."""

import time
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from sweeplab.records import record
from sweeplab.records.ending import recorded
from sweeplab.sweep.trial import TrialPruned, current


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def app(config: DictConfig) -> float:
    trial = current()
    assert trial is not None
    with recorded(record.begin(Path(HydraConfig.get().runtime.output_dir), [], None, trial.attempt)):
        for step in range(1, config.steps + 1):
            time.sleep(config.sleep)
            if trial.report(config.value + step / 1000, step):
                raise TrialPruned
        return float(config.x + config.value)


if __name__ == "__main__":
    app()
