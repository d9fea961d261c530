import contextlib
import json
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest
from bench.synthetic import make_study
from optuna.trial import FrozenTrial

from sweeplab.errors import UserError
from sweeplab.sweep.listener import Job, Summary, SweepInfo
from sweeplab.sweep.report import Report

NOTHING = Summary([], Counter(), [], {}, 0, None)
JOB = cast(Job, None)  # what it is, the report finds in the folder


@pytest.fixture
def sweep(tmp_path: Path) -> SweepInfo:
    """What the report takes of a sweep: a folder, in which a study lies."""
    make_study(tmp_path / "cnn", 6)
    return cast(SweepInfo, SimpleNamespace(folder=tmp_path / "cnn"))


def data(folder: Path) -> dict[str, Any]:
    found = re.search(r'<script id="data"[^>]*>(.*?)</script>', (folder / "report.html").read_text(encoding="utf-8"))
    assert found
    return dict(json.loads(found[1]))


def writers() -> set[int]:
    """The processes that are writing a page now."""
    found = set()
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
            found |= {child.pid} if "sweeplab.report" in child.cmdline() else set()
    return found


def until(happened: Callable[[], bool], report: Report) -> None:
    """Let trials start until something has happened."""
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        report.trial_started(JOB)
        time.sleep(0.05)


def test_the_page_is_there_when_the_sweep_has_ended(sweep: SweepInfo) -> None:
    report = Report()
    report.sweep_started(sweep, NOTHING, True)
    report.trial_started(JOB)
    assert not (sweep.folder / "report.html").exists()
    report.sweep_ended(sweep, NOTHING)
    assert len(data(sweep.folder)["runs"]) == 6


@pytest.mark.parametrize("package", ["scipy", "plotly"])
def test_a_page_that_lacks_a_package_says_what_to_install(
    sweep: SweepInfo, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, package: str
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    report = Report()
    report.sweep_started(sweep, NOTHING, True)
    for trial in range(5):  # from the fifth on the slow imports are done beside the trials
        report.trial_told(cast(FrozenTrial, trial), True)
    report.sweep_ended(sweep, NOTHING)
    assert "pip install 'sweeplab[report]'" in caplog.text


def test_a_sweep_that_has_ended_imports_no_more(
    sweep: SweepInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that is ending refuses it, with a traceback."""
    (tmp_path / "slow_to_import.py").write_text("import time\ntime.sleep(1)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sweeplab.sweep.report.SLOW", ("slow_to_import",))
    monkeypatch.setattr("sweeplab.report.page.write_study_report", lambda folder: None)
    before = set(threading.enumerate())
    report = Report()
    report.sweep_started(sweep, NOTHING, True)
    for trial in range(5):
        report.trial_told(cast(FrozenTrial, trial), True)
    report.sweep_ended(sweep, NOTHING)
    assert set(threading.enumerate()) <= before


@pytest.mark.slow
def test_the_page_is_written_while_the_sweep_goes_on_if_asked_for(sweep: SweepInfo) -> None:
    facts = json.loads((sweep.folder / "5" / "run.json").read_text())
    (sweep.folder / "5" / "run.json").write_text(json.dumps(facts | {"status": "running"}))
    report = Report(every=0.1)
    report.sweep_started(sweep, NOTHING, True)
    until((sweep.folder / "report.html").exists, report)
    assert data(sweep.folder)["every"] == 0.1
    (sweep.folder / "5" / "run.json").write_text(json.dumps(facts))
    report.trial_started(JOB)  # one may be being written as the sweep ends
    report.sweep_ended(sweep, NOTHING)
    assert data(sweep.folder)["every"] is None


def test_a_sweep_that_is_over_soon_writes_its_page_once(sweep: SweepInfo) -> None:
    report = Report(every=60)
    report.sweep_started(sweep, NOTHING, True)
    report.trial_started(JOB)
    assert not writers()


@pytest.mark.slow
def test_pages_that_take_long_are_written_more_rarely(sweep: SweepInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeplab.sweep.report.SHARE", 1e-6)  # of the time of the first: none other for days
    report = Report(every=0.1)
    report.sweep_started(sweep, NOTHING, True)
    until((sweep.folder / "report.html").exists, report)
    until(lambda: not writers(), report)
    for _ in range(10):
        report.trial_started(JOB)
        time.sleep(0.1)
    assert not writers()


@pytest.mark.slow
def test_a_page_is_due_however_long_ago_the_last_was_ready(sweep: SweepInfo) -> None:
    """Trials may start and end rarely."""
    report = Report(every=0.1)
    report.sweep_started(sweep, NOTHING, True)
    until(lambda: bool(writers()), report)
    deadline = time.monotonic() + 60
    while writers():  # while no trial starts or ends
        assert time.monotonic() < deadline
        time.sleep(0.05)
    an_hour_later = time.time() + 3600
    with pytest.MonkeyPatch.context() as later:
        later.setattr("sweeplab.sweep.report.time.time", lambda: an_hour_later)
        report.trial_started(JOB)
    assert writers()
    report.sweep_ended(sweep, NOTHING)


@pytest.mark.slow
def test_a_page_that_cannot_be_written_is_a_line_of_warning(
    sweep: SweepInfo, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (sweep.folder / "sweep.json").write_text("{")
    report = Report(every=0.1)
    report.sweep_started(sweep, NOTHING, True)
    until(lambda: "no report.html yet: Error: " in caplog.text, report)
    report.sweep_ended(sweep, NOTHING)
    assert re.search(r"no report.html: .*sweep.json is broken", caplog.text)
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("every", [0, -1, True, "often"])
def test_a_time_that_is_none_is_refused(every: Any) -> None:
    with pytest.raises(UserError, match="number of seconds"):
        Report(every=every)
