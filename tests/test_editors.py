"""What editors find in the repository."""

import json
import re
from importlib.util import find_spec
from typing import Any

import pytest

from sweeplab.help import help_text
from tests.conftest import ROOT, Command

LAUNCHES: list[dict[str, Any]] = json.loads((ROOT / ".vscode" / "launch.json").read_text())["configurations"]
TRAIN = [launch for launch in LAUNCHES if launch.get("program", "").endswith("/train.py")]
SWEEPS = [launch for launch in TRAIN if "-m" in launch["args"]]


def name_of(launch: dict[str, Any]) -> str:
    return str(launch["name"])


@pytest.mark.parametrize("launch", LAUNCHES, ids=name_of)
def test_what_is_launched_exists(launch: dict[str, Any]) -> None:
    if "module" in launch:
        assert find_spec(launch["module"])
    else:
        assert (ROOT / launch["program"].removeprefix("${workspaceFolder}/")).is_file()


@pytest.mark.parametrize("launch", TRAIN, ids=name_of)
def test_what_is_launched_composes(launch: dict[str, Any]) -> None:
    assert help_text("", ROOT / "conf", "train", [word for word in launch["args"] if word != "-m"])


def test_variables_of_a_launch_are_given() -> None:
    content = (ROOT / ".vscode" / "launch.json").read_text()
    inputs = {each["id"] for each in json.loads(content)["inputs"]}
    assert set(re.findall(r"\$\{input:(\w+)\}", content)) == inputs


def test_the_page_names_each_launch() -> None:
    page = (ROOT / "docs" / "editors.md").read_text()
    assert re.findall(r"^\| ((?:train|sweep|compare|tests).*?) \|", page, re.MULTILINE) == [*map(name_of, LAUNCHES)]


def test_the_extensions_are_named_as_the_marketplace_does() -> None:
    extensions = json.loads((ROOT / ".vscode" / "extensions.json").read_text())["recommendations"]
    assert {"charliermarsh.ruff", "ms-python.python", "redhat.vscode-yaml"} <= set(extensions)
    assert all(re.fullmatch(r"[\w-]+\.[\w-]+", extension) for extension in extensions)


@pytest.mark.slow
@pytest.mark.parametrize("launch", SWEEPS, ids=name_of)
def test_a_sweep_that_is_launched_runs_in_the_process_of_the_debugger(launch: dict[str, Any], command: Command) -> None:
    assert "hydra.sweeper.executor=inline" in launch["args"]
    done = command("train.py", *launch["args"], "hydra.sweeper.preview=true")
    assert "  python " in done.stdout
