from pathlib import Path

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sweeplab.errors import UserError
from sweeplab.records.config import load, save
from tests.conftest import ROOT
from tests.sweeplab.records.made_runs import make_run

CONF = ROOT / "conf"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    text = {
        "folder": str(folder),
        "path": "${folder}/sub",
        "data": {"size": 3},
        "optimizer": {"lr": 0.1},
        "other": "/a",
    }
    save(OmegaConf.create(text), folder)
    return folder


def test_what_was_saved_is_loaded_with_interpolations_resolved(run: Path) -> None:
    assert load(run) == {
        "folder": str(run), "path": f"{run}/sub", "data": {"size": 3}, "optimizer": {"lr": 0.1}, "other": "/a",
    }  # fmt: skip


def test_paths_inside_the_folder_follow_it(run: Path, tmp_path: Path) -> None:
    moved = run.rename(tmp_path / "elsewhere")
    config = load(moved)
    assert (config.folder, config.path, config.other) == (str(moved), f"{moved}/sub", "/a")


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


def test_a_changed_configuration_keeps_the_former_one(run: Path) -> None:
    former = (run / "config.yaml").read_text()
    save(load(run), run)
    assert not list(run.glob("config-*"))  # nothing had changed
    save(load(run, ["data.size=5"]), run)
    assert (run / "config-1.yaml").read_text() == former
    assert load(run).data.size == 5


def test_what_follows_from_a_key_follows_its_override(tmp_path: Path) -> None:
    make_run(tmp_path / "run", {"seed": 0}, derived={"split": "seed"})
    config = load(tmp_path / "run", ["seed=7"])
    assert (config.seed, config.split) == (7, 7)


def test_what_was_overridden_once_stays(tmp_path: Path) -> None:
    """An interpolation that gives something else than what was saved does not come back."""
    run = make_run(tmp_path / "run", {"seed": 0}, derived={"split": "seed"})
    saved = run.folder / "config.yaml"
    saved.write_text(saved.read_text().replace("split: 0", "split: 5"))
    assert load(run.folder, ["seed=7"]).split == 5


@pytest.mark.parametrize("text", ["a: [1,", "- 1", "a: 1"])
def test_a_broken_configuration_is_said_to_be(tmp_path: Path, text: str) -> None:
    run = make_run(tmp_path / "run", {"seed": 0})
    (run.folder / "config.yaml").write_text(text)
    with pytest.raises(UserError, match=r"config\.yaml"):
        load(run.folder)
