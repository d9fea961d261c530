import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import wandb
from wandb.sdk.data_types._private import MEDIA_TMP

from sweeplab.records.record import read
from tests.conftest import Compose
from tests.sweeplab.tracking.mishaps import At, kill_service
from tests.training import run
from tests.wandb_log import offline_runs, records, summary
from tests.wandb_server import WandbServer

TINY = ("model=linear", "trainer.max_epochs=4", "logger=wandb", "trainer.log_every_n_steps=1")
AT_STEP = "+callbacks.mishap={_target_: tests.sweeplab.tracking.mishaps.At, step: 30}"
ITSELF = "+callbacks.itself={_target_: tests.sweeplab.tracking.mishaps.LogsItself}"


@pytest.fixture(autouse=True)
def fresh_service() -> Iterator[None]:
    """W&B reads its environment, and starts its service, once a process."""
    wandb.teardown()
    yield
    assert wandb.run is None
    wandb.teardown()


def rows(folder: Path, key: str) -> list[int]:
    """The global steps at which a metric was recorded."""
    found = [row["item"] for row in records(folder, "history")]
    return [int(row["trainer/global_step"]) for row in found if key in row and "trainer/global_step" in row]


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["logger.wandb.watch=gradients"], [ITSELF]], ids=["logger", "hooks", "callback"])
def test_a_service_that_dies_ends_no_training_and_the_record_goes_on(
    configured: Compose, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, more: list[str]
) -> None:
    monkeypatch.setattr(At, "todo", staticmethod(kill_service), raising=False)
    config = configured(*TINY, AT_STEP, *more)
    objective = run(config)
    folder = Path(config.folder)
    _, second = offline_runs(folder)
    told = summary(second)
    assert (told["state"], told["summary"]["status"]) == ("finished", "complete")
    assert told["summary"]["objective"] == pytest.approx(objective)
    assert told["config"]["command"] == read(folder)["command"]
    assert rows(second, "train/loss")[-1] > 30
    assert caplog.text.count("its service died") == 1
    assert read(folder)["wandb"]["kept"] == "disk"


@pytest.mark.slow
def test_a_service_that_dies_again_ends_no_training_either(
    configured: Compose, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(At, "todo", staticmethod(kill_service), raising=False)
    again = "+callbacks.again={_target_: tests.sweeplab.tracking.mishaps.At, step: 50}"
    config = configured(*TINY, AT_STEP, again)
    assert isinstance(run(config), float)
    assert caplog.text.count("the run continues without it") == 1
    assert read(Path(config.folder))["wandb"]["kept"] == "partly"


@pytest.mark.slow
def test_a_run_that_is_online_is_whole_on_the_server(configured: Compose, wandb_server: WandbServer) -> None:
    config = configured(*TINY)
    objective = run(config)
    facts = read(Path(config.folder))["wandb"]
    there = wandb_server.run(facts["id"])
    assert (there.state, there.exit_code, there.summary["status"]) == ("finished", 0, "complete")
    assert there.summary["objective"] == pytest.approx(objective)
    assert there.config["optimizer"]["lr"] == 0.001
    assert (facts["mode"], facts["kept"]) == ("online", "server")
    assert facts["url"].endswith(facts["id"])
    assert wandb_server.unknown == []


@pytest.mark.slow
def test_a_slow_server_changes_nothing(configured: Compose, wandb_server: WandbServer) -> None:
    wandb_server.latency = 0.1
    config = configured(*TINY)
    run(config)
    facts = read(Path(config.folder))["wandb"]
    assert facts["kept"] == "server"
    assert len(wandb_server.run(facts["id"]).history) > 80


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["gone", "failing"])
def test_a_server_that_goes_ends_no_training_and_the_record_is_on_disk(
    configured: Compose,
    wandb_server: WandbServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    trouble: str,
) -> None:
    def fail() -> None:
        wandb_server.failing = "everything"

    monkeypatch.setattr("sweeplab.tracking.settings.FINISH_WITHIN", 3.0)
    monkeypatch.setattr(At, "todo", staticmethod(wandb_server.gone if trouble == "gone" else fail), raising=False)
    config = configured(*TINY, AT_STEP, "task.callbacks.charts=null")
    assert isinstance(run(config), float)
    facts = read(Path(config.folder))["wandb"]
    assert facts["kept"] == "disk"
    directory = (Path(config.folder) / facts["directory"]).resolve()
    assert summary(directory)["summary"]["status"] == "complete"
    assert caplog.text.count("upload incomplete") == 1


