from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException
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


REFUSED = {
    "model: {_target_: os.system}": "names model._target_=os.system",
    "model: [{_target_: os.system}]": "names model.0._target_=os.system",
    "net: {width: '${oc.env:SECRET}'}": r"asks for net.width=\${oc.env:SECRET}",
    "folder: /home/somebody": "names folder=/home/somebody, which is outside",
    "callbacks: {last: {path: train.py}}": "names callbacks.last.path=train.py, which is outside",
    "hydra: {callbacks: {x: {_target_: torch.nn.Identity}}}": "sets hydra.callbacks",
    "hydra: {job: {env_set: {PYTHONPATH: /evil}}}": "sets hydra.job",
    "hydra: {sweeper: {preload: [evil]}}": "sets hydra.sweeper.preload",
    "defaults: ['/experiment@hydra.job': other.yaml]": "sets /experiment@hydra.job",
    "defaults: ['override /hydra/launcher': x]": "sets override /hydra/launcher",
    "defaults: [bad.yaml]": "names model._target_=os.system",
    "[1, 2]": "holds no keys",
    "a: [1,\nb: 2": "cannot be read",
    "a: ${b": "cannot be read|asks for",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_file_that_somebody_sent_sets_what_a_run_is_made_of_alone(
    conf: Path, tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "s3cret")
    (tmp_path / "bad.yaml").write_text("# @package _global_\nmodel: {_target_: os.system}\n")
    (tmp_path / "sent.yaml").write_text(f"# @package _global_\n{text}\n")
    with pytest.raises(HydraException, match=REFUSED[text]) as error:
        composed(conf, "experiment=sent.yaml")
    assert "sent.yaml" in str(sentence(error.value)) or "bad.yaml" in str(sentence(error.value))


def test_a_package_of_hydras_is_refused_too(conf: Path, tmp_path: Path) -> None:
    (tmp_path / "sent.yaml").write_text("# @package hydra.job\nenv_set: {A: b}\n")
    with pytest.raises(HydraException, match=r"sets hydra\.job"):
        composed(conf, "experiment=sent.yaml")


def test_the_command_line_may_trust_a_file(conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sent.yaml").write_text("# @package _global_\nnet: {_target_: os.getcwd}\n")
    monkeypatch.setattr("sys.argv", ["train.py", "experiment=sent.yaml", "trust=true"])
    assert composed(conf, "experiment=sent.yaml")["net"]["_target_"] == "os.getcwd"  # type: ignore[index]  # a mapping


def test_a_file_may_say_how_its_search_goes(conf: Path, tmp_path: Path) -> None:
    text = "# @package _global_\ndefaults: [override /hydra/sweeper/sampler: tpe]\nhydra: {sweeper: {n_trials: 3}}\n"
    (tmp_path / "sent.yaml").write_text(text)
    with initialize_config_dir(str(conf), version_base="1.3"):
        hydra = compose("config", ["hydra/sweeper=sweeplab", "experiment=sent.yaml"], return_hydra_config=True).hydra
    assert (hydra.sweeper.n_trials, hydra.sweeper.sampler._target_) == (3, "optuna.samplers.TPESampler")
