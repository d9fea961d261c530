import math
from pathlib import Path

import pytest

from sweeplab.records import record
from sweeplab.records.ending import recorded
from sweeplab.sweep.execute import worker
from sweeplab.sweep.job import Job, Task
from sweeplab.sweep.trial import current


def test_a_runs_record_says_how_its_constraints_were_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def task(job: Job, ready: None) -> float:
        trial = current()
        assert trial is not None
        with recorded(record.begin(job.folder, [], seed=0, trial={"number": trial.number})):
            trial.constrain("size", 2.0)
            trial.constrain("time", math.inf)
        return 0.5

    monkeypatch.setattr(worker, "_run", task)
    folder = tmp_path / "3"
    job = Job("made", 3, {}, folder, None, Task("", "", ""), (), "", "", {})  # type: ignore[arg-type]  # no trial_config
    outcome = worker.perform(job, lambda value, step: False)
    assert outcome.values == (0.5,)
    facts = record.read(folder)
    assert facts["status"] == "complete"
    assert facts["trial"] == {"number": 3, "constraints": {"size": 2.0, "time": None}}
