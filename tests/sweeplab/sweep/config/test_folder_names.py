from pathlib import Path

import pytest
from hydra.conf import HydraConf, JobConf
from omegaconf import DictConfig, OmegaConf

from sweeplab.sweep.config.folder_names import FolderNames


def config(subdir: str, number: int = 0) -> DictConfig:
    """The configuration of a trial whose folder is named so."""
    config = OmegaConf.create({"hydra": HydraConf(job=JobConf(num=number)), "lr": 0.1})
    config.hydra.sweep.subdir = subdir
    return config


def test_folders_have_the_numbers_unless_the_user_names_them(tmp_path: Path) -> None:
    assert FolderNames(tmp_path, config("${hydra.job.num}")).are_numbers
    assert not FolderNames(tmp_path, config("lr=${lr}")).are_numbers
    assert FolderNames(tmp_path, config("${hydra.job.num}")).name_of(3) == "3"


def test_a_name_that_is_taken_gets_the_number(tmp_path: Path) -> None:
    names = FolderNames(tmp_path, config("lr=${lr}"))
    names.names.update({7: "lr=0.1"})
    (tmp_path / "other").mkdir()
    assert names.choose(8, config("lr=${lr}", 8)) == names.name_of(8) == "lr=0.1_8"
    assert names.choose(9, config("other", 9)) == "other_9"
    assert names.choose(7, config("lr=${lr}", 7)) == "lr=0.1", "a trial that is asked for again keeps its own"


@pytest.mark.parametrize("name", ["long" * 80, "fine/" + "é" * 101, ".", ""])
def test_what_no_folder_can_be_called_is_called_by_its_number(tmp_path: Path, name: str) -> None:
    assert FolderNames(tmp_path, config(name)).choose(4, config(name, 4)) == "4"


def test_no_password_is_in_a_name(tmp_path: Path) -> None:
    name = "postgresql://me:s3cr3t-s3cr3t@host"
    assert FolderNames(tmp_path, config(name)).choose(0, config(name)) == "postgresql://me:***@host"
