"""What W&B's machinery of uploads does for several logs, with servers that fail."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wandb

from sweeplab.tracking.sync import main
from sweeplab.tracking.upload import Sent, Uploads
from tests.sweeplab.tracking.conftest import Make
from tests.wandb_server import Json, WandbServer

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def fresh_service(wandb_server: WandbServer) -> Iterator[None]:
    """W&B reads its environment, and starts its service, once a process; and no request may surprise the server."""
    wandb.teardown()
    yield
    wandb.teardown()
    assert wandb_server.unknown == []


def test_runs_are_uploaded_at_the_same_time(make: Make, study: Path, wandb_server: WandbServer) -> None:
    for number in range(3):
        make(f"cnn-{number}")
    met, all_there = set[str](), threading.Barrier(3)

    def wait(what: str, sent: Json) -> None:
        if what == "UpsertBucket" and sent["name"] not in met:
            met.add(sent["name"])
            all_there.wait(timeout=30)

    wandb_server.on_request = wait
    assert main([str(study), "-n", "3"]) == 0
    assert len(met) == 3


def test_a_server_that_fails_all_the_time_is_given_up(
    make: Make, study: Path, wandb_server: WandbServer, capsys: pytest.CaptureFixture[str]
) -> None:
    make("cnn-0")
    wandb_server.failing = "file_stream"
    assert main([str(study), "--patience", "0.5"]) == 1
    assert "not uploaded: cnn-0: the server is gone or fails (retrying HTTP 500" in capsys.readouterr().out
    wandb_server.failing = None
    assert main([str(study)]) == 0


def no_key(server: WandbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY")


def refused(server: WandbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.refuses = 401


def unreachable(server: WandbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.gone()


@pytest.mark.parametrize(
    ("trouble", "message"),
    [(no_key, "no key on this machine"), (refused, "refuses the key"), (unreachable, "does not answer")],
)
def test_no_account_or_no_server_is_said_at_once(
    make: Make,
    study: Path,
    wandb_server: WandbServer,
    monkeypatch: pytest.MonkeyPatch,
    trouble: Callable[[WandbServer, pytest.MonkeyPatch], None],
    message: str,
) -> None:
    make("cnn-0")
    trouble(wandb_server, monkeypatch)
    wandb.teardown()
    with pytest.raises(SystemExit, match=message) as error:
        main([str(study)])
    assert str(error.value).startswith("Error: ")
    assert wandb_server.runs == {}


def test_files_that_the_storage_refuses_are_told(
    make: Make, study: Path, wandb_server: WandbServer, capsys: pytest.CaptureFixture[str]
) -> None:
    make("cnn-0", weights=b"best")
    wandb_server.storage_refuses = True
    assert main([str(study)]) == 1
    assert "W&B did not take all files (status: 403" in capsys.readouterr().out
    wandb_server.storage_refuses = False
    assert main([str(study)]) == 0
    assert [artifact.files for artifact in wandb_server.run("cnn-0").artifacts] == [{"best.ckpt": b"best"}]


def test_an_upload_that_is_killed_marks_no_run_whose_files_were_refused(
    make: Make, study: Path, wandb_server: WandbServer
) -> None:
    """W&B leaves its mark beside what it has sent, whatever became of the files."""
    make("cnn-0", weights=b"best")
    send = Uploads.send

    def send_and_die(uploads: Uploads, log: Path) -> Sent:
        send(uploads, log)
        raise KeyboardInterrupt

    wandb_server.storage_refuses = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Uploads, "send", send_and_die)
        assert main([str(study)]) == 130
    wandb_server.storage_refuses = False
    wandb.teardown()
    assert main([str(study)]) == 0
    assert [artifact.files for artifact in wandb_server.run("cnn-0").artifacts] == [{"best.ckpt": b"best"}]
