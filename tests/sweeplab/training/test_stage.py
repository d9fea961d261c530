from pathlib import Path

import pytest

from sweeplab.records.record import Status, read
from tests.conftest import Compose
from tests.training import run

LAST = Path("checkpoints", "last.ckpt")


def trained(configured: Compose, *overrides: str, folder: str = "run") -> Path:
    config = configured(*overrides, folder=folder)
    run(config)
    return Path(config.folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["best", "last", "early_stopping", "learning_rate", "samples", "charts", "pruning", "progress", "summary"]
)
def test_each_callback_can_be_switched_off(configured: Compose, name: str) -> None:
    config = configured("trainer.max_epochs=1")
    (config.callbacks if name in config.callbacks else config.task.callbacks)[name] = None
    run(config)
    folder = Path(config.folder)
    assert (folder / "checkpoints" / "best.ckpt").exists() == (name != "best")
    assert (folder / LAST).exists() == (name != "last")
    assert (folder / "test").exists() == (name != "charts")
    assert read(folder)["objective"]["value"] > 0


def test_no_callbacks_and_no_logger_leave_config_and_record_alone(configured: Compose) -> None:
    folder = trained(configured, "logger=none", "callbacks=none")
    assert {path.name for path in folder.iterdir()} - {"uncommitted.patch"} == {"config.yaml", "run.json"}
    assert read(folder)["metrics"]["test/acc"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("group", ["trainer=debug", "debug=fast", "debug=overfit", "debug=profile"])
def test_debugging_presets_run(configured: Compose, group: str) -> None:
    folder = trained(
        configured, group, "trainer.max_epochs=2", "~callbacks.best" if group == "debug=fast" else "seed=0"
    )
    assert read(folder)["status"] == Status.COMPLETE


def test_overfit_sees_the_same_batches_each_epoch(configured: Compose) -> None:
    folder = trained(configured, "debug=overfit", "trainer.max_epochs=30", "model.width=200", "optimizer.lr=1e-2")
    assert read(folder)["metrics"]["train/acc"] == 1.0
