import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sweeplab.schema.command import FOLDER, check, faults, write
from tests.conftest import ROOT

FILES = {
    "train.yaml": "defaults: [{model: net}, {parts: some}, _self_]\nseed: 0\nparts: {}\n",
    "model/net.yaml": "_target_: tests.sweeplab.schema.test_command.Net\nwidth: ${seed}\n",
    "model/other.yaml": "# @package _global_\nseed: 1\nmodel:\n  _target_: tests.sweeplab.schema.test_command.Other\n",
    "parts/some.yaml": "one:\n  _target_: tests.sweeplab.schema.test_command.Net\n  width: 1\ntwo: null\n",
    "experiment/deep/wide.yaml": "# @package _global_\ndefaults:\n  - override /model: net\nmodel: {width: 9}\n",
}


class Net:
    def __init__(self, width: int, mode: str = "a") -> None: ...


class Other:
    def __init__(self, height: int = 1) -> None: ...


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name, text in FILES.items():
        (tmp_path / "conf" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "conf" / name).write_text(text)
    return Path("conf")


def test_files_that_agree_with_their_classes_have_no_faults(conf: Path) -> None:
    assert check(conf) == "conf: 5 files agree with what they name."
    assert not Path(FOLDER).exists()


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        ("model/net.yaml", "width", "widht", f"{__name__}.Net has no argument 'model.widht'; did you mean 'width'?"),
        ("model/net.yaml", "${seed}", "wide", 'model.width="wide" is not valid: it wants int.'),
        (
            "model/net.yaml",
            ".Net",
            ".Nte",
            f"model._target_={__name__}.Nte does not exist: {__name__} has no 'Nte'; di",
        ),
        ("parts/some.yaml", "width", "wdth", f"{__name__}.Net has no argument 'parts.one.wdth'; did you mean 'width'?"),
        ("experiment/deep/wide.yaml", "width", "wi", "no choice of model has an argument 'model.wi'; choose from widt"),
        ("model/other.yaml", "seed: 1", "a: [", "it cannot be read: while parsing a flow sequence"),
        (
            "model/other.yaml",
            "seed",
            "hydra: {sweeper: {n_trial: 1}}\nseed",
            "sweeplab.sweep.config.settings.Settings ",
        ),
    ],
)
def test_a_fault_is_one_sentence(conf: Path, file: str, old: str, new: str, fault: str) -> None:
    text = (conf / file).read_text()
    assert old in text
    (conf / file).write_text(text.replace(old, new))
    (found,) = faults(conf)
    assert found.startswith(f"conf/{file}: {fault}")
    with pytest.raises(SystemExit, match=re.escape(fault)):
        check(conf)


def test_a_file_that_names_no_schema_is_left_alone_and_told_the_line_that_would(conf: Path) -> None:
    before = {path: path.read_text() for path in conf.rglob("*.yaml")}
    lines = write(conf).splitlines()[1:]
    assert {path: path.read_text() for path in conf.rglob("*.yaml")} == before
    assert len(lines) == len(FILES)
    for line in lines:
        match = re.fullmatch(r"(\S+) names none, .*: (# yaml-language-server: \$schema=(\S+))", line)
        assert match
        schema = json.loads((Path(match[1]).parent / match[3]).read_text())
        if "$ref" in schema:
            file, _, pointer = schema["$ref"].partition("#/")
            part = json.loads((Path(match[1]).parent / match[3]).with_name(file).read_text())
            for key in pointer.split("/"):
                part = part[key]
        Path(match[1]).write_text(f"{before[Path(match[1])]}{match[2]}\n")
    assert write(conf) == f".schemas has the schemas of {len(FILES)} files."


def test_hydra_reads_its_package_above_the_line_that_names_a_schema() -> None:
    """As every file of conf/ that has one is written: below it Hydra would not find it."""
    for path in (ROOT / "conf").rglob("*.yaml"):
        lines = path.read_text().splitlines()
        assert not [number for number, line in enumerate(lines) if line.startswith("# @package") and number]


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["check", "nowhere"], "Error: nowhere has no configuration; run this in the folder that has conf/"),
        (["schema", "a", "b"], "Error: sweeplab schema takes one folder: sweeplab schema [conf]"),
        (["schem"], "Error: 'schem' is not a command of sweeplab; did you mean 'schema'?"),
    ],
)
def test_a_mistake_of_the_command_line_is_one_sentence(tmp_path: Path, arguments: list[str], answer: str) -> None:
    command = [sys.executable, "-m", "sweeplab.new.command", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(answer)


def test_every_file_of_this_project_names_a_schema() -> None:
    for path in sorted((ROOT / "conf").rglob("*.yaml")):
        if "local" not in path.parts:
            (named,) = re.findall(r"^# yaml-language-server: \$schema=(\S+)$", path.read_text(), re.M)
            assert (path.parent / named).resolve().parent == ROOT / FOLDER


@pytest.mark.slow
def test_the_files_of_this_project_agree_with_what_they_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert faults(ROOT / "conf") == []
    assert faults(ROOT / "tests" / "foreign" / "conf") == []
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    path = tmp_path / "conf" / "trainer" / "default.yaml"
    path.write_text(path.read_text().replace("32-true", "32-ture"))
    assert faults(tmp_path / "conf") == [f"{path}: trainer.precision=\"32-ture\" is not valid; did you mean '32-true'?"]
