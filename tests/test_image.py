"""What can be known of the Dockerfile and the devcontainer without building them."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.conftest import ROOT

DOCKERFILE = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
STEPS = [line.split(maxsplit=1) for line in DOCKERFILE.splitlines() if line]


def steps(name: str) -> list[str]:
    return [rest for step, rest in STEPS if step == name]


def copied() -> list[str]:
    return [path for rest in steps("COPY") for path in shlex.split(rest)[1:-1]]


def test_what_is_copied_is_there_and_not_ignored() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] not in ("", "#", "!")]
    assert "pyproject.toml" in copied()
    for path in copied():
        assert (ROOT / path).exists(), path
        assert not [pattern for pattern in ignored if fnmatch(path, pattern)], path


def test_code_is_copied_after_all_that_is_installed() -> None:
    """So that a change of code builds one layer anew."""
    order = [(step, rest.split()[-2]) for step, rest in STEPS if step in ("RUN", "COPY")]
    assert order[-1] == ("COPY", ".")
    assert [path for step, path in order if step == "COPY"].count(".") == 1


def test_the_build_argument_chooses_where_torch_comes_from() -> None:
    assert "TORCH=cpu" in steps("ARG")
    (install,) = [command for command in steps("RUN") if "${TORCH}" in command]
    assert '--index-url "https://download.pytorch.org/whl/${TORCH}"' in install
    pin = re.search(r"grep '(.*?)' constraints.txt", install)
    assert pin
    assert len(re.findall(pin[1], (ROOT / "constraints.txt").read_text(), re.MULTILINE)) == 1


def test_the_devcontainer_is_that_image() -> None:
    text = (ROOT / ".devcontainer" / "devcontainer.json").read_text()
    container = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    folder, file = ROOT / ".devcontainer", container["build"]["dockerfile"]
    assert (folder / file).resolve() == ROOT / "Dockerfile"
    assert (folder / container["build"]["context"]).resolve() == ROOT
    assert set(container["build"]["args"]) <= {argument.split("=")[0] for argument in steps("ARG")}
    assert any(command.startswith("useradd") and command.endswith(container["remoteUser"]) for command in steps("RUN"))
    assert steps("WORKDIR") == [container["workspaceFolder"]]
    assert f"target={container['workspaceFolder']}," in container["workspaceMount"]
    assert f"target={container['workspaceFolder']}/.venv," in container["mounts"][0]


def test_what_make_does_before_the_code_is_copied_needs_none_of_it() -> None:
    (command,) = [command for command in steps("RUN") if "&& make " in command]
    target = command.rpartition(" ")[2]
    plan = ["make", "--no-print-directory", "--dry-run", "--always-make", target]
    done = subprocess.run(plan, cwd=ROOT, capture_output=True, text=True, check=True)
    assert " -m venv .venv" in done.stdout
    assert "bin/sweeplab" not in done.stdout


@pytest.mark.slow
def test_what_is_installed_before_the_code_finds_it_afterwards(tmp_path: Path) -> None:
    """As the image does, but without what sweeplab needs: its files, an empty src/, and the code later."""
    for path in copied():
        if path != ".":
            shutil.copy(ROOT / path, tmp_path)
    (tmp_path / "src").mkdir()
    python = tmp_path / ".venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", ".venv"], cwd=tmp_path, check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "-e", "."], cwd=tmp_path, check=True)
    shutil.copytree(ROOT / "src", tmp_path / "src", dirs_exist_ok=True)
    code = "import sweeplab, lab; print(sweeplab.__file__)"
    done = subprocess.run([python, "-c", code], cwd="/", capture_output=True, text=True)
    assert done.stdout.strip() == str(tmp_path / "src" / "sweeplab" / "__init__.py")
