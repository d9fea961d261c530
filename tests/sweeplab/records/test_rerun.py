import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from sweeplab.errors import UserError
from sweeplab.records import record
from sweeplab.records.config import save
from sweeplab.records.links import resolved
from sweeplab.records.rerun import NUMERIC, Rerun, differences, environment
from tests.conftest import ROOT, Compose

pytestmark = pytest.mark.slow

CONF = ROOT / "conf"
QUIET = "hydra/job_logging=none"  # pytest's own handlers stay


@pytest.fixture
def origin(configured: Compose, tmp_path: Path) -> Path:
    """A trial that was, in a folder that was moved since."""
    config = configured("model=mlp", "optimizer.weight_decay=0.3")
    made = Path(config.folder)
    choices = {"model": "mlp", "optimizer": "adam", "sweep": "asha"}
    begun = record.begin(made, ["sweep=asha", "optimizer.weight_decay=0.3"], 0, choices=choices, threads=3)
    begun.update(environment={"OMP_NUM_THREADS": "3"})
    save(OmegaConf.create(resolved(config)), made)
    return made.rename(tmp_path / "moved")


def started(origin: Path, folder: Path, *words: str) -> dict[str, Any]:
    """What the task of a rerun is given."""
    seen: dict[str, Any] = {}

    def task(config: DictConfig) -> None:
        seen["config"] = resolved(config)
        seen["choices"] = dict(HydraConfig.get().runtime.choices)
        seen["overrides"] = list(HydraConfig.get().overrides.task)

    Rerun.of(origin, [QUIET, f"hydra.run.dir={folder}", *words], CONF, "train").start(task)
    return seen


def test_the_configuration_is_the_runs_own_in_a_new_folder(origin: Path, tmp_path: Path) -> None:
    folder = tmp_path / "again"
    config = started(origin, folder)["config"]
    text = (origin / "config.yaml").read_text().replace(str(tmp_path / "run"), str(folder))
    assert config == OmegaConf.to_container(OmegaConf.create(text))
    assert OmegaConf.load(folder / ".hydra" / "overrides.yaml") == ["sweep=asha", "optimizer.weight_decay=0.3"]


def test_what_conf_says_today_does_not_matter(origin: Path, tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    conf.mkdir()
    (conf / "train.yaml").write_text("hydra: {run: {dir: new}}\nseed: 5\n")
    again = Rerun.of(origin, [], conf, "train")
    assert (again.config.seed, again.config.model.width, again.config.hydra.run.dir) == (0, 100, "new")


def test_values_and_choices_go_on_top_and_are_recorded(origin: Path, tmp_path: Path) -> None:
    words = ("optimizer=sgd", "seed=4", "+trainer.max_steps=3")
    seen = started(origin, tmp_path / "again", *words)
    optimizer = seen["config"]["optimizer"]
    assert (optimizer["_target_"], optimizer["weight_decay"]) == ("torch.optim.SGD", 0.3)
    assert (seen["config"]["seed"], seen["config"]["trainer"]["max_steps"]) == (4, 3)
    assert seen["overrides"] == ["sweep=asha", "optimizer.weight_decay=0.3", *words]
    assert (seen["choices"]["model"], seen["choices"]["optimizer"]) == ("mlp", "sgd")
    assert "sweep" not in seen["choices"]


def test_a_rerun_of_a_rerun_carries_on(origin: Path, tmp_path: Path) -> None:
    for name, value in (("one", 4), ("two", 5)):
        seen = started(origin, tmp_path / name, f"seed={value}")
        origin = tmp_path / name
        record.begin(origin, seen["overrides"], value, choices=seen["choices"])
        save(OmegaConf.create(seen["config"]), origin)
    assert seen["config"]["folder"] == str(tmp_path / "two")
    assert seen["overrides"][2:] == ["seed=4", "seed=5"]


def test_what_decided_the_threads_is_set_unless_the_user_has(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NUMERIC:
        monkeypatch.delenv(name, raising=False)
    assert environment() == {}
    started(origin, tmp_path / "one")
    assert environment() == {"OMP_NUM_THREADS": "3"}
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    started(origin, tmp_path / "two")
    assert environment() == {"OMP_NUM_THREADS": "2"}


def test_nothing_else_of_a_record_reaches_the_environment(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NUMERIC:
        monkeypatch.setenv(name, "1")
        monkeypatch.delenv(name)
    before = dict(os.environ)
    variables = {"GIT_CONFIG_COUNT": "1", "PATH": "/evil", "OMP_NUM_THREADS": "2; touch x", "MKL_NUM_THREADS": "4,2"}
    record.Record(origin, record.read(origin)).update(environment={**variables, "NUMBER": "1"})
    started(origin, tmp_path / "again")
    assert {name: value for name, value in os.environ.items() if before.get(name) != value} == {
        "MKL_NUM_THREADS": "4,2"
    }
    record.Record(origin, record.read(origin)).update(environment=["OMP_NUM_THREADS"])
    with pytest.raises(UserError, match="its environment is malformed"):
        Rerun.of(origin, [], CONF, "train")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["seed=1,2"], "asks for several runs"),
        (["sweep=asha"], "sweep=asha is a choice for a new run"),
    ],
)
def test_what_makes_no_single_run_is_refused(origin: Path, words: Sequence[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Rerun.of(origin, words, CONF, "train")


def test_a_folder_that_is_no_run_is_refused(origin: Path) -> None:
    with pytest.raises(UserError, match=f"{origin.parent} holds several runs; name one, as in rerun={origin}"):
        Rerun.of(origin.parent, [], CONF, "train")
    with pytest.raises(UserError, match="does not exist"):
        Rerun.of(origin / "nothing", [], CONF, "train")


def test_a_taken_folder_is_refused_before_anything_is_written(origin: Path) -> None:
    before = sorted(origin.rglob("*"))
    with pytest.raises(SystemExit, match="already holds a run"):
        started(origin, origin)
    assert sorted(origin.rglob("*")) == before


def test_what_changed_meanwhile_is_told(tmp_path: Path) -> None:
    old, new = (record.begin(tmp_path / name, [], 0, threads=2) for name in ("old", "new"))
    assert differences(old.folder, new.folder) == []
    git = {"commit": "a" * 40, "patch": None}
    old.update(git=git, threads=1, versions={**new.facts["versions"], "torch": "1.0"})
    new.update(git={"commit": "b" * 40, "patch": None})
    assert differences(old.folder, new.folder) == [
        "the commit was aaaaaaaaa, is bbbbbbbbb",
        f"torch was 1.0, is {new.facts['versions']['torch']}",
        "the number of threads was 1, is 2",
    ]
    new.update(git={**git, "patch": "changes.patch"}, versions=old.facts["versions"], threads=1)
    (new.folder / "changes.patch").write_text("+ 1")
    assert differences(old.folder, new.folder) == ["the uncommitted changes are others"]
