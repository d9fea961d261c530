from pathlib import Path

import pytest
from omegaconf import OmegaConf

from sweeplab.errors import UserError
from sweeplab.records.config import load, save
from tests.sweeplab.records.made_runs import make_run


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
