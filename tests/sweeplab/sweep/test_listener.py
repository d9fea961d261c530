import time
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FrozenTrial

from sweeplab.sweep.listener import Job, Listener, Outcome, Summary, SweepInfo
from tests.conftest import ROOT
from tests.sweeplab.sweep.conftest import Start, Sweep, output, states


class Diary(Listener):
    """Writes down what it is told, and breaks if it is asked to."""

    def __init__(self, path: str, breaks: bool = False) -> None:
        self.path, self.breaks = Path(path), breaks

    def write(self, *words: Any) -> None:
        with self.path.open("a") as file:
            file.write(" ".join(map(str, words)) + "\n")
        if self.breaks:
            raise ConnectionError("gone")

    def sweep_started(self, sweep: SweepInfo, before: Summary, alone: bool) -> None:
        self.write("sweep", sweep.name)

    def trial_started(self, job: Job) -> None:
        self.write("started", job.number, job.folder.name)

    def trial_ended(self, job: Job, outcome: Outcome) -> None:
        self.write("ended", job.number, outcome.status)

    def trial_lost(self, job: Job, outcome: Outcome) -> None:
        self.write("lost", job.number, outcome.status)

    def trial_told(self, trial: FrozenTrial, counts: bool) -> None:
        self.write("told", trial.number, trial.state.name, counts)

    def preview(self, sweep: SweepInfo) -> str:
        return f"a diary of {sweep.name}"

    def sweep_ended(self, sweep: SweepInfo, summary: Summary) -> None:
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
        "told 0 COMPLETE True",
        "started 1 1",
        "ended 1 killed",
        "told 1 WAITING False",
        "started 1 1",
        "ended 1 killed",
        "told 1 FAIL True",
        "over 0",
    ]
    assert states() == ["COMPLETE", "FAIL"]
    assert ("ConnectionError: gone" in caplog.text) == (breaks == "true")


@pytest.mark.slow
def test_a_listener_is_told_of_a_run_that_a_dead_controller_left(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    first = start("x=1,2", "how=hangs", "hydra.sweeper.n_jobs=1", LISTEN % "false")
    while not Path("multirun/study/0/output.log").exists() and first.poll() is None:
        time.sleep(0.05)
    first.kill()
    first.wait()
    second = start("x=1,2", "hydra.sweeper.on_change=extend", "hydra.sweeper.n_jobs=1", LISTEN % "false")
    assert second.wait() == 0, output(second)
    told = Path("diary").read_text().splitlines()
    assert told[:4] == ["sweep study", "started 0 0", "sweep study", "lost 0 interrupted"]


def test_a_preview_may_be_a_listeners_own(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep("x=1,2", LISTEN % "false", "hydra.sweeper.preview=diary") == 0
    assert capsys.readouterr().out == "a diary of study\n"
    assert not Path("multirun").exists()


def test_a_preview_that_nobody_has_is_named(sweep: Sweep) -> None:
    with pytest.raises(SystemExit, match="did you mean 'diary'"):
        sweep("x=1,2", LISTEN % "false", "hydra.sweeper.preview=dairy")
