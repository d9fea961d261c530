"""What Hydra asks the check, and when."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict, read_write

from sweeplab.errors import UserError
from sweeplab.training.check import Check, check
from sweeplab.training.effective_config import effective_config
from tests.conftest import ROOT, Command, Compose


@pytest.fixture
def composed(tmp_path: Path) -> Iterator[Callable[..., DictConfig]]:
    """Compose the configuration with Hydra's part in it, and leave no trace in Hydra."""
    before = HydraConfig.instance().cfg

    def compose_all(*overrides: str) -> DictConfig:
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            config = compose("train", ["hydra/sweeper=basic", *overrides], return_hydra_config=True)
        with read_write(config):
            config.hydra.runtime.output_dir = str(tmp_path)  # where a job would be
        return config

    yield compose_all
    HydraConfig.instance().cfg = before


@pytest.mark.slow
def test_each_run_of_a_sweep_is_checked_before_it_begins(command: Command, tmp_path: Path) -> None:
    done = command("train.py", "-m", "hydra/sweeper=basic", "hydra.sweep.dir=sweep", "seed=-1,-2", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: seed=-1 must be a whole number")
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.glob("sweep/*/run.json"))


@pytest.mark.slow
def test_what_the_search_gives_is_not_told_missing(command: Command) -> None:
    preview = ("-m", "hydra.sweeper.preview=true", "data=npz")
    assert "2 points in all" in command("train.py", *preview, "data.path=a.npz,b.npz").stdout
    done = command("train.py", *preview, "seed=0,1", check=False)
    assert done.stderr == "Error: data.path has no value; write data.path=...\n"
    only = ("-m", "hydra.sweeper.preview=true", "model=cnn,resnet")
    done = command("train.py", *only, "model.channels=8", check=False)
    assert "++model.channels=... adds it" in done.stderr
    assert "2 points in all" in command("train.py", *only, "++model.channels=8").stdout


def test_a_job_that_cannot_work_ends_the_program(composed: Callable[..., DictConfig]) -> None:
    Check().on_job_start(composed(), task_function=None)
    with pytest.raises(SystemExit, match=r"Error: objective.mode=up is not known; write min or max"):
        Check().on_job_start(composed("objective.mode=up"), task_function=None)


def test_a_pruner_that_nobody_reports_to_is_refused(command: Command) -> None:
    done = command("train.py", "-m", "sweep=asha", "callbacks=none", check=False)
    assert done.returncode == 1
    assert "a pruner needs callbacks.pruning" in done.stderr


def test_what_the_pruner_compares_is_not_searched(command: Command) -> None:
    done = command("train.py", "-m", "sweep=asha", "callbacks.pruning.monitor=val/acc,val/loss", check=False)
    assert done.returncode == 1
    assert "callbacks.pruning.monitor cannot be searched" in done.stderr


@pytest.mark.slow
def test_sweep_without_m_is_a_mistake(command: Command) -> None:
    done = command("train.py", "sweep=asha", check=False)
    assert done.returncode == 1
    assert "sweep=asha is for many runs; add -m" in done.stderr


def test_only_hydras_own_sweeper_needs_a_new_folder(composed: Callable[..., DictConfig], tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "run.json").touch()
    config = composed(f"hydra.sweep.dir={tmp_path}")
    with pytest.raises(SystemExit, match="already holds a run"):
        Check().on_multirun_start(config)
    with read_write(config.hydra):
        config.hydra.sweeper._target_ = "hydra_plugins.sweeplab_sweeper.sweeper.SweeplabSweeper"
    Check().on_multirun_start(config)


@pytest.mark.parametrize("overrides", [("+trainer.num_nodes=2",), ("+trainer.num_nodes=1,2",)])
def test_a_trial_on_several_nodes_is_refused(command: Command, tmp_path: Path, overrides: tuple[str, ...]) -> None:
    refused = command("train.py", "-m", "model=cnn", "data=mnist1d", "study=several", *overrides, check=False)
    assert refused.returncode == 1
    assert "Error: trainer.num_nodes=2: a trial of a sweep runs on one node." in refused.stderr + refused.stdout
    assert not list(tmp_path.glob("multirun/several/[0-9]*"))


