import inspect
from typing import Any

import pytest

from sweeplab.errors import SetupError
from sweeplab.tasks import Classification
from tests.conftest import Compose
from tests.training import run

SOURCE = inspect.getsource


def no_source(of: Any) -> str:
    """Fail as Python 3.11 does at times where other threads work, and any does where the file was broken since."""
    if isinstance(of, type) and issubclass(Classification, of):
        raise SystemError("AST constructor recursion depth mismatch")
    return SOURCE(of)


def test_no_source_that_cannot_be_read_ends_a_training(configured: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect, "getsource", no_source)
    assert isinstance(run(configured("model=linear", "trainer.max_epochs=1", "test=false")), float)
    monkeypatch.setattr(Classification, "logs", None)  # else it is found sooner
    with pytest.raises(SetupError, match="the objective val/ac is not logged; did you mean 'val/acc'"):
        run(configured("model=linear", "objective.metric=val/ac", folder="misspelt"))
