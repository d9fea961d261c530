import subprocess
import sys
from pathlib import Path

import pytest

from sweeplab.records import provenance


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def test_the_code_is_a_commit_and_what_tracked_files_are_beyond_it(tmp_path: Path) -> None:
    assert provenance.code(tmp_path) == (None, b"")
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "train.py").write_text("old\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    (folder / "train.py").write_text("new\n")
    (folder / "notes").touch()
    facts, patch = provenance.code(folder)
    assert facts is not None
    assert (facts["dirty"], facts["untracked"]) == (True, ["notes"])
    assert b"-old" in patch
    assert b"+new" in patch
    assert b"notes" not in patch


def test_the_command_can_be_pasted_and_has_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "model=a b", "api_key=abcdef123456"])
    assert provenance.command() == "python train.py 'model=a b' 'api_key=***'"


def test_who_signed_a_text_is_known_by_his_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "mine"))
    signature = provenance.sign("text")
    assert provenance.is_signed("text", signature)
    assert not provenance.is_signed("another", signature)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "yours"))
    assert not provenance.is_signed("text", signature)


def test_without_a_home_nothing_is_signed_and_nothing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert provenance.sign("text") is None
    assert not provenance.is_signed("text", None)
