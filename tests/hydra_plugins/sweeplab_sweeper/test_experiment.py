from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import MissingConfigException
from omegaconf import OmegaConf

from sweeplab.hydra_errors import sentence


@pytest.fixture(autouse=True)
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration with one experiment of its own, and files elsewhere below the folder where one works."""
    files = {
        "conf/config.yaml": "defaults: [_self_, {net: mlp}, {experiment: null}]\nseed: 0\n",
        "conf/net/mlp.yaml": "width: 1\n",
        "conf/net/cnn.yaml": "channels: 2\n",
        "conf/experiment/own.yaml": "# @package _global_\nseed: 1\n",
        "own.yaml": "# @package _global_\nseed: 2\n",
        "multirun/cnn/best.yaml": "# @package _global_\ndefaults: [override /net: cnn]\nseed: 3\nnet: {channels: 4}\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "conf"


def composed(conf: Path, *overrides: str) -> object:
    with initialize_config_dir(str(conf), version_base="1.3"):
        return OmegaConf.to_container(compose("config", list(overrides)))


def test_a_file_anywhere_is_an_experiment(conf: Path, tmp_path: Path) -> None:
    winner = {"seed": 3, "net": {"channels": 4}}
    assert composed(conf, "experiment=multirun/cnn/best.yaml") == winner
    assert composed(conf, f"experiment={tmp_path}/multirun/cnn/best.yaml") == winner
    assert composed(conf, "experiment=multirun/cnn/best.yaml", "seed=7") == {**winner, "seed": 7}


def test_the_experiments_of_the_configuration_go_first(conf: Path) -> None:
    assert composed(conf, "experiment=own") == composed(conf, "experiment=own.yaml") == {"seed": 1, "net": {"width": 1}}


@pytest.mark.parametrize("choice", ["multirun/cnn/best", "multirun/cnn/bset.yaml", "multirun/cnn"])
def test_a_file_is_named_with_its_ending_or_is_no_choice(conf: Path, choice: str) -> None:
    with pytest.raises(MissingConfigException, match="experiment/"):
        composed(conf, f"experiment={choice}")


def test_a_misspelt_file_is_told_the_nearest(conf: Path) -> None:
    with pytest.raises(MissingConfigException) as error:
        composed(conf, "experiment=multirun/cnn/bset.yaml")
    assert "did you mean 'multirun/cnn/best.yaml'?" in str(sentence(error.value, conf))


def test_no_other_group_takes_files_from_anywhere(conf: Path) -> None:
    with pytest.raises(MissingConfigException, match="net/"):
        composed(conf, "net=multirun/cnn/best.yaml")


def test_only_the_configurations_own_are_listed(conf: Path) -> None:
    with initialize_config_dir(str(conf), version_base="1.3"):
        assert GlobalHydra.instance().config_loader().get_group_options("experiment") == ["own"]
