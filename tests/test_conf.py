from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from sweeplab.training.check import check
from tests.conftest import ROOT, Compose

CONF = ROOT / "conf"
CHOICES = [
    f"{path.relative_to(CONF).parts[0]}={path.relative_to(CONF / path.relative_to(CONF).parts[0]).with_suffix('')}"
    for path in sorted(CONF.glob("*/**/*.yaml"))
    if not path.is_relative_to(CONF / "hydra")  # what is in there, every other file composes with
]


@pytest.mark.slow
@pytest.mark.parametrize("choice", CHOICES)
def test_every_file_composes_and_passes_the_check(configured: Compose, choice: str, tmp_path: Path) -> None:
    (tmp_path / "my.npz").touch()
    more = [f"data.path={tmp_path}/my.npz"] if choice == "data=npz" else []
    config = configured(choice, *more)
    check(config)


@pytest.mark.parametrize("name", ["wandb", "tensorboard"])
def test_the_logger_that_was_chosen_is_that_of_the_trainer(name: str) -> None:
    """Which modules ask for: `self.logger` is the first, and metrics.csv is beside it."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        assert list(compose("train", [f"logger={name}"]).logger) == [name, "csv"]


def test_metric_and_mode_stand_in_one_place() -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        overrides = ["scheduler=plateau", "objective={metric: val/loss, mode: min}", "folder=.", "root=."]
        config = compose("train", overrides)
    judges = [config.callbacks.best.monitor, config.callbacks.early_stopping.monitor, config.scheduler.metric]
    modes = [config.callbacks.best.mode, config.callbacks.early_stopping.mode, config.scheduler.mode]
    assert judges == ["val/loss"] * 3
    assert modes == ["min"] * 3
