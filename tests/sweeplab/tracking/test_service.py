import gc
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweeplab.tracking.service import SERVICE, SharedService, service_process

pytestmark = pytest.mark.slow
# Logs a run as any script does; tells the processes that it has started.
SCRIPT = """
import json, psutil, wandb
run = wandb.init(project="p", mode="offline")
run.log({"loss": 1.0})
print(json.dumps([process.name() for process in psutil.Process().children(recursive=True)]))
run.finish()
"""


@pytest.fixture
def listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedService]:
    monkeypatch.chdir(tmp_path)
    listener: Any = SharedService()
    listener.sweep_started(None, None, True)
    yield listener
    listener.sweep_ended(None, None)
    assert SERVICE not in os.environ or service_process() is None


def started_by_a_script(listener: Any) -> list[str]:
    environment = {**os.environ, **listener.environment(None)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout.splitlines()[-1]))


def test_runs_of_any_script_share_the_service(listener: SharedService, tmp_path: Path) -> None:
    assert [started_by_a_script(listener) for _ in range(2)] == [[], []]
    assert len(list(tmp_path.glob("wandb/offline-run-*/*.wandb"))) == 2


def test_a_service_that_died_is_started_again(listener: SharedService) -> None:
    process = service_process()
    assert process is not None
    process.kill()
    process.wait()
    assert started_by_a_script(listener) == []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # W&B forgets the dead process without a word
        gc.collect()
    following = service_process()
    assert following is not None
    assert following.pid != process.pid
