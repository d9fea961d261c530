"""What the upload of offline runs promises, held to by a server: all of it arrives once, or is named."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb

from sweeplab.tracking.sync import find_logs, main
from tests.sweeplab.tracking.conftest import Make, whole_log
from tests.wandb_server import Json, WandbServer

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def fresh_service(wandb_server: WandbServer) -> Iterator[None]:
    """W&B reads its environment, and starts its service, once a process; and no request may surprise the server."""
    wandb.teardown()
    yield
    wandb.teardown()
    assert wandb_server.unknown == []


def renamed(log: Path, time: str) -> Path:
    """Give a run's folder the name of another time: two starts within a second would share one."""
    folder = log.parent.rename(log.parent.with_name(f"offline-run-{time}-{log.stem.removeprefix('run-')}"))
    return folder / log.name


def rows(server: WandbServer, id: str) -> list[int]:
    return [row["row"] for row in server.run(id).history]


def test_each_run_arrives_whole_and_once(
    make: Make, study: Path, wandb_server: WandbServer, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, exit_code in enumerate((0, 0, 1)):
        make(f"cnn-{number}", exit_code=exit_code)
    assert main([str(study)]) == 0
    assert "3 uploaded" in capsys.readouterr().out
    for number, state in enumerate(("finished", "finished", "failed")):
        run = wandb_server.run(f"cnn-{number}")
        assert (run.state, run.project, run.group, run.job_type, run.tags) == (state, "p", "cnn", "trial", ["t"])
        assert (run.config, run.summary["objective"]) == ({"lr": {"x": 1}}, 0.5)
        assert rows(wandb_server, run.id) == list(range(10))
    asked = len(wandb_server.requests)
    assert main([str(study)]) == 0
    assert "0 runs to upload, 3 uploaded already" in capsys.readouterr().out
    assert len(wandb_server.requests) == asked


def test_wandb_sync_agrees_on_what_is_uploaded(make: Make, study: Path) -> None:
    make("cnn-0")
    assert main([str(study)]) == 0
    command = [sys.executable, "-m", "wandb", "sync", str(study / "wandb")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Skipped 1 synced run" in done.stderr


def test_again_uploads_again_and_adds_no_rows(make: Make, study: Path, wandb_server: WandbServer) -> None:
    make("cnn-0", weights=b"best")
    assert main([str(study)]) == 0
    sent = wandb_server.requests.count("file_stream")
    assert main([str(study), "--again"]) == 0
    assert wandb_server.requests.count("file_stream") > sent
    assert rows(wandb_server, "cnn-0") == list(range(10))
    assert [artifact.version for artifact in wandb_server.run("cnn-0").artifacts] == [0]


def test_a_list_uploads_nothing(
    make: Make, study: Path, wandb_server: WandbServer, capsys: pytest.CaptureFixture[str]
) -> None:
    log = make("cnn-0")
    assert main([str(study), "--list"]) == 0
    assert log.parent.name in capsys.readouterr().out
    assert wandb_server.runs == {}


def test_parts_of_a_resumed_run_arrive_in_the_order_of_time(make: Make, study: Path, wandb_server: WandbServer) -> None:
    renamed(make("cnn-0"), "29991231_235959")  # the name says the opposite of the time within
    make("cnn-0", first=10)
    assert main([str(study)]) == 0
    run = wandb_server.run("cnn-0")
    assert rows(wandb_server, "cnn-0") == list(range(20))
    assert [row["_step"] for row in run.history] == list(range(20))
    assert run.state == "finished"


def test_a_torn_log_is_named_and_holds_nothing_else_up(
    make: Make, study: Path, wandb_server: WandbServer, capsys: pytest.CaptureFixture[str]
) -> None:
    log = make("cnn-0")
    make("cnn-1")
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])
    assert main([str(study)]) == 1
    out = capsys.readouterr().out
    assert "1 uploaded, 1 uploaded in part" in out
    assert "uploaded in part: cnn-0: the log is incomplete" in out
    assert 0 < len(rows(wandb_server, "cnn-0")) < 10
    assert wandb_server.run("cnn-0").state == "failed"
    assert rows(wandb_server, "cnn-1") == list(range(10))
    assert main([str(study)]) == 0, "all that there is was uploaded"