@pytest.mark.slow
def test_a_server_that_takes_no_run_leaves_it_offline(
    configured: Compose,
    wandb_server: WandbServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("sweeplab.tracking.settings.INIT_WITHIN", 2.0)
    config = configured(*TINY, "logger.wandb.offline=false")
    wandb_server.gone()
    assert isinstance(run(config), float)
    facts = read(Path(config.folder))["wandb"]
    assert (facts["mode"], facts["kept"]) == ("offline", "disk")
    assert caplog.text.count("no run in mode online") == 1


def test_a_place_that_cannot_be_written_ends_no_training(configured: Compose, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    config = configured(*TINY, f"logger.wandb.save_dir={tmp_path}/taken/below")
    assert isinstance(run(config), float)
    assert read(Path(config.folder))["wandb"]["kept"] == "nowhere"


def remove(path: Path) -> None:
    shutil.rmtree(path)
    assert not path.exists()


def take_the_temporary_folder() -> None:
    """Put a file in the place of all that is temporary."""
    folder = Path(os.environ["TMPDIR"])
    shutil.rmtree(folder)
    folder.touch()


def take_the_sockets() -> None:
    for path in Path(os.environ["TMPDIR"]).rglob("*"):
        if path.is_socket():
            path.unlink()


def fill_the_disk() -> None:
    """Let no file of this process or its children grow any more, as on a full disk."""
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        if "wandb-core" in process.name():
            process.rlimit(psutil.RLIMIT_FSIZE, (0, 0))


NEEDED: dict[str, Callable[[Path], None]] = {
    "nothing": lambda folder: None,
    "media-folder": lambda folder: remove(Path(MEDIA_TMP.name)),
    "run-folder": lambda folder: remove(offline_runs(folder)[0]),
    "files": lambda folder: remove(offline_runs(folder)[0] / "files"),
    "wandb-folder": lambda folder: remove(folder / "wandb"),
    "log": lambda folder: next(offline_runs(folder)[0].glob("run-*.wandb")).unlink(),
    "temporary-folder": lambda folder: take_the_temporary_folder(),
    "sockets": lambda folder: take_the_sockets(),
    "service": lambda folder: kill_service(),
    "disk": lambda folder: fill_the_disk(),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NEEDED)
def test_whatever_wandb_needs_is_taken_away_the_training_goes_on(
    configured: Compose, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    temporary = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))  # short, for sockets
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(MEDIA_TMP, "name", tempfile.mkdtemp(dir=temporary))
    config = configured(*TINY[:1], "trainer.max_epochs=3", *TINY[2:], AT_STEP, "logger.wandb.log_model=all")
    config.task.callbacks.samples = {
        "_target_": "sweeplab.tasks.Samples",
        "folder": f"{config.folder}/samples",
        "every_n_epochs": 1,
    }
    folder = Path(config.folder)
    monkeypatch.setattr(At, "todo", staticmethod(lambda: NEEDED[name](folder)), raising=False)
    try:
        assert isinstance(run(config), float)
    finally:
        shutil.rmtree(temporary) if temporary.is_dir() else temporary.unlink()
    facts = read(folder)
    assert facts["status"] == "complete"
    assert facts["metrics"]["test/acc"] > 0
    assert facts["wandb"]["kept"] in (
        {"disk"} if name in ("nothing", "media-folder") else {"disk", "partly", "nowhere"}
    )


def synced(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sweeplab.tracking.sync", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_what_a_dead_service_did_not_send_is_brought_by_sync(
    configured: Compose, wandb_server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(At, "todo", staticmethod(kill_service), raising=False)
    config = configured(*TINY, AT_STEP)
    objective = run(config)
    folder = Path(config.folder)
    assert read(folder)["wandb"]["kept"] == "both"
    done = synced(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    there = wandb_server.run(read(folder)["wandb"]["id"])
    assert (there.state, there.summary["objective"]) == ("finished", pytest.approx(objective))
    assert there.history[-1]["trainer/global_step"] > 30


@pytest.mark.slow
def test_a_key_that_is_refused_half_way_is_told_and_sync_brings_the_rest(
    configured: Compose,
    wandb_server: WandbServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse() -> None:
        wandb_server.refuses = 401

    monkeypatch.setattr("sweeplab.tracking.settings.FINISH_WITHIN", 3.0)
    monkeypatch.setattr(At, "todo", staticmethod(refuse), raising=False)
    config = configured(*TINY, AT_STEP, "task.callbacks.charts=null")
    run(config)
    folder = Path(config.folder)
    assert read(folder)["wandb"]["kept"] == "disk"
    assert "upload incomplete" in caplog.text
    wandb_server.refuses = None
    done = synced(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    there = wandb_server.run(read(folder)["wandb"]["id"])
    assert (there.state, there.summary["status"]) == ("finished", "complete")
