import csv
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.train import train
from sweeplab import Run
from sweeplab.errors import UserError
from sweeplab.records import config as run_config
from sweeplab.records import record
from sweeplab.records.record import Status, read
from sweeplab.records.rerun import NUMERIC, Rerun
from sweeplab.sweep.trial import Trial, enter
from sweeplab.training import start
from tests.conftest import ROOT, Command, Compose, equal_weights, small
from tests.sweeplab.training.conftest import content
from tests.training import resume, run

LAST = Path("checkpoints", "last.ckpt")


def trained(configured: Compose, *overrides: str, folder: str = "run") -> Path:
    config = configured(*overrides, folder=folder)
    run(config)
    return Path(config.folder)


def test_a_run_folder_explains_itself(configured: Compose) -> None:
    folder = trained(configured, "model=cnn")
    facts = read(folder)
    assert facts["status"] == Status.COMPLETE
    assert facts["checkpoint"] == "checkpoints/best.ckpt"
    files = {path.name for path in folder.iterdir()} - {"uncommitted.patch"}
    assert files == {"checkpoints", "config.yaml", "metrics.csv", "run.json", "test"}
    assert "${" not in (folder / "config.yaml").read_text()
    assert facts["versions"]["torch"].startswith("2.")
    assert {"train/loss", "train/acc", "val/loss", "val/acc", "test/loss", "test/acc"} <= facts["metrics"].keys()


@pytest.mark.parametrize("seed", [0, 3])
def test_the_same_seed_gives_the_same_numbers(configured: Compose, seed: int) -> None:
    options = ("model=mlp", "model.dropout=0.2", f"seed={seed}")
    first, second = (trained(configured, *options, folder=name) for name in ("first", "second"))
    assert read(first)["metrics"] == read(second)["metrics"]
    assert equal_weights(first / LAST, second / LAST)


@pytest.mark.slow
def test_other_seeds_give_other_numbers_and_null_draws_one(configured: Compose) -> None:
    folders = [trained(configured, f"seed={seed}", folder=str(seed)) for seed in (0, 1, "null")]
    assert not equal_weights(folders[0] / LAST, folders[1] / LAST)
    drawn = read(folders[2])["seed"]
    assert isinstance(drawn, int)
    again = trained(configured, f"seed={drawn}", folder="again")
    assert equal_weights(folders[2] / LAST, again / LAST)


def test_a_training_that_diverges_fails(configured: Compose) -> None:
    diverging = ("optimizer=sgd", "optimizer.lr=1e30", "finite_loss=false")
    config = configured(*diverging, "objective={metric: val/loss, mode: min}")
    with pytest.raises(UserError, match="val/loss was never a finite number"):
        run(config)
    facts = read(Path(config.folder))
    assert facts["status"] == Status.FAILED
    assert "never a finite number" in facts["error"]


@pytest.mark.parametrize(("code", "said"), [(0, 1), (None, 1), (256, 1), (3, 3), ("enough", "enough")])
def test_an_exit_is_never_a_success(configured: Compose, code: Any, said: Any) -> None:
    def leave(under_way: Run) -> None:
        under_way.build("data")
        sys.exit(code)

    config = configured(*TINY)
    with pytest.raises((UserError, SystemExit)) as left:
        start.start(leave, config)
    if said == 1:  # as every mistake
        assert "the training called sys.exit(" in str(left.value)
    else:
        assert isinstance(left.value, SystemExit)
        assert left.value.code == said
    assert read(Path(config.folder))["status"] == Status.FAILED


TINY = ("model=linear", "trainer.max_epochs=1", "test=false")


