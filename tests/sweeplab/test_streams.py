"""Programs whose standard streams were closed by the shell that started them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sweeplab.sweep.conftest import APP

OPENED = """
import os, sys
from sweeplab.streams import open_closed_streams
open_closed_streams()
handle = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
for number in (1, 2):
    os.write(number, b"lost")
print("lost", sys.stdin.read())
print("lost", file=sys.stderr, flush=True)
os.system("echo lost; echo lost >&2")
os.write(handle, b"kept")
"""
CLOSED = [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"]


def shell(line: str, folder: Path) -> int:
    return subprocess.run(["bash", "-c", line], cwd=folder, env={**os.environ}, check=False).returncode


@pytest.mark.parametrize("closed", CLOSED)
def test_nothing_that_is_printed_gets_into_a_file(tmp_path: Path, closed: str) -> None:
    (tmp_path / "program.py").write_text(OPENED)
    assert shell(f"{sys.executable} program.py file </dev/null {closed}", tmp_path) == 0
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("closed", "executor"), [(">&-", "local"), ("2>&-", "local"), ("<&- >&- 2>&-", "local"), (">&- 2>&-", "spawn")]
)
def test_a_sweep_needs_no_standard_streams(tmp_path: Path, closed: str, executor: str) -> None:
    shutil.copytree(APP, tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
    line = f"{sys.executable} app/app.py -m x=1,2 hydra.sweeper.executor={executor} {closed}"
    assert shell(line, tmp_path) == 0
    rows = (tmp_path / "multirun/study/trials.csv").read_text().splitlines()
    assert [row.split(",")[:3] for row in rows[1:]] == [[str(n), "complete", "True"] for n in (0, 1)]
    assert (tmp_path / "multirun/study/0/output.log").read_text() == "this is x=1\n"
