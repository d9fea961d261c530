"""What `make release` refuses, and what it leaves, in a copy of the repository."""

import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
TODAY = "2026-01-31"
HEADING = f"## [{VERSION}] - {TODAY}"
HOME = "https://github.com/me/sweeplab"


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=me", "-c", "user.email=me@home")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


def repository(folder: Path, files: list[str], heading: str = HEADING, home: str = HOME) -> Path:
    """A repository with these files of this one, whose changelog has one section."""
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    (folder / "CHANGELOG.md").write_text(
        f"# Changelog\n\n{heading}\n\n### Added\n\n- A thing.\n\n## [0.0.1] - 2026-01-01\n\n- Old.\n"
    )
    project = folder / "pyproject.toml"
    project.write_text(re.sub(r'Repository = ".*"', f'Repository = "{home}"', project.read_text()))
    git(folder, "init", "--quiet")
    git(folder, "config", "user.name", "me")
    git(folder, "config", "user.email", "me@home")
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "All")


def release(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ".ci/release.py", "--today", TODAY, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


SMALL = [".ci/release.py", "pyproject.toml", ".gitignore"]


def refused(folder: Path) -> str:
    """What the release of a repository says that it lacks; it has neither built nor tagged anything."""
    tags = git(folder, "tag")
    done = release(folder)
    assert done.returncode == 1
    assert not (folder / "dist").exists()
    assert git(folder, "tag") == tags
    return done.stderr


def test_uncommitted_changes_are_refused(tmp_path: Path) -> None:
    folder = repository(tmp_path, SMALL)
    (folder / "more.py").touch()
    assert refused(folder) == "release: there are uncommitted changes; commit them first.\n"


def test_a_version_that_is_out_is_refused(tmp_path: Path) -> None:
    folder = repository(tmp_path, SMALL)
    git(folder, "tag", f"v{VERSION}")
    assert refused(folder) == f"release: v{VERSION} exists already; raise the version in pyproject.toml.\n"


@pytest.mark.parametrize("heading", ["## [Unreleased]", f"## [{VERSION}] - 2026-01-01", f"{HEADING}\n\n## [0.0.2]"])
def test_a_version_without_a_section_of_today_is_refused(tmp_path: Path, heading: str) -> None:
    assert f"no section '{HEADING}'" in refused(repository(tmp_path, SMALL, heading))


def test_a_project_without_an_address_is_refused(tmp_path: Path) -> None:
    folder = repository(tmp_path, SMALL, home="https://github.com/OWNER/sweeplab")
    assert "in place of OWNER" in refused(folder)


def test_failing_checks_end_it(tmp_path: Path) -> None:
    folder = repository(tmp_path, SMALL)
    (folder / "Makefile").write_text("check:\n\tfalse\n")
    commit(folder)
    assert "this failed, and nothing is tagged: make check" in refused(folder)


@pytest.mark.slow
def test_a_release_is_built_tried_and_tagged_and_published_by_hand(tmp_path: Path) -> None:
    """In a copy of the repository, without its tests and checks, which take an hour."""
    listed = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    folder = repository(tmp_path, [name for name in listed if (ROOT / name).is_file()])
    done = release(folder, "--skip", "check", "test")
    assert done.returncode == 0, done.stdout + done.stderr
    wheel, sdist = sorted(path.name for path in (folder / "dist").iterdir())
    assert (wheel, sdist) == (f"sweeplab-{VERSION}-py3-none-any.whl", f"sweeplab-{VERSION}.tar.gz")
    with tarfile.open(folder / "dist" / sdist) as archive:
        assert f"sweeplab-{VERSION}/src/lab/train.py" in archive.getnames()
    assert git(folder, "tag", "--list", "--format=%(contents)", f"v{VERSION}").strip() == (
        f"sweeplab {VERSION}\n\n### Added\n\n- A thing."
    )
    assert git(folder, "status", "--porcelain") == ""
    assert f"    git push origin HEAD v{VERSION}\n" in done.stdout
    assert f"upload dist/{wheel} dist/{sdist}\n" in done.stdout
    assert "Make a project of your own" in done.stdout  # by the command of the wheel
