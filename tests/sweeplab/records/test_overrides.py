from pathlib import Path

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sweeplab.errors import UserError
from sweeplab.records import overrides
from sweeplab.records.config import load, save
from tests.conftest import ROOT

CONF = ROOT / "conf"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    config = {"folder": str(tmp_path / "run"), "data": {"size": 3}, "optimizer": {"lr": 0.1}}
    save(OmegaConf.create(config), tmp_path / "run")
    return tmp_path / "run"


def test_overrides_are_hydras(run: Path) -> None:
    config = load(run, ["data.size=5", "+data.new=[1,2]", "~optimizer"])
    assert config.data == {"size": 5, "new": [1, 2]}
    assert "optimizer" not in config


def test_a_choice_from_a_group_replaces_the_whole_group(run: Path) -> None:
    config = load(run, ["optimizer=sgd", "optimizer.lr=0.5"], CONF)
    assert (config.optimizer._target_, config.optimizer.lr) == ("torch.optim.SGD", 0.5)


def test_a_choice_keeps_what_the_run_itself_had_set_in_that_group(run: Path) -> None:
    (run / "run.json").write_text('{"overrides": ["optimizer.weight_decay=0.3"]}')
    config = load(run, ["optimizer.lr=0.5", "optimizer=sgd"], CONF)  # in any order
    assert (config.optimizer.lr, config.optimizer.weight_decay) == (0.5, 0.3)


def test_a_choice_that_sets_keys_elsewhere_is_for_new_runs(run: Path) -> None:
    with pytest.raises(UserError, match="debug=fast is a choice for a new run"):
        load(run, ["debug=fast"], CONF)


def test_an_unknown_key_is_an_error(run: Path) -> None:
    with pytest.raises(OmegaConfBaseException, match="siez"):
        load(run, ["data.siez=5"])


def test_several_values_are_an_error(run: Path) -> None:
    with pytest.raises(UserError, match="asks for several runs"):
        load(run, ["data.size=1,2"])


def test_the_overrides_of_all_attempts_are_those_of_the_run(run: Path) -> None:
    assert overrides.recorded(run) == []
    (run / "run.json").write_text(
        '{"format": 2, "overrides": ["b=2"], "attempts": [{"format": 2, "overrides": ["a=1"]}]}'
    )
    assert overrides.recorded(run) == ["a=1", "b=2"]


def test_what_is_chosen_from_groups_is_told_from_values() -> None:
    assert overrides.choices(["model=cnn", "seed=3", "optimizer.lr=1"], CONF) == {"model": "cnn"}
