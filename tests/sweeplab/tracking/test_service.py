import json
import os
import subprocess
import sys
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


def test_a_service_that_died_is_started_again(tmp_path: Path) -> None:
    """In a process of its own: W&B forgets the dead service in a way that Python warns of."""
    program = """
from sweeplab.tracking.service import SharedService, service_process
listener = SharedService()
listener.sweep_started(None, None, True)
died = service_process()
died.kill()
died.wait()
listener.environment(None)
following = service_process()
assert following is not None and following.pid != died.pid
listener.sweep_ended(None, None)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
