import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from sweeplab.errors import UserError
from sweeplab.records import provenance
from sweeplab.sweep.execute import code as module
from sweeplab.sweep.execute.code import copy_of, not_copied, pack_code, unpack_code, use_copies
from tests.conftest import ROOT


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave this project out, and restore what `use_copies` changes."""
    monkeypatch.setattr(sys, "path", [e for e in sys.path if "site-packages" in e or not Path(e).is_relative_to(ROOT)])
    monkeypatch.setenv("PYTHONPATH", "")
    yield
    provenance._origin.cache_clear()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with a committed program that has been edited since."""
    folder = tmp_path / "project"
    (folder / "src" / "theirs").mkdir(parents=True)
    git(folder, "init", "-q")
    (folder / "train.py").write_text("old\n")
    (folder / "run.sh").write_text("run\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "again.py").symlink_to("train.py")
    (folder / "gone.py").touch()
    (folder / ".gitignore").write_text("/data/\n*.so\n/outputs/*\n!/outputs/README\n__pycache__/\n")
    (folder / "outputs").mkdir()
    (folder / "outputs" / "README").touch()
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    (folder / "gone.py").unlink()
    (folder / "train.py").write_text("new\n")
    (folder / "src" / "theirs" / "__init__.py").touch()  # neither tracked nor ignored
    return folder


def copied(project: Path, tmp_path: Path) -> Path:
    copies = unpack_code(pack_code(project / "train.py", []), tmp_path / "node")
    return Path(copies[str(project)])


def test_a_copy_has_the_commit_the_changes_and_what_is_not_ignored(project: Path, tmp_path: Path) -> None:
    copy = copied(project, tmp_path)
    (project / "train.py").write_text("edited during the sweep\n")
    assert (copy / "train.py").read_text() == (copy / "again.py").read_text() == "new\n"
    assert (copy / "src" / "theirs" / "__init__.py").is_file()
    assert not (copy / "gone.py").exists()
    assert not (copy / ".git").exists()
    assert os.access(copy / "run.sh", os.X_OK)
    assert (copy / "outputs" / "README").is_file()


def test_what_is_ignored_or_large_is_a_link_to_where_it_lies(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST", 1000)
    for name in ("data/x.csv", "src/theirs/fast.so", "src/theirs/__pycache__/x.pyc", "multirun/study/0/run.json"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("there")
    (project / "weights.bin").write_bytes(bytes(1001))
    copy = copied(project, tmp_path)
    for name in ("data", "src/theirs/fast.so", "multirun", "weights.bin"):
        assert (copy / name).readlink() == project / name
    assert not (copy / "src" / "theirs" / "__pycache__").exists()


def test_a_folder_that_ignores_itself_is_a_link_and_stays_as_it_is(project: Path, tmp_path: Path) -> None:
    cache = project / ".cache"
    (cache / "inner").mkdir(parents=True)
    for name in (".gitignore", "entry", "inner/entry"):
        (cache / name).write_text("*")
    copy = copied(project, tmp_path)
    assert (copy / ".cache").readlink() == cache
    assert [(cache / name).is_symlink() for name in (".gitignore", "entry", "inner/entry")] == [False] * 3


def test_the_environment_in_a_project_is_not_copied(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = project / "env" / "lib" / "site-packages"
    (installed / "torch").mkdir(parents=True)
    (installed / "torch" / "__init__.py").touch()
    monkeypatch.setattr(sys, "prefix", str(project / "env"))
    copy = copied(project, tmp_path)
    assert (copy / "env").is_symlink()
    assert copy_of(str(installed), {str(project): str(copy)}) == str(installed)


def test_submodules_are_copied(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    (other / "part.py").touch()
    git(other, "add", "-A")
    git(other, "commit", "-qm", "first")
    git(project, "submodule", "add", "-q", str(other), "parts")
    (project / "parts" / "new.py").touch()
    copy = copied(project, tmp_path)
    assert (copy / "parts" / "part.py").is_file()
    assert (copy / "parts" / "new.py").is_file()


def test_of_a_project_that_is_too_large_the_largest_files_are_links_before_those_of_python(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MOST", 1000)
    for name, size in (("large.csv", 500), ("largest.csv", 700), ("small.csv", 100), ("net.py", 800)):
        (project / name).write_bytes(bytes(size))
    git(project, "add", "-A")
    copy = copied(project, tmp_path)
    links = [name for name in ("large.csv", "largest.csv", "small.csv", "net.py") if (copy / name).is_symlink()]
    assert links == ["large.csv", "largest.csv"]
    assert "2 of its files, such as largest.csv, are links to the project's" in caplog.text


def test_a_link_out_of_the_repository_leads_there_from_the_copy_too(project: Path, tmp_path: Path) -> None:
    (tmp_path / "shared" / "mylib").mkdir(parents=True)
    (tmp_path / "shared" / "mylib" / "__init__.py").touch()
    (project / "src" / "mylib").symlink_to("../../shared/mylib")
    git(project, "add", "-A")
    copy = copied(project, tmp_path / "elsewhere")
    assert (copy / "src" / "mylib" / "__init__.py").is_file()
    assert (copy / "again.py").readlink() == Path("train.py")


def test_files_of_secrets_that_git_does_not_track_are_not_sent(project: Path, tmp_path: Path) -> None:
    for name in (".env", "src/prod.env"):
        (project / name).write_text("KEY=geheim")
    copy = copied(project, tmp_path)
    assert [(copy / name).readlink() for name in (".env", "src/prod.env")] == [
        project / ".env",
        project / "src/prod.env",
    ]


def test_where_git_does_not_read_a_repository_the_warning_has_its_words(
    project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert pack_code(project / "train.py", [])[1] == {}
    assert "dubious ownership" in caplog.text
    assert "lies in no git repository" not in caplog.text


def test_without_a_repository_a_warning_says_what_nodes_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert pack_code(tmp_path / "train.py", [])[1] == {}
    assert "lies in no git repository" in caplog.text


def test_what_a_path_and_an_editable_install_lead_to_is_imported_from_the_copy(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "link"
    link.symlink_to(project)  # the project's name in `sys.path`, which git does not know
    theirs = str(link / "src")
    monkeypatch.setattr(sys, "path", [*sys.path, theirs])
    copies = unpack_code(pack_code(project / "train.py", ["theirs.models"]), tmp_path / "node")
    path = list(sys.path)
    assert {str(link), str(project)} <= set(copies)
    assert not_copied(["theirs.models", "json"], copies) == ["theirs"]
    use_copies(path, copies, [])
    assert not_copied(["theirs.models"], copies) == []
    assert sys.path[-1] == os.environ["PYTHONPATH"] == str(tmp_path / "node" / "0" / "project" / "src")


def test_where_nodes_share_no_folder_nothing_is_a_link_to_what_they_do_not_have(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (project / "data").mkdir()
    (project / "data" / "1.bin").touch()
    (project / "large.csv").write_text("1" * 1000)
    monkeypatch.setattr(module, "MOST", 500)
    copies = unpack_code(pack_code(project / "train.py", [], is_shared=False), tmp_path / "node")
    copy = Path(copies[str(project)])
    assert all((copy / name).exists() for name in ("train.py", "again.py"))
    assert not any((copy / name).exists() for name in ("data", "large.csv"))
    assert [path for path in copy.rglob("*") if path.is_symlink() and not path.exists()] == []
    assert "1 of its files, such as large.csv, are not there." in caplog.text


def test_packages_of_a_node_that_shares_no_folder_come_before_what_the_controller_calls_so(
    project: Path, tmp_path: Path
) -> None:
    copies = unpack_code(pack_code(project / "train.py", []), tmp_path / "node")
    own = list(sys.path)
    use_copies(["/theirs", str(project)], copies, [], own)
    assert sys.path == [copies[str(project)], *dict.fromkeys(own), "/theirs"]


def test_without_a_repository_nodes_that_share_no_folder_need_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"lies in no git repository; .* git init, then git add its files\."):
        pack_code(tmp_path / "train.py", [], is_shared=False)


def test_where_an_editable_install_finds_a_package_its_copy_comes_first(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Finder:
        """As setuptools has one, behind `sys.path`."""

        @staticmethod
        def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
            file = project / "src" / "theirs" / "__init__.py"
            folders = [str(file.parent)]
            return spec_from_file_location(name, file, submodule_search_locations=folders) if name == "theirs" else None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    copies = unpack_code(pack_code(project / "train.py", ["theirs.models"]), tmp_path / "node")
    use_copies(sys.path, copies, ["theirs.models"])
    assert sys.path[0] == str(tmp_path / "node" / "0" / "project" / "src")
    assert not_copied(["theirs"], copies) == []


def test_a_run_in_a_copy_is_one_of_the_project(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts, patch = provenance.code(project)
    copy = copied(project, tmp_path)
    assert b"+new" in patch
    assert provenance.code(copy / "src") == (facts, patch)
    monkeypatch.setattr(sys, "argv", [str(copy / "train.py"), "x=1"])
    monkeypatch.chdir(project)
    assert provenance.script() == project / "train.py"
    assert provenance.command() == "python train.py x=1"
    assert json.loads((copy / provenance.ORIGIN).read_text())["project"] == str(project)
