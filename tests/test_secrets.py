"""What nobody may read who is given a run's folder, or W&B's record of it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from lab.models.linear import Linear
from sweeplab.errors import UserError
from sweeplab.records.provenance import code
from sweeplab.records.record import read
from sweeplab.records.rerun import Rerun
from sweeplab.records.resume import check_resumable
from sweeplab.records.run import Run
from sweeplab.training.check import check_evaluation
from sweeplab.training.checkpoint_file import load_checkpoint
from sweeplab.training.model import DESCRIPTION, described_in
from tests.conftest import ROOT, Command, Compose, small
from tests.training import run

# Turned round, or the record of what is not committed would have them while this file is changed.
ENV, PLAIN, DIGITS = (word[::-1] for word in ("tnemnorivne-eht-fo-terc3s", "nialp-ni-terc3s", "54321006789"))
SECRETS = (
    "+token=${oc.env:MY_TOKEN}",
    "+other=${token}",
    f"+api_key={PLAIN}",
    f"+url=postgresql://u:{PLAIN}@host/db",
    f"+mail.password={DIGITS}",
    f"+secrets={{mail: {PLAIN}, others: [{PLAIN}, {DIGITS}]}}",
)
LOGGERS = ("logger=[csv,wandb,tensorboard]", "logger.wandb.offline=true")


def holding(folder: Path, *texts: str) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if any(text.encode() in path.read_bytes() for text in texts)]


@pytest.mark.slow
def test_no_file_of_a_run_has_a_secret_and_a_resumed_run_asks_again(command: Command, tmp_path: Path) -> None:
    words = small(*SECRETS, *LOGGERS, "model=linear", "trainer.max_epochs=1", "hydra.run.dir=run")
    command("train.py", *words, MY_TOKEN=ENV)
    facts = read(tmp_path / "run")
    assert {"+token=${oc.env:MY_TOKEN}", "+api_key=***", "+url=postgresql://u:***@host/db"} < set(facts["overrides"])
    config = OmegaConf.to_container(OmegaConf.load(tmp_path / "run" / "config.yaml"))
    assert isinstance(config, dict)
    assert (config["token"], config["other"], config["api_key"]) == ("${oc.env:MY_TOKEN}", "${token}", "***")
    assert (config["mail"], config["secrets"]) == ({"password": "***"}, {"mail": "***", "others": ["***", "***"]})
    more = ("resume=run", "trainer.max_epochs=2")
    refused = command("train.py", *more, check=False, MY_TOKEN=ENV)
    assert "api_key=*** is a secret that was given in plain, so it was not saved; write api_key=..." in refused.stderr
    again = [word.lstrip("+") for word in SECRETS[2:]]
    command("train.py", *more, *again, MY_TOKEN=f"another-{ENV}")
    assert holding(tmp_path, ENV, PLAIN, DIGITS) == []


@pytest.mark.slow
def test_no_file_of_a_sweep_has_a_secret(command: Command, tmp_path: Path) -> None:
    words = small(*SECRETS, *LOGGERS, "model=linear", "trainer.max_epochs=1", "study=kept", "seed=0,1")
    done = command("train.py", "-m", *words, "hydra.sweeper.n_jobs=1", MY_TOKEN=ENV)
    assert "2 complete" in done.stdout
    assert holding(tmp_path, ENV, PLAIN, DIGITS) == []
    assert "2 of 2 trials finished" in command("train.py", "-m", *words, MY_TOKEN=ENV).stdout


@pytest.mark.slow
def test_a_mistake_leaves_no_secret_behind_either(command: Command, tmp_path: Path) -> None:
    done = command("train.py", *small(*SECRETS, "objective.metric=val/ac"), check=False, MY_TOKEN=ENV)
    assert done.returncode == 1
    assert holding(tmp_path, ENV, PLAIN, DIGITS) == []


def test_a_checkpoint_describes_its_model_without_secrets(
    configured: Compose, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MY_NAME", ENV)
    model = ("model._target_=tests.test_secrets.Named", "+model.name=${oc.env:MY_NAME}")
    config = configured("model=linear", "trainer.max_epochs=1", *model, f"+model.key={PLAIN}")
    run(config)
    folder = Path(config.folder)
    path = Run.read(folder).checkpoint
    content = load_checkpoint(path)
    network = content[DESCRIPTION]["network"]
    assert (network["name"], network["key"]) == ("${oc.env:MY_NAME}", "***")
    with pytest.raises(UserError, match=r"does not contain network\.key of its model"):
        described_in(content, path)
    network["key"] = "again"
    described = described_in(content, path)
    assert described is not None
    assert described["network"]["name"] == ENV
    assert holding(folder, ENV, PLAIN, DIGITS) == []
    for ask in (
        lambda *words: check_evaluation(folder, "test", words, None),
        lambda *words: Rerun.of(folder, words, ROOT / "conf", "train"),
        lambda *words: check_resumable(folder, ["trainer.max_epochs=2", *words]),
    ):
        with pytest.raises(UserError, match=r"model\.key=\*\*\* is a secret that was given in plain"):
            ask()
        ask("model.key=again")


def test_the_patch_has_no_files_of_secrets(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *arguments], check=True, capture_output=True)

    git("init", "-q")
    names = ("code.py", ".env", "sub/.env", ".env.local", "sub/tracked [1].ignored")
    for change in ("before", "after"):
        for name in names:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(f"{change} {name}\n")
        if change == "before":
            (tmp_path / ".gitignore").write_text("*.ignored\n")
            git("add", "-f", ".")
            git("commit", "-q", "-m", "begin")
    facts, patch = code(tmp_path / "sub")
    assert facts is not None
    assert facts["dirty"]
    assert [line for line in patch.decode().splitlines() if line.startswith("+after")] == ["+after code.py"]


class Named(Linear):
    """A network that is given a secret."""

    def __init__(self, name: str, key: str, **shape: Any) -> None:
        super().__init__(**shape)