def test_a_second_run_does_not_touch_the_first(configured: Compose) -> None:
    folder = trained(configured)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match="already holds a run"):
        run(configured("seed=1"))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_two_processes_train_test_resume_and_evaluate_one_model(tmp_path: Path, command: Command, workers: int) -> None:
    choices = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", f"data.num_workers={workers}"]
    command("train.py", *choices, "trainer.max_epochs=2", "hydra.run.dir=run", "logger=[csv,wandb]")
    folder = tmp_path / "run"
    facts = json.loads((folder / "run.json").read_text())
    assert facts["status"] == Status.COMPLETE
    assert len(list((folder / "wandb").glob("offline-run-*"))) == 1
    assert not list(tmp_path.glob("outputs"))
    with (folder / "metrics.csv").open(newline="") as file:
        steps = [int(row["step"]) for row in csv.DictReader(file) if row["val/acc"]]
    assert steps == [8, 17]  # 1,079 samples, two at a time 64 of them: 9 steps an epoch

    command("train.py", "resume=run", "trainer.max_epochs=3")
    facts = json.loads((folder / "run.json").read_text())
    assert facts["status"] == Status.COMPLETE

    command("eval.py", "run=run", "stage=predict")
    (written,) = folder.glob("eval/predict-*/predictions.csv")
    with written.open(newline="") as file:
        table = list(csv.DictReader(file))
    right = sum(row["predicted"] == row["label"] for row in table)
    assert (len(table), right / len(table)) == (359, pytest.approx(facts["metrics"]["test/acc"]))


@pytest.fixture
def pruned_at_two() -> Iterator[None]:
    params = {"model.width": 3, "model": "mlp"}
    enter(Trial("study", 7, params, repeat=1, prunes=True, _report=lambda value, step: step == 2))
    yield
    enter(None)


@pytest.mark.usefixtures("pruned_at_two")
def test_a_run_says_which_trial_it_is(configured: Compose) -> None:
    config = configured(*TINY, "trainer.max_epochs=1")
    run(config)
    params = {"model.width": 3, "model": "mlp"}
    assert read(Path(config.folder))["trial"] == {"study": "study", "number": 7, "repeat": 1, "params": params}


def test_a_single_run_belongs_to_no_trial(configured: Compose) -> None:
    config = configured(*TINY, "trainer.max_epochs=1")
    run(config)
    assert "trial" not in read(Path(config.folder))


def train_py(folder: Path, *words: str) -> str:
    """Run train.py as a user does who leaves the number of threads to the machine."""
    others = {name: value for name, value in os.environ.items() if name not in NUMERIC}
    command = [sys.executable, str(ROOT / "train.py"), *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**others, "COLUMNS": "200"})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_a_trial_from_a_slot_has_the_same_numbers_again(tmp_path: Path) -> None:
    # Wide enough for torch to share a product out over threads, where it has them.
    search = small("seed=1,2", "study=demo", "model=mlp", "model.width=512", "model.dropout=0.2", "data.batch_size=256")
    said = train_py(tmp_path, "-m", *search, "hydra.sweeper.n_jobs=2")
    line = shlex.split(said.partition("to run it again ")[2].splitlines()[0])
    trial = tmp_path / line[2].removeprefix("rerun=")
    said = train_py(tmp_path, *line[2:], "logger=none")
    (again,) = (tmp_path / "outputs").glob("*/*")
    old, new = read(trial), read(again)
    assert "the number of threads was" not in said
    for fact in ("objective", "best", "threads", "environment", "seed"):
        assert old[fact] == new[fact]
    # What only a logger asks for, the second had no use for.
    assert new["metrics"] == {name: value for name, value in old["metrics"].items() if not name.startswith("lr-")}
    assert equal_weights(trial / old["checkpoint"], again / new["checkpoint"])
    assert new["rerun"] == str(trial)
    assert new["overrides"] == [*old["overrides"], "logger=none"]
    assert new["choices"] == {**old["choices"], "logger": "none"}
    assert "trial" not in new
    assert json.loads((trial / "run.json").read_text()) == old, "the trial itself stays as it was"


def rerun(origin: Path, *words: str) -> dict[str, Any]:
    folder = origin.parent / "again"
    quiet = ("hydra/job_logging=none", f"hydra.run.dir={folder}")
    Rerun.of(origin, [*quiet, *words], ROOT / "conf", "train").start(lambda config: run(config, origin))
    return read(folder)