def test_what_follows_a_torn_log_of_the_same_run_arrives(make: Make, study: Path, wandb_server: WandbServer) -> None:
    log = renamed(make("cnn-0"), "20200101_000000")
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])
    make("cnn-0", first=10)
    assert main([str(study)]) == 0
    assert rows(wandb_server, "cnn-0")[-10:] == list(range(10, 20))
    assert wandb_server.run("cnn-0").state == "finished"


def test_a_run_that_went_on_is_uploaded_again(make: Make, study: Path, wandb_server: WandbServer) -> None:
    log = make("cnn-0")
    whole = log.read_bytes()
    log.write_bytes(whole[: len(whole) // 2])
    assert main([str(study)]) == 1
    log.write_bytes(whole)
    assert main([str(study)]) == 0
    assert rows(wandb_server, "cnn-0") == list(range(10))
    assert wandb_server.run("cnn-0").state == "finished"


def test_an_empty_log_is_named_and_holds_nothing_else_up(
    make: Make, study: Path, wandb_server: WandbServer, capsys: pytest.CaptureFixture[str]
) -> None:
    log = make("cnn-0")
    make("cnn-1")
    log.write_bytes(log.read_bytes()[:7])
    assert main([str(study)]) == 1
    assert "not uploaded: cnn-0: its log is empty" in capsys.readouterr().out
    assert [run.id for run in wandb_server.runs.values()] == ["cnn-1"]


def test_a_server_that_goes_half_way_is_told_and_the_same_command_finishes(
    make: Make, study: Path, wandb_server: WandbServer, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(4):
        make(f"cnn-{number}", weights=bytes([number]))
    ended: list[str] = []

    def go(what: str, sent: Json) -> None:
        if what == "file_stream" and sent.get("complete"):
            ended.append(what)
            if len(ended) == 3:
                wandb_server.gone()

    wandb_server.on_request = go
    assert main([str(study), "-n", "1", "--patience", "0.5"]) == 1
    out = capsys.readouterr().out
    arrived = {run.id for run in wandb_server.runs.values() if run.state == "finished"}
    (line,) = [line for line in out.splitlines() if "the server is gone" in line]
    assert {id for id in ("cnn-0", "cnn-1", "cnn-2", "cnn-3") if id in line} == {"cnn-2", "cnn-3"}
    assert arrived == {"cnn-0", "cnn-1"}
    wandb_server.on_request = None
    wandb_server.back()
    assert main([str(study)]) == 0
    assert "2 uploaded, 2 uploaded already" in capsys.readouterr().out
    for number in range(4):
        run = wandb_server.run(f"cnn-{number}")
        assert rows(wandb_server, run.id) == list(range(10))
        assert [artifact.files for artifact in run.artifacts] == [{"best.ckpt": bytes([number])}]


def test_a_run_whose_record_is_damaged_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(SystemExit, match=r"Error: .*run\.json is broken"):
        main([str(tmp_path)])


def test_artifacts_arrive_with_a_study_that_was_moved(make: Make, study: Path, wandb_server: WandbServer) -> None:
    make("cnn-0", weights=b"best")
    moved = study.parent.rename(study.parent.with_name("elsewhere")) / study.name
    log = next(moved.rglob("offline-*/*.wandb"))
    before = log.read_bytes()
    assert main([str(moved)]) == 0
    (artifact,) = wandb_server.run("cnn-0").artifacts
    assert (artifact.type, artifact.name, sorted(artifact.aliases)) == ("model", "model-cnn-0", ["best", "latest"])
    assert artifact.files == {"best.ckpt": b"best"}
    assert log.read_bytes() == before
    assert main([str(moved), "--again"]) == 0
    assert rows(wandb_server, "cnn-0") == list(range(10))


def test_files_of_artifacts_that_are_gone_are_named_until_they_are_back(
    make: Make, study: Path, wandb_server: WandbServer, capsys: pytest.CaptureFixture[str]
) -> None:
    make("cnn-0", weights=b"best")
    data = study / "wandb" / "data"
    away = data.rename(study.parent / "data")
    for _ in range(2):
        assert main([str(study)]) == 1
        assert "uploaded in part: cnn-0: without model-cnn-0, for " in capsys.readouterr().out
    assert rows(wandb_server, "cnn-0") == list(range(10))
    away.rename(data)
    assert main([str(study)]) == 0
    assert [artifact.files for artifact in wandb_server.run("cnn-0").artifacts] == [{"best.ckpt": b"best"}]


def test_a_file_of_an_artifact_that_changed_is_not_uploaded_for_what_it_was(
    make: Make, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make("cnn-0", weights=b"best")
    (staged,) = (study / "wandb" / "data" / "artifacts" / "staging").iterdir()
    staged.chmod(0o600)
    staged.write_bytes(b"rest")
    assert main([str(study)]) == 1
    assert "without model-cnn-0" in capsys.readouterr().out


def test_another_project_gets_all_of_a_run(
    make: Make, study: Path, wandb_server: WandbServer, capsys: pytest.CaptureFixture[str]
) -> None:
    make("cnn-0", weights=b"best")
    assert main([str(study), "--project", "other", "--entity", "team"]) == 0
    assert f"{wandb_server.url}/team/other\n" in capsys.readouterr().out
    (run,) = wandb_server.runs.values()
    assert (run.entity, run.project, run.state) == ("team", "other", "finished")
    assert rows(wandb_server, "cnn-0") == list(range(10))
    assert [artifact.files for artifact in run.artifacts] == [{"best.ckpt": b"best"}]
    assert main([str(study)]) == 0
    assert len(wandb_server.runs) == 1


def test_pictures_and_tables_arrive_from_a_copied_log_too(
    study: Path, wandb_server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_DATA_DIR", str(study / "wandb" / "data"))
    study.mkdir(parents=True)
    with wandb.init(project="p", dir=str(study), id="cnn-0", mode="offline", settings={"silent": True}) as run:
        run.log({"table": wandb.Table(columns=["a"], data=[[1], [2]])})
    whole_log(run)
    assert main([str(study), "--project", "other"]) == 0
    arrived = wandb_server.run("cnn-0")
    assert any(name.startswith("media/table/") for name in arrived.files)
    assert [artifact.type for artifact in arrived.artifacts] == ["run_table"]


def test_the_folder_of_a_trial_means_its_run(make: Make, study: Path, wandb_server: WandbServer) -> None:
    for number in range(2):
        make(f"cnn-{number}")
        (study / str(number)).mkdir()
        (study / str(number) / "run.json").write_text(json.dumps({"wandb": {"id": f"cnn-{number}"}}))
    assert main([str(study / "1")]) == 0
    assert [run.id for run in wandb_server.runs.values()] == ["cnn-1"]


def test_a_folder_above_means_all_below_it(
    make: Make, study: Path, wandb_server: WandbServer, capsys: pytest.CaptureFixture[str]
) -> None:
    make("cnn-0")
    make("mlp-0", folder=study.with_name("mlp"))
    assert main([str(study.parent), str(study)]) == 0
    assert sorted(run.id for run in wandb_server.runs.values()) == ["cnn-0", "mlp-0"]
    assert "2 of 2 runs uploaded" in capsys.readouterr().out


def test_the_copied_target_of_a_link_is_no_second_run(make: Make, study: Path, wandb_server: WandbServer) -> None:
    make("cnn-0")
    copy = study.with_name("copy")
    shutil.copytree(study, copy)
    assert (copy / "wandb" / "latest-run").is_dir()
    assert not (copy / "wandb" / "latest-run").is_symlink()
    assert main([str(copy), "--online"]) == 0
    assert wandb_server.requests.count("RunResumeStatus") == 1


def test_a_log_that_is_on_its_way_from_a_node_is_none_yet(tmp_path: Path) -> None:
    (hidden := tmp_path / ".hidden" / "study").mkdir(parents=True)  # a user may have all in a hidden folder
    for above in (hidden, hidden / ".arriving-x"):
        log = above / "wandb" / "offline-run-1-a" / "run-a.wandb"
        log.parent.mkdir(parents=True)
        log.touch()
    assert find_logs([hidden]) == [hidden / "wandb" / "offline-run-1-a" / "run-a.wandb"]


def test_a_wrong_folder_is_named(make: Make, study: Path) -> None:
    make("cnn-0")
    with pytest.raises(SystemExit, match=f"there is no {study}x; did you mean '{study}'?"):
        main([f"{study}x"])
    empty = study.parent / "empty"
    empty.mkdir()
    with pytest.raises(SystemExit, match=f"{empty} holds no offline runs of W&B"):
        main([str(empty)])


def test_a_run_that_was_online_is_uploaded_if_asked(study: Path, wandb_server: WandbServer) -> None:
    study.mkdir(parents=True)
    with wandb.init(project="p", dir=str(study), id="cnn-0", resume="allow", settings={"silent": True}) as run:
        for row in range(10):
            run.log({"row": row})
    wandb_server.runs.clear()  # as if the server had been gone
    with pytest.raises(SystemExit, match="no offline runs of W&B; --online uploads"):
        main([str(study)])
    assert main([str(study), "--online"]) == 0
    assert rows(wandb_server, "cnn-0") == list(range(10))


def test_the_saved_view_is_pushed_once(
    make: Make, study: Path, wandb_server: WandbServer, capsys: pytest.CaptureFixture[str]
) -> None:
    make("cnn-0")
    workspaces = pytest.importorskip("wandb_workspaces.workspaces")
    view: Any = workspaces.Workspace(entity="x", project="p", name="cnn", sections=[])._to_model()
    view.entity = ""
    (study / "wandb" / "view.json").write_text(view.model_dump_json(by_alias=True, exclude_none=True))
    for _ in range(2):
        assert main([str(study)]) == 0
    assert capsys.readouterr().out.count("saved view http") == 1
    assert [(view.title, view.project) for view in wandb_server.views] == [("cnn", "p")]
    assert wandb_server.requests.count("UpsertView2") == 1


def test_help_and_mistakes_need_no_wandb() -> None:
    code = "import sys, sweeplab.tracking.sync; sys.exit(bool({'wandb', 'torch', 'hydra', 'rich'} & {*sys.modules}))"
    subprocess.run([sys.executable, "-c", code], check=True)


KILLED = """
import os, signal, sys, wandb
settings = wandb.Settings(silent=True, console="off", x_transaction_log_flush_interval=0.1)
run = wandb.init(project="p", dir=sys.argv[1], id="cnn-0", mode="offline", resume="allow", settings=settings)
for row in range(10):
    run.log({"row": row})
print("logged", flush=True)
sys.stdin.read()
"""


def test_a_killed_run_that_was_resumed_arrives_as_one(make: Make, study: Path, wandb_server: WandbServer) -> None:
    study.mkdir(parents=True)
    command = [sys.executable, "-c", KILLED, str(study)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, start_new_session=True, **pipes) as process:  # type: ignore[call-overload]  # pipes
        assert process.stdout.readline() == b"logged\n"
        (log,) = study.rglob("offline-*/*.wandb")
        while log.read_bytes().count(b"row") < 10:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
    make("cnn-0", first=10)
    assert main([str(study)]) == 0
    assert rows(wandb_server, "cnn-0") == list(range(20))
    assert wandb_server.run("cnn-0").state == "finished"


def test_ctrl_c_ends_it_and_the_same_command_finishes(make: Make, study: Path, wandb_server: WandbServer) -> None:
    for number in range(3):
        make(f"cnn-{number}")
    wandb.teardown()
    command = [sys.executable, "-m", "sweeplab.tracking.sync", str(study), "-n", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        interrupted = threading.Event()

        def interrupt(what: str, sent: Json) -> None:
            if what == "file_stream" and not interrupted.is_set():
                interrupted.set()
                process.send_signal(signal.SIGINT)
                wandb_server.failing = "everything"

        wandb_server.on_request = interrupt
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == "Interrupted; the same command uploads the rest.\n"
    wandb_server.on_request, wandb_server.failing = None, None
    assert main([str(study)]) == 0
    assert [rows(wandb_server, f"cnn-{number}") for number in range(3)] == [list(range(10))] * 3


def test_variables_of_the_projects_file_are_read(
    make: Make, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("cnn-0")
    (tmp_path / ".env").write_text("FOR_SYNC=1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHON_DOTENV_DISABLED")
    monkeypatch.setenv("FOR_SYNC", "of the test")
    monkeypatch.delenv("FOR_SYNC")  # such that it is gone again after the test
    assert main([str(study), "--list"]) == 0
    assert os.environ["FOR_SYNC"] == "1"
