"""Projects made by an older sweeplab: a copy of the clone's files, in which the newer one differs."""

import shutil
import subprocess
from pathlib import Path

import pytest

from sweeplab.errors import UserError
from sweeplab.new import project
from sweeplab.new.files import TASKS, files
from sweeplab.new.project import commit, write_project
from sweeplab.new.update import update
from tests.conftest import ROOT


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What sweeplab makes projects of, for a test to change."""
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, "a@example.org")
    clone = tmp_path / "clone"
    for path in {path for task in TASKS.values() for path in files(ROOT, task)}:
        (clone / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, clone / path)
    monkeypatch.setattr(project, "PACKED", clone)
    return clone


@pytest.fixture
def folder(tmp_path: Path, clone: Path) -> Path:
    folder = tmp_path / "my-own"
    write_project(folder, TASKS["regression"])
    assert commit(folder, "regression")
    return folder


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_an_update_brings_what_is_new_and_keeps_what_the_user_wrote(folder: Path, clone: Path) -> None:
    edit(folder / "conf" / "train.yaml", "\nseed: 0\n", "\nseed: 7\n")
    (folder / "src" / "my_own" / "models" / "table_regression.py").unlink()
    (folder / "notes.txt").write_text("mine")
    git(folder, "add", "--all")
    git(folder, "commit", "-qm", "Mine")
    edit(clone / "conf" / "train.yaml", "\ninit_strict: true\n", "\ninit_strict: false\n")
    (clone / "conf" / "trainer" / "cpu.yaml").unlink()
    (clone / "conf" / "trainer" / "newer.yaml").write_text("x: 1\n")
    assert update(folder / "src")
    text = (folder / "conf" / "train.yaml").read_text()
    assert "\nseed: 7\n" in text
    assert "\ninit_strict: false\n" in text
    assert not (folder / "src" / "my_own" / "models" / "table_regression.py").exists()
    assert (folder / "notes.txt").read_text() == "mine"
    assert not (folder / "conf" / "trainer" / "cpu.yaml").exists()
    assert (folder / "conf" / "trainer" / "newer.yaml").exists()
    assert not git(folder, "status", "--porcelain")
    assert not update(folder)  # there is nothing new any more


def test_an_update_follows_the_one_before_in_a_clone_of_the_project(folder: Path, clone: Path, tmp_path: Path) -> None:
    for seed in (1, 2):
        edit(clone / "conf" / "train.yaml", f"\nseed: {seed - 1}\n", f"\nseed: {seed}\n")
        another = tmp_path / f"another{seed}"
        git(tmp_path, "clone", "--quiet", str(folder), str(another))
        assert update(another)
        folder = another
        assert f"\nseed: {seed}\n" in (folder / "conf" / "train.yaml").read_text()


def test_what_both_changed_is_left_to_git(folder: Path, clone: Path) -> None:
    edit(folder / "conf" / "train.yaml", "\nseed: 0\n", "\nseed: 7\n")
    git(folder, "commit", "-qam", "Mine")
    edit(clone / "conf" / "train.yaml", "\nseed: 0\n", "\nseed: 8\n")
    with pytest.raises(UserError, match=r"conflict.* conf/train\.yaml"):
        update(folder)
    assert "seed: 7" in (folder / "conf" / "train.yaml").read_text()
    git(folder, "merge", "--abort")


def test_changes_that_are_not_committed_stay_as_they_are(folder: Path, clone: Path) -> None:
    edit(clone / "conf" / "train.yaml", "\nseed: 0\n", "\nseed: 8\n")
    edit(folder / "conf" / "train.yaml", "\nseed: 0\n", "\nseed: 7\n")
    with pytest.raises(UserError, match=r"commit or stash your changes first \(conf/train\.yaml\)"):
        update(folder)
    assert git(folder, "status", "--porcelain") == "M conf/train.yaml"


def test_a_file_that_git_does_not_know_stays_as_it_is(folder: Path, clone: Path) -> None:
    edit(clone / "conf" / "train.yaml", "\nseed: 0\n", "\nseed: 8\n")
    (clone / "conf" / "trainer" / "newer.yaml").write_text("x: 1\n")
    (folder / "my notes.txt").write_text("mine")
    assert update(folder)
    assert (folder / "my notes.txt").read_text() == "mine"
    (clone / "conf" / "trainer" / "newest.yaml").write_text("x: 1\n")
    (folder / "conf" / "trainer" / "newest.yaml").write_text("mine")
    with pytest.raises(UserError, match=r"newest\.yaml"):
        update(folder)
    assert (folder / "conf" / "trainer" / "newest.yaml").read_text() == "mine"


def test_settings_of_git_change_nothing(
    folder: Path, tmp_path: Path, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ignored").write_text(".vscode\n*.yaml\n")
    settings = {"core.excludesFile": str(tmp_path / "ignored"), "commit.gpgSign": "true", "gpg.program": "/bin/false"}
    monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(settings)))
    for number, (key, value) in enumerate(settings.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    assert not update(folder)
    other = tmp_path / "other"
    write_project(other, TASKS["regression"])
    assert commit(other, "regression")
    assert ".vscode/launch.json" in git(other, "ls-files")


def test_another_repository_is_left_alone(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "other")
    git(tmp_path / "other", "commit", "--quiet", "--allow-empty", "-m", "Begin")
    with pytest.raises(UserError, match=r"no commit of .*other was made by sweeplab new"):
        update(tmp_path / "other")
    with pytest.raises(UserError, match="not a git repository"):
        update(tmp_path)


def test_an_example_that_is_no_longer_there_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(TASKS, "regression")
    with pytest.raises(UserError, match="has no example 'regression' any more"):
        update(folder)
