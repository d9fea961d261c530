from pathlib import Path

from sweeplab.records.record import Status, read
from tests.conftest import Compose
from tests.training import run


def test_the_training_function_fits_and_tests(configured: Compose) -> None:
    config = configured("model=linear", "trainer.max_epochs=4")
    value = run(config)
    facts = read(Path(config.folder))
    assert facts["status"] == Status.COMPLETE
    assert value == facts["objective"]["value"] > 0.5
    assert facts["metrics"]["test/acc"] > 0.5


def test_test_false_leaves_the_test_out(configured: Compose) -> None:
    config = configured("model=linear", "test=false")
    run(config)
    assert read(Path(config.folder))["test"] == []
