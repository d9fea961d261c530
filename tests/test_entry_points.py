import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT, Command
from tests.sweeplab.records.made_runs import make_run
from tests.wandb_log import offline_runs, summary

HEAVY = ("torch", "lightning", "torchmetrics", "wandb", "optuna", "sklearn", "numpy")


def imported(done: subprocess.CompletedProcess[str]) -> set[str]:
    """The packages that a process imported, as `python -X importtime` lists them."""
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}


@pytest.mark.parametrize("script", ["train.py", "eval.py", "compare.py"])
def test_another_python_says_which_to_use(script: str) -> None:
    """One that has no packages, as that of the system."""
    command = [sys.executable, "-S", "-I", str(ROOT / script)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: this Python has no sweeplab; run: source .venv/bin/activate")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--cfg", "job"],
        ["--info", "defaults"],
        ["-sc", "query=bash"],
        ["--cfg", "job", "experiment=mnist1d/cnn", "logger=[csv,wandb]"],
    ],
    ids=" ".join,
)
def test_questions_are_answered_without_heavy_imports(command: Command, arguments: list[str]) -> None:
    done = command(
        "train.py", *arguments, PYTHONPROFILEIMPORTTIME="1", COMP_LINE="python train.py model=", COMP_POINT="22"
    )
    assert "hydra" in imported(done)
    assert not imported(done) & set(HEAVY)
    assert done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["objective.metric=val/ac"], "did you mean 'val/acc'?"),
        (["data=npz", "data.path=mien.npz"], "did you mean 'mine.npz'?"),
        (["model.hiden=3"], "lab.models.mlp.MLP takes in_shape, num_classes, width, depth, dropout."),
        (["+model.hiden=3"], "choose from in_shape, num_classes, width, depth, dropout."),
        (["callbacks.best.save_topk=3"], "did you mean '+callbacks.best.save_top_k'?"),
        (["trainer.min_epochs=3"], "lightning.pytorch.Trainer takes it, so write +trainer.min_epochs=..."),
        (["-m", "model.hiden=3,4"], "lab.models.mlp.MLP takes in_shape, num_classes, width, depth, dropout (if"),
    ],
)
def test_what_the_classes_and_the_data_must_be_asked_is_one_sentence_too(
    command: Command, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    (tmp_path / "mine.npz").touch()
    done = command("train.py", *arguments, check=False)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_completion_knows_the_models(command: Command) -> None:
    line = "python train.py model=re"
    done = command("train.py", "-sc", "query=bash", COMP_LINE=line, COMP_POINT=str(len(line)))
    assert done.stdout.split() == ["model=resnet"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["modle=cnn"], "there is no key 'modle'; did you mean 'model'?"),
        (["lr=1"], "there is no key 'lr'; did you mean 'optimizer.lr'?"),
        (["n_trials=4"], "there is no key 'n_trials'; did you mean 'hydra.sweeper.n_trials'?"),
        (["model=cn"], "model=cn is not a choice; did you mean 'cnn'?"),
        (["experiment=mnist1d/cn"], "experiment=mnist1d/cn is not a choice; did you mean 'mnist1d/cnn'?"),
        (["data=npz"], "data.path has no value; write data.path=..."),
        (["model.width=1,2"], "names several values: add -m"),
        (["seed=x"], "seed=x must be a whole number"),
        (["test=maybe"], "test=maybe must be true or false"),
        (["logger=null"], "logger=none"),
        (["objective=val/loss"], "write objective.metric=val/loss"),
        (["+task.metrics.f1=F1"], "metrics.f1 has no _target_"),
        (["-m", "seed=0,1", "hydra/sweeper=basic", "hydra.sweep.dir=sweep"], "sweep/0 already holds a run"),
        (["resume=taken", "model.width=3"], "model.width cannot change in a resumed run"),
        (["resume=complete", "test=maybe"], "test=maybe must be true or false"),
        (["resume=taken", "--cfg"], "resume takes keys and values only"),
        (["hydra.run.dir=taken"], "taken already holds a run"),
        (["resume=nowhere"], "nowhere does not exist"),
        (["resume=taken", "trust=maybe"], "trust=maybe must be true or false"),
        (["rerun=pipe"], "run.json is not a regular file"),
        (["experiment=broken.yaml"], "broken.yaml cannot be read: while parsing a flow sequence"),
        (["experiment=latin.yaml"], "latin.yaml is not text: byte 3 is not UTF-8"),
        (["--config-dir", "more", "experiment=broken"], "more/experiment/broken.yaml"),
        (["--config-dir", "more", "experiment=odd"], "model=3 is not a description"),
        (["trainer=cpu", "+model.a=${model.b}", "+model.b=${model.a}"], "cannot be resolved"),
        (["resume=taken", "trainer.max_epoch=2"], "did you mean 'trainer.max_epochs'?"),
    ],
)
def test_a_mistake_is_one_sentence_before_torch_is_imported(
    command: Command, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    process = {"host": "elsewhere", "pid": 1, "started": 0.0}
    record = json.dumps({"status": "complete", "process": process, "started": "2026-01-31T12:00:00+00:00"})
    (tmp_path / "mine.npz").touch()
    (tmp_path / "broken.yaml").write_text("a: [1,\nb: 2")
    (tmp_path / "latin.yaml").write_bytes("a: \xfc".encode("latin-1"))
    (tmp_path / "more" / "experiment").mkdir(parents=True)
    (tmp_path / "more" / "experiment" / "broken.yaml").write_text("a: [1,\nb: 2")
    (tmp_path / "more" / "experiment" / "odd.yaml").write_text("# @package _global_\nmodel: 3\n")
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "run.json")
    (tmp_path / "sweep" / "0").mkdir(parents=True)
    (tmp_path / "sweep" / "0" / "run.json").touch()
    (tmp_path / "complete" / "checkpoints").mkdir(parents=True)
    (tmp_path / "complete" / "checkpoints" / "last.ckpt").touch()
    (tmp_path / "complete" / "run.json").write_text(record)
    (tmp_path / "complete" / "config.yaml").write_text(
        "folder: complete\ntest: true\ncompile: false\ntrainer: {max_epochs: 1}\n"
    )
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "run.json").write_text(record)
    (tmp_path / "taken" / "config.yaml").write_text("folder: taken\ntrainer: {max_epochs: 1}\nmodel: {width: 1}\n")
    done = command("train.py", *arguments, check=False, PYTHONPROFILEIMPORTTIME="1")
    said = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert done.returncode == 1
    assert len(said) == 1, said
    assert said[0].startswith("Error: ")
    assert sentence in said[0]
    assert not imported(done) & set(HEAVY)
    assert not (tmp_path / "outputs").exists(), "a mistake leaves no folder"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "python eval.py run=<run folder>"),
        (["stage=test"], "give the folder of a run"),
        (["run=nowhere"], "nowhere does not exist"),
        (["run=.", "stag=test"], "did you mean 'stage=...'?"),
        (["run=.", "stage=tets"], "stage=tets is not known; did you mean 'test'?"),
        (["run=cnn", "trail=best"], "did you mean 'trial=...'?"),
        (["run=cnn"], "choose trial=best, trial=<number>, or top=5."),
        (["run=cnn", "top=5"], "only 0 complete trials of cnn still have their checkpoints"),
    ],
)
def test_eval_answers_without_torch(command: Command, tmp_path: Path, arguments: list[str], sentence: str) -> None:
    make_run(tmp_path / "cnn" / "0", acc=0.5)
    done = command("eval.py", *arguments, check=False, PYTHONPROFILEIMPORTTIME="1")
    said = "".join(line for line in done.stderr.splitlines() if not line.startswith("import time:"))
    assert sentence in said + done.stdout
    assert "Traceback" not in said
    assert not imported(done) & set(HEAVY)