def find_mistakes(config: DictConfig) -> None:
    """Look for mistakes as it is done before anything is written."""
    check(config)
    effective_config(config, [])


@pytest.mark.slow
def test_check_finds_what_the_configuration_can_tell(configured: Compose) -> None:
    for override, words in {
        "objective.metric=val/ac": "did you mean 'val/acc'",
        "objective.metric=test/acc": "objective.metric=test/acc is not logged",
        "objective.mode=up": "write min or max",
        "objective.also=[{metric: val/los, mode: min}]": r"also\[0\].metric=val/los .* did you mean 'val/loss'",
        "objective.also=[{metric: parameters, mode: min}]": "did you mean 'model/parameters'",
        "objective.also=[{metric: val/f1, mode: min}]": "choose from val/loss, val/acc, train/loss, .*model/parameters",
        "objective.also=[{metric: val/loss, mode: down}]": r"also\[0\].mode=down is not known; write min or max",
        "objective.also=[{metric: val/loss}]": "must have a metric and a mode",
        "objective.also=[val/loss]": "must have a metric and a mode",
        "objective.also=val/loss": "is not a list; write objective.also=",
        "seed=-1": "whole number",
        "+logger.mine={name: x}": "logger.mine has no _target_",
        "data=npz": "data.path has no value",
    }.items():
        with pytest.raises(UserError, match=words):
            find_mistakes(configured(override))


def test_where_to_begin_is_looked_for_before_anything_runs(configured: Compose, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"init_from=.*none\.ckpt does not exist; name a checkpoint, or the folder"):
        check(configured(f"init_from={tmp_path}/none.ckpt"))
    with pytest.raises(UserError, match="init_strict=maybe must be true or false"):
        check(configured("init_strict=maybe"))


@pytest.mark.parametrize(
    ("override", "advice"), [("tags=mnist", "'tags=[mnist]'"), ("tags=[[a]]", "'tags=[a,b]'"), ("tags=[null]", "a,b")]
)
def test_tags_are_a_list_of_words(configured: Compose, override: str, advice: str) -> None:
    with pytest.raises(UserError, match="is not a list of words") as mistake:
        check(configured(override))
    assert advice in str(mistake.value)
    check(configured("tags=[a,2026]"))
    check(configured("tags=null"))


@pytest.mark.parametrize("tag", ["''", "' '", "a" * 65, "'a,b'"])
def test_a_tag_is_short_and_has_no_comma(configured: Compose, tag: str) -> None:
    with pytest.raises(UserError, match=r"^the tag '.*' must have 1 to 64 characters, and no comma among them\.$"):
        check(configured(f"tags=[fine,{tag}]"))
    check(configured(f"tags=[{'a' * 64}]"))


ENFORCED = ("extras.enforce_tags=true", "seed=-1")  # which the check refuses, once it has tags


def test_tags_that_have_to_be_there_are_asked_for_on_a_terminal_only(
    composed: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=r"there are no tags; write 'tags=\[a,b\]'"):
        Check().on_run_start(composed(*ENFORCED))
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: " mnist, first try,")
    monkeypatch.setattr(sys, "argv", ["train.py", *ENFORCED])
    config = composed(*ENFORCED)
    with pytest.raises(SystemExit, match="seed=-1"):
        Check().on_run_start(config)
    assert config.tags == ["mnist", "first try"]
    assert sys.argv[-1] == config.hydra.overrides.task[-1]
    assert composed(sys.argv[-1]).tags == ["mnist", "first try"]
    config = composed(*ENFORCED)
    with read_write(config), open_dict(config):
        del config["tags"]  # an application may have none
    with pytest.raises(SystemExit, match="seed=-1"):
        Check().on_run_start(config)
    assert sys.argv[-1] == "+tags=['mnist', 'first try']"
    with pytest.raises(SystemExit, match="there are no tags"):
        Check().on_multirun_start(composed(*ENFORCED))


def test_an_empty_answer_is_none(composed: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: " ,")
    with pytest.raises(SystemExit, match=r"write some, or extras\.enforce_tags=false"):
        Check().on_run_start(composed(*ENFORCED))
