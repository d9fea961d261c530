"""Controllers on a real PostgreSQL server, where one is installed; `.ci/run` installs it."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

INITDB = shutil.which("initdb") or next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None)
OPEN = """
import sys
from pathlib import Path
from optuna.study import StudyDirection
from sweeplab.sweep.study.storage import open_storage
from sweeplab.sweep.study.study import open_study
sys.stdout.write("ready\\n")
sys.stdout.flush()
sys.stdin.readline()
storage, lock = open_storage(sys.argv[1], Path())
open_study(storage, "study", [StudyDirection.MINIMIZE]).ask()
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(INITDB is None, reason="PostgreSQL is not installed"),
]


@pytest.fixture(scope="module")
def database() -> Iterator[Callable[[str], str]]:
    """Start a server; return what makes an empty database and returns its URL."""
    psycopg = pytest.importorskip("psycopg")
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    # The server refuses to be root's.
    other = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.getuid() == 0 else []
    if other:
        shutil.chown(folder, "nobody")
    data, options = folder / "data", f"-c listen_addresses= -k {folder} -F"

    def run(program: str, *arguments: str) -> None:
        command = [*other, str(Path(str(INITDB)).with_name(program)), "-D", str(data), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, cwd=folder)

    def make(name: str) -> str:
        with psycopg.connect(f"host={folder} user=postgres dbname=postgres", autocommit=True) as connection:
            connection.execute(f"create database {name}")
        return f"postgresql+psycopg://postgres@/{name}?host={folder}"

    run("initdb", "-U", "postgres", "-A", "trust", "-N")
    run("pg_ctl", "-w", "-o", options, "-l", str(folder / "log"), "start")
    yield make
    run("pg_ctl", "-m", "immediate", "stop")
    shutil.rmtree(folder)


@pytest.mark.parametrize("number", range(4))
def test_controllers_that_begin_at_once_on_an_empty_database_share_its_tables(
    database: Callable[[str], str], number: int
) -> None:
    url = database(f"empty{number}")
    controllers = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(4)
    ]
    for one in controllers:
        assert one.stdin is not None
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in controllers:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    errors = [one.communicate()[0] for one in controllers]
    assert [one.returncode for one in controllers] == [0] * 4, errors