@pytest.mark.slow
def test_a_mistake_that_only_the_task_can_see_is_one_sentence_too(command: Command) -> None:
    done = command("train.py", "+trainer.max_epoch=2", check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "Error: lightning.pytorch.Trainer has no argument 'trainer.max_epoch'; did you mean 'max_epochs'?\n"
    )


@pytest.mark.slow
def test_a_bug_shows_the_traceback_of_the_task(command: Command, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("class Net:\n    def __init__(self, **_): self.oops\n")
    done = command("train.py", "model._target_=broken.Net", "~model.width", "~model.depth", "~model.dropout",
                   check=False, PYTHONPATH=str(tmp_path))  # fmt: skip
    assert done.returncode == 1
    assert "AttributeError: 'Net' object has no attribute 'oops'" in done.stderr
    assert "run_and_report" not in done.stderr


@pytest.mark.slow
def test_train_stop_resume_evaluate_as_the_readme_has_it(tmp_path: Path, command: Command) -> None:
    quiet = [f"{name}=null" for name in ("callbacks.summary", "task.callbacks.samples", "callbacks.early_stopping")]
    arguments = ["model=cnn", "logger=[csv,wandb]", *quiet, "trainer=cpu", "trainer.max_epochs=200"]
    with (tmp_path / "log").open("w") as log:
        line = [sys.executable, str(ROOT / "train.py"), *arguments, "hydra.run.dir=run"]
        process = subprocess.Popen(line, cwd=tmp_path, stdout=log, stderr=log)
    while not (tmp_path / "run" / "checkpoints" / "last.ckpt").exists():
        assert process.poll() is None, (tmp_path / "log").read_text()
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (facts["status"], facts["error"]) == ("killed", "signal SIGTERM")
    assert f"To resume: python {ROOT / 'train.py'} resume=run" in (tmp_path / "log").read_text()
    (first,) = offline_runs(tmp_path / "run")
    assert summary(first)["state"] == "failed"

    epochs = _epochs_logged(tmp_path / "run" / "train.log")
    command("train.py", "resume=run", f"trainer.max_epochs={epochs + 3}")
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["status"] == "complete"
    assert _epochs_logged(tmp_path / "run" / "train.log") == epochs + 3  # the same log goes on

    command("eval.py", "run=run")
    (written,) = (tmp_path / "run" / "eval").glob("test-*/metrics.json")
    assert json.loads(written.read_text())["test/acc"] == facts["metrics"]["test/acc"]


def _epochs_logged(log: Path) -> int:
    numbers = re.findall(r"epoch +(\d+)/", log.read_text())
    return max(map(int, numbers), default=0)
