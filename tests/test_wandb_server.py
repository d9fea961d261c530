"""That the server of the other tests takes what W&B's client sends, and keeps it as it was meant."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb

from tests.wandb_server import WandbServer

WANDB = (sys.executable, "-m", "wandb")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    wandb.teardown()
    with WandbServer() as server:
        for name, value in {**server.env, "HOME": str(tmp_path), "WANDB_DIR": str(tmp_path)}.items():
            monkeypatch.setenv(name, value)
        yield server
        wandb.teardown()
        assert server.unknown == []


def start(**init: object) -> wandb.Run:
    return wandb.init(project="p", settings={"silent": True}, **init)  # type: ignore[arg-type]  # of many types


def test_a_run_is_kept_as_it_was_logged(server: WandbServer) -> None:
    run = start(id="a", name="first", group="g", job_type="trial", tags=["t"], notes="n", config={"lr": {"x": 1}})
    run.log({"loss": 2.0})
    run.log({"loss": 1.0})
    run.config["late"] = True
    run.summary["best"] = 1.0
    run.finish(exit_code=3)
    kept = server.run("a")
    assert (kept.entity, kept.project, kept.name, kept.group, kept.job_type) == ("somebody", "p", "first", "g", "trial")
    assert (kept.tags, kept.notes, kept.config) == (["t"], "n", {"lr": {"x": 1}, "late": True})
    assert [row["loss"] for row in kept.history] == [2.0, 1.0]
    assert kept.summary["best"] == 1.0
    assert (kept.state, kept.exit_code) == ("failed", 3)
    assert "wandb-metadata.json" in kept.files


def test_a_resumed_run_goes_on_where_it_was(server: WandbServer) -> None:
    for first in (0, 3):
        with start(id="a", resume="allow") as run:
            for row in range(first, first + 3):
                run.log({"row": row})
    assert [(row["row"], row["_step"]) for row in server.run("a").history] == [(row, row) for row in range(6)]


@pytest.mark.slow
def test_artifacts_and_tables_are_kept_with_their_files(server: WandbServer, tmp_path: Path) -> None:
    for content, alias in ((b"one", "old"), (b"two", "best"), (b"two", "again")):
        with start(id=alias) as run:
            (tmp_path / "best.ckpt").write_bytes(content)
            artifact = wandb.Artifact("model", "model", metadata={"epoch": 1})
            artifact.add_file(str(tmp_path / "best.ckpt"))
            run.log_artifact(artifact, aliases=[alias])
    with start(id="with a table") as run:
        run.log({"table": wandb.Table(columns=["a"], data=[[1]])})
    first, second, table = server.artifacts
    assert (first.version, first.files, first.aliases) == (0, {"best.ckpt": b"one"}, ["old"])
    assert (second.version, second.files) == (1, {"best.ckpt": b"two"})
    assert set(second.aliases) == {"best", "again", "latest"}
    assert (second.type, second.metadata, second.state) == ("model", {"epoch": 1}, "COMMITTED")
    assert (table.type, list(table.files)) == ("run_table", ["table.table.json"])
    assert server.run("again").artifacts == server.run("best").artifacts == [second]


def test_it_goes_and_comes_back_with_what_it_had(server: WandbServer) -> None:
    with start(id="a") as run:
        run.log({"row": 0})
    server.gone()
    wandb.teardown()
    server.back()
    with start(id="a", resume="must") as run:
        run.log({"row": 1})
    assert [row["row"] for row in server.run("a").history] == [0, 1]


@pytest.mark.slow
def test_an_agent_runs_the_points_it_is_given(server: WandbServer, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import sys, wandb\n"
        "with wandb.init(config={'arguments': sys.argv[1:]}) as run:\n"
        "    run.log({'objective': 1})\n"
    )
    (tmp_path / "sweep.json").write_text(
        json.dumps(
            {
                "program": "train.py",
                "method": "grid",
                "parameters": {"lr": {"values": [1, 2]}},
                "command": ["${env}", sys.executable, "${program}", "${args_no_hyphens}"],
            }
        )
    )
    subprocess.run([*WANDB, "sweep", "--project", "p", "sweep.json"], cwd=tmp_path, capture_output=True, check=True)
    (sweep,) = server.sweeps
    assert (sweep.project, sweep.config["method"]) == ("p", "grid")
    server.points = [{"lr": 1}, {"lr": 2}]
    agent = [*WANDB, "agent", f"somebody/p/{sweep.id}"]
    done = subprocess.run(agent, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert [(run.sweep, run.state) for run in server.runs.values()] == [(sweep.id, "finished")] * 2
    assert [run.config for run in server.runs.values()] == [{"lr": lr, "arguments": [f"lr={lr}"]} for lr in (1, 2)]
