import fcntl
import multiprocessing
import sys
from pathlib import Path
from types import SimpleNamespace

import optuna
import psutil
import pytest
from optuna.study import StudyDirection

from sweeplab.errors import UserError
from sweeplab.records.study import Study
from sweeplab.sweep.study.client import StudyClient
from sweeplab.sweep.study.search import Points
from sweeplab.sweep.study.storage import is_shared, open_storage
from sweeplab.sweep.study.study import open_study
from tests.sweeplab.sweep.conftest import Start, Sweep, output, trials

SECRET = "geheim"
# SQLite ignores what it does not know in the address of a file.
URL = f"sqlite:///file:study.db?uri=true&password={SECRET}"


def told(folder: Path) -> list[Path]:
    """The files that hold the password."""
    return [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


@pytest.mark.slow
def test_no_password_is_written_or_printed(start: Start, folder: Path) -> None:
    for goes_on in (False, True):
        line = ("x=1,2", f'hydra.sweeper.storage="{URL}"')
        ending = () if goes_on else ("how=raises", "hydra.sweeper.fail_fast=true", "study=failing")
        process = start(*line, *ending)
        text = output(process)
        assert process.returncode == (0 if goes_on else 1), text
        assert SECRET not in text
        assert told(folder) == []
    assert Study.read(Path("multirun/study").absolute()).storage == URL.replace(SECRET, "***")
    assert [trial.state.name for trial in trials(storage=URL)] == ["COMPLETE", "COMPLETE"]


@pytest.mark.slow
def test_a_password_from_the_environment_stays_where_it_is(
    sweep: Sweep, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SWEEPS", URL)
    storage = "hydra.sweeper.storage=${oc.env:SWEEPS}"
    monkeypatch.setattr("sys.argv", ["app.py", "-m", "x=1,2", storage])
    assert sweep("x=1,2", storage, "how=raises", "hydra.sweeper.fail_fast=true") == 1
    assert f"To resume: python app.py -m x=1,2 '{storage}' study=study\n" in capsys.readouterr().out
    assert told(folder) == []
    assert "storage: ${oc.env:SWEEPS}" in Path("multirun/study/multirun.yaml").read_text()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:***@host/db", r"has no password: write yours for \*\*\*"),
        ("postgresql://u:gehe@im@host/db", "write each @ in the user name or password as %40"),
        ("sqlite:////no/such/folder/s.db?password=geheim", "there is no folder /no/such/folder"),
        ("no://u:geheim@host", "cannot be opened"),
    ],
)
def test_what_is_wrong_with_a_storage_is_told_without_its_password(tmp_path: Path, url: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        open_storage(url, tmp_path)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("url", "package", "said"),
    [
        ("mysql+pymysql://u:geheim@host/db", "pymysql", r"pip install 'sweeplab\[mysql\]'\.$"),
        ("mysql://u:geheim@host/db", "MySQLdb", r"pip install 'sweeplab\[mysql\]', and write mysql\+pymysql://\.$"),
        ("postgresql+psycopg://u:geheim@host/db", "psycopg", r"pip install 'sweeplab\[postgres\]'\.$"),
        (
            "postgresql+psycopg2://u:geheim@host/db",
            "psycopg2",
            r"'sweeplab\[postgres\]', and write postgresql\+psycopg://\.$",
        ),
        ("grpc://host:1234", "grpc", r"pip install 'sweeplab\[grpc\]'\.$"),
        ("oracle://u:geheim@host/db", "cx_Oracle", "SQLAlchemy's documentation names it"),
    ],
)
def test_a_driver_that_is_not_installed_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, package: str, said: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=said) as error:
        open_storage(url, tmp_path)
    assert SECRET not in str(error.value)


def mounts(monkeypatch: pytest.MonkeyPatch, *table: tuple[Path, str]) -> None:
    """Have the system say so of its mounts, where locks of the kernel hold nobody back."""
    entries = [SimpleNamespace(mountpoint=str(place), fstype=kind) for place, kind in table]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: entries)
    monkeypatch.setattr(fcntl, "flock", lambda handle, how: None)


@pytest.mark.parametrize(
    ("table", "shared"),
    [
        ([("", "ext4")], False),
        ([("", "nfs4")], True),
        ([("", "ext4"), ("home", "nfs")], True),
        ([("", "nfs"), ("home", "xfs")], False),
        ([("home", "nfs4"), ("", "ext4")], True),
        ([("home", "autofs"), ("home", "nfs4")], True),
        ([("hom", "nfs4"), ("", "ext4")], False),
        ([("", "ext4"), ("home", "fuse.sshfs")], True),
        ([], False),
    ],
)
def test_a_folder_is_what_the_innermost_mount_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: list[tuple[str, str]], shared: bool
) -> None:
    mounts(monkeypatch, *((tmp_path / place, kind) for place, kind in table))
    assert is_shared(tmp_path / "home" / "sweeps") is shared


def take_all(folder: Path) -> None:
    """Take trials until there is none left, as one controller of several."""
    storage, lock = open_storage(None, folder)
    client = StudyClient(open_study(storage, "study", [StudyDirection.MINIMIZE]), lock, 0, folder)
    points = Points({"x": x} for x in range(30))
    while (trial := client.ask(None, lambda trial: trial.suggest_int("x", 0, 29), points)) is not None:
        client.study.tell(trial, 0.0)


@pytest.mark.slow
def test_controllers_on_a_shared_folder_take_each_point_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts(monkeypatch, (tmp_path, "nfs4"))
    fork = multiprocessing.get_context("fork")
    controllers = [fork.Process(target=take_all, args=(tmp_path,)) for _ in range(4)]
    for controller in controllers:
        controller.start()
    for controller in controllers:
        controller.join()
    assert [controller.exitcode for controller in controllers] == [0] * 4
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(f"{tmp_path}/study.journal"))
    taken = [trial.params["x"] for trial in optuna.load_study(study_name="study", storage=storage).trials]
    assert taken == list(range(30))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study.journal"]


def test_sqlite_on_a_shared_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts(monkeypatch, (tmp_path, "nfs4"))
    with pytest.raises(UserError, match="SQLite is not safe on a shared file system"):
        open_storage(f"sqlite:///{tmp_path}/s.db", tmp_path)
