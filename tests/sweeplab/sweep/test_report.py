import json
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from bench.synthetic import make_study

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