@pytest.mark.slow
def test_overrides_go_on_top(configured: Compose) -> None:
    config = configured("model=linear", "trainer.max_epochs=1")
    run(config)
    facts = rerun(Path(config.folder), "trainer.max_epochs=2", "optimizer=sgd")
    assert facts["objective"]["epoch"] == 1
    assert "lr-SGD" in facts["metrics"]


@pytest.mark.slow
def test_in_wandb_it_is_a_run_of_its_own(configured: Compose) -> None:
    wandb = ("logger=wandb", "logger.wandb.offline=true", "logger.wandb.id=mine")
    config = configured("model=linear", "trainer.max_epochs=1", *wandb)
    run(config)
    assert read(Path(config.folder))["wandb"]["id"] == "mine"
    assert rerun(Path(config.folder))["wandb"]["id"] != "mine"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["trainer.max_epochs=1"], "has already trained 2 epochs; raise trainer.max_epochs=1"),
        (["+trainer.max_steps=5"], "has already trained 34 steps; raise trainer.max_steps=5"),
        (["trainer.max_epochs=ten"], "trainer.max_epochs='ten' is of the wrong type"),
        (["trainer.accelerator=gpu"], "No supported gpu backend found"),
        (["+trainer.max_epoch=3"], "no argument 'trainer.max_epoch'"),
        (["callbacks.last.path=7"], "callbacks.last.path=7 is of the wrong type"),
        (["+logger.mine._target_=lab.models.nothing.Logger"], "cannot be imported|does not exist"),
        (["data.path=nowhere.npz"], "data.path"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_cannot_be_leaves_no_trace(complete: Path, overrides: list[str], words: str) -> None:
    before = content(complete)
    with pytest.raises(Exception, match=words):
        resume(complete, overrides)
    assert content(complete) == before


def test_an_error_while_the_model_is_built_leaves_no_trace(complete: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lab.models.linear import Linear

    before = content(complete)
    monkeypatch.setattr(Linear, "__init__", lambda self, in_shape, num_classes: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        resume(complete, ["trainer.max_epochs=3"])
    assert content(complete) == before


def test_nothing_left_to_train_is_recorded_all_the_same(complete: Path) -> None:
    resume(complete, ["trainer.max_epochs=2"])
    facts = read(complete)
    assert facts["status"] == Status.COMPLETE
    assert [attempt["status"] for attempt in facts["attempts"]] == [Status.COMPLETE]


def test_a_run_that_another_process_took_up_meanwhile_is_left_to_it(complete: Path) -> None:
    first, second = record.begin_again(complete, ["a=1"]), record.begin_again(complete, ["a=2"])
    first.begin()
    before = content(complete)
    with pytest.raises(UserError, match="was resumed by another process meanwhile"):
        second.begin()
    assert content(complete) == before


@pytest.mark.parametrize("is_own", [True, False])
def test_trust_is_for_one_command_and_signs_nothing(complete: Path, is_own: bool) -> None:
    path = complete / "run.json"
    if not is_own:
        path.write_text(json.dumps({**json.loads(path.read_text()), "signature": "somebody else's"}))
    start.resume(train, complete, ["trainer.max_epochs=2"], trusted=True)
    assert run_config.is_own(complete) is is_own


def test_tags_are_in_the_record_and_may_change_when_a_run_is_resumed(
    configured: Compose, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWNER", "ada")
    caplog.set_level("INFO")
    folder = trained(configured, "model=linear", "tags=[first,'${oc.env:OWNER}',7]")
    assert read(folder)["tags"] == ["first", "${oc.env:OWNER}", "7"]
    assert "(tags: first, ${oc.env:OWNER}, 7)" in caplog.text
    resume(folder, ["trainer.max_epochs=3", "tags=[second]"])
    assert read(folder)["tags"] == ["second"]
