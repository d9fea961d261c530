from pathlib import Path
from typing import Any

import pytest

from sweeplab.sweep.job import Job, Outcome
from sweeplab.sweep.listener import Listener
from sweeplab.sweep.plan import Plan
from sweeplab.sweep.results import Summary
from tests.sweeplab.sweep.conftest import Sweep, states


class Diary(Listener):
    """Writes down what it is told, and breaks if it is asked to."""

    def __init__(self, path: str, breaks: bool = False) -> None:
        self.path, self.breaks = Path(path), breaks

    def write(self, *words: Any) -> None:
        with self.path.open("a") as file:
            file.write(" ".join(map(str, words)) + "\n")
        if self.breaks:
            raise ConnectionError("gone")

    def sweep_started(self, plan: Plan) -> None:
        self.write("sweep", plan.name)

    def trial_started(self, job: Job) -> None:
        self.write("started", job.number, job.folder.name)

    def trial_ended(self, job: Job, outcome: Outcome) -> None:
        self.write("ended", job.number, outcome.status)

    def sweep_ended(self, plan: Plan, summary: Summary) -> None:
        self.write("over", summary.best[0].number)


LISTEN = "+hydra.sweeper.listeners.diary={_target_: tests.sweeplab.sweep.test_listener.Diary, path: diary, breaks: %s}"


@pytest.mark.parametrize("breaks", ["false", "true"])
def test_a_listener_is_told_everything_and_cannot_end_a_sweep(
    sweep: Sweep, breaks: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert sweep("x=1,2", "how=sigkill", "only=2", "hydra.sweeper.n_jobs=1", LISTEN % breaks) == 0
    assert Path("diary").read_text().splitlines() == [
        "sweep study",
        "started 0 0",
        "ended 0 complete",
        "started 1 1",
        "ended 1 killed",
        "started 2 2",
        "ended 2 killed",
        "over 0",
    ]
    assert states() == ["COMPLETE", "FAIL", "FAIL"]
    assert ("ConnectionError: gone" in caplog.text) == (breaks == "true")
