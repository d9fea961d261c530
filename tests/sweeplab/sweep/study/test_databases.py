"""Controllers on real servers, where they are installed; `.ci/run` installs them."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import GrpcStorageProxy
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from sweeplab.sweep.study import databases
from sweeplab.sweep.study.reconnecting import ReconnectingStorage
from sweeplab.sweep.study.storage import open_storage
from sweeplab.sweep.study.study import open_study
from tests.sweeplab.sweep.conftest import Start, output
from tests.sweeplab.sweep.servers import INITDB, MARIADB, PASSWORD, GrpcProxy, MariaDB, Postgres, Server

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
study = open_study(storage, "study", [StudyDirection.MINIMIZE])
"""
ASK = OPEN + "study.ask()"
TAKE_ALL = (
    OPEN
    + """
from sweeplab.sweep.study.client import StudyClient
from sweeplab.sweep.study.search import Points
client, points = StudyClient(study, lock, 0, Path()), Points({"x": x} for x in range(20))
while (trial := client.ask(None, lambda trial: trial.suggest_int("x", 0, 19), points)) is not None:
    study.tell(trial, 0.0)
"""
)
NUMBERS = count()

pytestmark = pytest.mark.slow


def server_of(kind: type[Server], program: Any, *packages: str) -> Any:
    is_here = program and all(find_spec(package) for package in packages)
    missing = pytest.mark.skipif(not is_here, reason=f"{kind.__name__} is not installed")
    return pytest.param(kind, marks=missing, id=kind.__name__)


@pytest.fixture(
    scope="module",
    params=[
        server_of(Postgres, INITDB, "psycopg"),
        server_of(MariaDB, MARIADB, "pymysql"),
        server_of(GrpcProxy, INITDB, "psycopg", "grpc"),
    ],
)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    server: Server = request.param()
    yield server
    server.remove()


@pytest.fixture
def url(server: Server) -> str:
    """The URL of an empty database, or of the proxy's own, in which others may have left studies."""
    return server.url(f"empty{next(NUMBERS)}")


@pytest.fixture
def study(url: str) -> str:
    """The name of a study that is not there yet."""
    return f"study{next(NUMBERS)}"


def trials(url: str, study: str) -> list[FrozenTrial]:
    """The trials that count."""
    storage, _ = open_storage(url, Path())
    assert isinstance(storage, ReconnectingStorage)
    counting = [
        trial
        for trial in open_study(storage, study, [StudyDirection.MINIMIZE]).trials
        if "not counted" not in trial.user_attrs
    ]
    behind: Any = storage.storage
    (behind.close if isinstance(behind, GrpcStorageProxy) else behind._backend.engine.dispose)()
    return counting


def run_at_once(program: str, url: str, number: int) -> None:
    """Run a program several times, the parts after its imports at the same moment."""
    controllers = [
        subprocess.Popen(
            [sys.executable, "-c", program, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(number)
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
    assert [one.returncode for one in controllers] == [0] * number, errors


@pytest.mark.parametrize("number", range(3))
def test_controllers_that_begin_at_once_on_an_empty_database_share_its_tables(
    url: str, study: str, number: int
) -> None:
    run_at_once(ASK.replace('"study"', f'"{study}"'), url, 4)
    assert len(trials(url, study)) == 4


def test_controllers_take_each_point_once(url: str) -> None:
    run_at_once(TAKE_ALL.replace('"study"', '"points"'), url, 3)
    taken = Counter(trial.params.get("x") for trial in trials(url, "points") if trial.state.is_finished())
    assert taken == Counter(range(20))


def wait_for(process: "subprocess.Popen[str]", words: str) -> str:
    """Read what a program prints up to the first line with some words."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            break
    return "".join(lines)


def test_the_trials_of_a_killed_controller_go_on_under_another(start: Start, url: str, study: str) -> None:
    line = ("x=1,2,3,4", f"study={study}", f"hydra.sweeper.storage={url}", "steps=20", "sleep=0.1")
    killed = start(*line)
    wait_for(killed, "objective")
    os.killpg(killed.pid, signal.SIGKILL)
    other = start(*line)
    text = output(other)
    assert other.returncode == 0, text
    assert "recovered" in text
    assert [trial.state.name for trial in trials(url, study)] == ["COMPLETE"] * 4
    assert PASSWORD not in text


def test_a_sweep_survives_that_its_database_is_restarted(start: Start, url: str, study: str, server: Server) -> None:
    line = ("x=range(0,10)", f"study={study}", f"hydra.sweeper.storage={url}", "steps=20", "sleep=0.1")
    both = [start(*line) for _ in range(2)]
    texts = [wait_for(both[0], "objective")]
    server.stop()
    time.sleep(6)
    server.start()
    for controller, text in zip(both, [*texts, ""], strict=True):
        text += output(controller)
        assert controller.returncode == 0, text
        assert text.count("does not answer") == text.count("answers again.") == 1, text
        assert "sqlalche" not in text  # in a traceback, or in what SQLAlchemy says of errors
        assert "optuna/" not in text
        assert PASSWORD not in text
    ended = trials(url, study)
    assert Counter(trial.params["x"] for trial in ended) == Counter(range(10))
    assert {trial.state.name for trial in ended} == {"COMPLETE"}
    assert all("attempts" not in trial.user_attrs for trial in ended)


def test_a_sweep_whose_database_stays_away_ends_and_the_same_command_resumes_it(
    start: Start, url: str, study: str, server: Server, folder: Path
) -> None:
    line = ("x=1,2,3,4", f"study={study}", f"hydra.sweeper.storage={url}", "steps=30", "sleep=0.1")
    program = folder / "app" / "app.py"
    impatient = "    from sweeplab.sweep.study import reconnecting\n\n    reconnecting.PATIENCE = 3.0\n    app()\n"
    program.write_text(program.read_text().replace("    app()\n", impatient))
    ending = start(*line)
    text = wait_for(ending, "objective")
    server.stop()
    text += output(ending)
    server.start()
    assert ending.returncode == 1, text
    assert re.search(r"\nError: .* has not answered for \d s .* and the same command resumes the sweep\.\n", text), text
    assert "sqlalche" not in text
    assert PASSWORD not in text
    again = start(*line)
    text = output(again)
    assert again.returncode == 0, text
    assert "recovered" in text
    assert [trial.state.name for trial in trials(url, study)] == ["COMPLETE"] * 4


def test_a_server_that_falls_silent_with_its_sockets_open_is_noticed(
    url: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not isinstance(server, MariaDB):
        pytest.skip("PostgreSQL's driver notices a machine that is gone, not a server that is stopped")
    monkeypatch.setattr(databases, "SILENCE", 2)
    storage, _ = open_storage(url, Path())
    assert isinstance(storage, ReconnectingStorage)
    told: list[str] = []
    storage.tell = told.append
    assert storage.get_all_studies() == []
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    threading.Timer(6, server.process.send_signal, [signal.SIGCONT]).start()
    assert storage.get_all_studies() == []
    assert ["does not answer" in told[0], "answers again" in told[1]] == [True, True]


def test_what_a_url_says_of_timeouts_holds() -> None:
    assert databases._timeouts("mysql+pymysql://me@host/sweeps?read_timeout=5") == {
        "connect_timeout": databases.SILENCE,
        "write_timeout": databases.SILENCE,
    }
