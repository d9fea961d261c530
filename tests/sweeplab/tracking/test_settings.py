import logging
import pwd
import tempfile
from pathlib import Path

import pytest
import wandb

from sweeplab.tracking.settings import pick_mode
from tests.wandb_server import WandbServer


@pytest.fixture(autouse=True)
def fresh_settings() -> None:
    """W&B reads its environment once a process."""
    wandb.teardown()


@pytest.mark.parametrize(("offline", "mode"), [(True, "offline"), (False, "online")])
def test_what_the_user_says_is_not_questioned(offline: bool, mode: str) -> None:
    assert pick_mode(offline) == mode


@pytest.mark.parametrize("mode", ["online", "offline", "disabled"])
def test_the_environment_decides_where_the_user_does_not(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    assert pick_mode(None) == mode


def test_without_a_key_runs_are_offline(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert pick_mode(None) == "offline"
    assert "no key" in caplog.text


def test_a_user_without_a_home_has_runs_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under a number nobody has a name for."""

    def nobody(number: int) -> pwd.struct_passwd:
        raise KeyError(number)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.delenv("HOME")
    assert pick_mode(None) == "offline"
    assert Path.home() == tmp_path


def test_with_a_key_and_a_server_that_takes_it_runs_are_online(wandb_server: WandbServer) -> None:
    assert pick_mode(None) == "online"
    assert wandb_server.unknown == []


def test_with_a_server_that_is_gone_runs_are_offline(
    wandb_server: WandbServer, caplog: pytest.LogCaptureFixture
) -> None:
    wandb_server.gone()
    assert pick_mode(None) == "offline"
    assert "does not answer" in caplog.text


def test_with_a_server_that_refuses_the_key_runs_are_offline(
    wandb_server: WandbServer, caplog: pytest.LogCaptureFixture
) -> None:
    wandb_server.refuses = 401
    assert pick_mode(None) == "offline"
    assert "refuses the key; write `wandb login --relogin`" in caplog.text


def test_with_a_server_that_is_broken_runs_are_offline(
    wandb_server: WandbServer, caplog: pytest.LogCaptureFixture
) -> None:
    wandb_server.failing = "everything"
    assert pick_mode(None) == "offline"
    assert "answers 500" in caplog.text
