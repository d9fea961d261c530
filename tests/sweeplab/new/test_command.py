import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


def new(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sweeplab.new.command", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_it_says_what_it_made_and_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    done = new(tmp_path / "here", "new", "../my-lab")
    assert done.returncode == 0
    assert done.stdout.startswith("../my-lab is a project with the example 'classification'")
    assert f"@ {ROOT.as_uri()}" in done.stdout
    assert "    cd ../my-lab\n    make train " in done.stdout
    assert (tmp_path / "my-lab" / "src" / "my_lab" / "models" / "mlp.py").exists()


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["new", "taken"], "taken exists already; name a folder that does not."),
        (["new", "1lab"], "'1lab' is not the name of a package: write letters, digits, - and _, a letter first."),
        (["new", "my lab"], "'my lab' is not the name of a package: "),
        (["new", "class"], "'class' is a word of Python; choose another name, such as my_class."),
        (["new", "torch"], "'torch' would hide the module 'torch'; choose another name, such as my_torch."),
        (["new", "json"], "'json' would hide the module 'json'; "),
        (["new", "conf"], "'conf' would hide the module 'conf'; "),
        *((["new", name], f"'{name}' would hide the module '{name}'; ") for name in ("train", "eval", "compare")),
        (["new", "requests"], "'requests' would hide the module 'requests'; "),
        (["new", "."], ". exists already; name a folder that does not."),
        (["new", ".."], ".. exists already; name a folder that does not."),
        (["new", "none/mylab"], "there is no folder none; make it first."),
        (["new"], "give the folder of the new project: sweeplab new ../mylab"),
        (["new", "a", "b"], "give the folder of the new project: sweeplab new ../mylab"),
        (["new", "mylab", "task=regresion"], "task=regresion is not an example; did you mean 'regression'?"),
        (["new", "mylab", "tasks=regression"], "'tasks=' is not an option of sweeplab new; did you mean 'task'?"),
        (["now", "mylab"], "'now' is not a command of sweeplab; choose from new, update, schema, check."),
        (["update", "mylab"], "sweeplab update takes no arguments, not 'mylab': "),
    ],
)
def test_a_mistake_is_one_sentence_and_makes_nothing(tmp_path: Path, arguments: list[str], answer: str) -> None:
    (tmp_path / "taken").mkdir()
    done = new(tmp_path, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {answer}")
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_project_is_made_again_where_its_package_can_be_imported(tmp_path: Path) -> None:
    """As the update of a project does."""
    (tmp_path / "mylab.py").touch()
    (tmp_path / "other").mkdir()
    assert new(tmp_path, "new", "other/mylab").returncode == 0
    assert new(tmp_path, "new", "other/lab").returncode == 0


def test_make_new_without_a_python_is_one_sentence() -> None:
    command = ["make", "--no-print-directory", "new", "NAME=mylab", "PYTHON="]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == "make: no Python 3.11 or newer; name one: make PYTHON=<path> ...\n"


def test_without_arguments_it_says_what_it_does(tmp_path: Path) -> None:
    assert "sweeplab new mylab" in new(tmp_path).stdout
    assert "sweeplab new mylab" in new(tmp_path, "new", "--help").stdout
