"""A new project, written whole or not at all."""

import json
import keyword
import re
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from sweeplab.errors import UserError
from sweeplab.extras import EXTRA_OF
from sweeplab.new.files import Task, files
from sweeplab.new.git import git

HERE = Path(__file__).parent
SKELETON = HERE / "skeleton"  # what a project has and the clone does not, or has otherwise
PACKED = HERE / "clone"  # what a wheel has of the clone
EXTRAS = "sweeplab[report,train,wandb]"
TRAILER = "Sweeplab-Example"  # of the commits that sweeplab makes in a project, and with its example
# What a project has or imports, where the name does not stand in constraints.txt.
TAKEN = {"compare", "conf", "eval", "tests", "train", "sweeplab", "hydra_plugins", *EXTRA_OF}
TAKEN |= {"antlr4", "attr", "dateutil", "google", "hydra", "sklearn", "yaml"}
OWN = "own"  # what a project without an example calls the model and data that it does not have yet
OF_TASKS = ("  - task: classification\n", "  - optimizer: adam\n", "  - scheduler: none\n")


def module_of(project: str) -> str:
    """Return the name of the package of a project of this name."""
    return project.lower().replace("-", "_")


def check_name(folder: Path) -> None:
    """Make sure that a project can be made in this folder, which gives its package a name.

    Raises:
        UserError: the folder exists, or its name is not one of a package, or is that of another.
    """
    name, module = folder.name, module_of(folder.name)
    if folder.exists():
        raise UserError(f"{folder} exists already; name a folder that does not.")
    if not re.fullmatch(r"[a-z]\w*", module, re.ASCII) or module.endswith("_"):
        raise UserError(f"'{name}' is not the name of a package: write letters, digits, - and _, a letter first.")
    if keyword.iskeyword(module):
        raise UserError(f"'{name}' is a word of Python; choose another name, such as my_{module}.")
    if module in TAKEN | sys.stdlib_module_names | _pinned():
        raise UserError(f"'{name}' would hide the module '{module}'; choose another name, such as my_{module}.")


def _pinned() -> set[str]:
    """Return what a project installs, named as modules are."""
    text = (_clone() / "constraints.txt").read_text(encoding="utf-8")
    return {name.lower().replace("-", "_") for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)}


def write_project(folder: Path, task: Task) -> None:
    """Write a project with this example into a folder that does not exist yet.

    Raises:
        UserError: the folder's name does not do, or there is no folder above it.
    """
    check_name(folder)
    if not folder.parent.is_dir():
        raise UserError(f"there is no folder {folder.parent}; make it first.")
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        write_files(unfinished, folder.name, task)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write_files(folder: Path, name: str, task: Task) -> None:
    """Write the files of a project of this name into a folder."""
    for path, text in _texts(name, module_of(name), task):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


def commit(folder: Path, example: str) -> bool:
    """Make the project a repository with a first commit; return whether that worked."""
    try:
        git(folder, "init", "--quiet")
        git(folder, "symbolic-ref", "HEAD", "refs/heads/main")  # the branch that its CI runs on
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "-m", f"Begin {folder.name}\n\n{TRAILER}: {example}")
    except UserError:
        return False
    return True


def requirement() -> str:
    """Return the sweeplab that a new project needs: what it is made from, at its version where that is released."""
    if not PACKED.is_dir():
        return f"{EXTRAS} @ {_clone().as_uri()}"
    installed = distribution("sweeplab")
    origin = json.loads(installed.read_text("direct_url.json") or "{}")  # where pip took it from, if not from an index
    if "vcs_info" in origin:
        return f"{EXTRAS} @ {origin['vcs_info']['vcs']}+{origin['url']}@{origin['vcs_info']['commit_id']}"
    if origin:
        return f"{EXTRAS} @ {origin['url']}"
    version = re.match(r"(\d+)\.(\d+)[^+]*", installed.version)  # without the label of a build, which pip refuses here
    assert version, installed.version
    return f"{EXTRAS}>={version[0]},<{version[1]}.{int(version[2]) + 1}"


def _clone() -> Path:
    """Return the folder of the clone, or of what the wheel has of it."""
    return PACKED if PACKED.is_dir() else HERE.parents[2]


def _texts(name: str, module: str, task: Task) -> Iterator[tuple[str, str]]:
    """Return the files of a project: their paths and what is in them."""
    root = _clone()
    for path in files(root, task):
        text = _with_the_example(path, (root / path).read_text(encoding="utf-8"), name, task)
        to = path.replace("tests/lab/", "tests/").replace("src/lab/", f"src/{module}/")
        yield to, text if path == "constraints.txt" else _renamed(text, module)
    values = {
        "name": name,
        "needs": "".join(f'    "{need}",\n' for need in sorted([*task.needs, requirement()])),
        "train": f" experiment={task.experiment}" if task.experiment else "",
        "begin": _begin(task, module),
        "of_what": "the example" if task.model else "your model",
    }
    for file in sorted(path for path in SKELETON.rglob("*") if path.is_file()):
        text = _renamed(file.read_text(encoding="utf-8"), module)
        filled = re.sub(r"\{\{ (\w+) \}\}", lambda match: values[match[1]], text)
        yield file.relative_to(SKELETON).as_posix().removesuffix(".in"), filled


def _begin(task: Task, module: str) -> str:
    """Return what README.md says of the first model of one's own."""
    text = (HERE / ("begin.md" if task.model else "begin_empty.md")).read_text(encoding="utf-8").strip()
    return _renamed(text.format(model=task.model, data=task.data), module)


def _renamed(text: str, module: str) -> str:
    return re.sub(r"\blab\b", module, text)


def _with_the_example(path: str, text: str, name: str, task: Task) -> str:
    """Return the text of a file with the example's choices instead of the clone's."""
    changes: dict[str, str] = {}
    model, data = task.model or OWN, task.data or OWN
    if path == "conf/train.yaml":
        changes = {"  - data: digits\n": f"  - data: {data}\n"}
        changes["  - model: mlp\n"] = f"  - model: {model}\n"
        changes |= {} if task.is_network else dict.fromkeys(OF_TASKS, "")
    elif path == "train.py":
        experiment = _usage(f"experiment={task.experiment}", "a whole experiment") if task.experiment else ""
        changes = {
            "a multilayer perceptron on scanned digits": f"{model} on {data}",
            _usage("model=cnn data=mnist1d", "other choices"): _usage(
                f"model={task.model or OWN}", "a choice, by name"
            ),
            _usage("experiment=mnist1d/cnn", "a whole experiment"): experiment,
        }
    elif path == "conf/logger/wandb.yaml":
        changes = {"project: sweeplab\n": f"project: {name}\n"}
    for old, new in changes.items():
        assert text.count(old) == 1, f"{path} has no line {old!r}"
        text = text.replace(old, new)
    return text


def _usage(words: str, about: str) -> str:
    """Return a line of what train.py's help begins with."""
    return f"python train.py {words:33} {about}\n"
