"""The files of a clone that a new project begins with: one example, and every choice that is not about a model.

The build of the wheel runs this file too, so it imports nothing of sweeplab.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Task(NamedTuple):
    """An example: its model, data and experiment, the packages that these import, and whether a task trains it."""

    model: str | None = None
    data: str | None = None
    experiment: str | None = None
    needs: tuple[str, ...] = ()
    is_network: bool = False


TASKS = {
    "classification": Task("mlp", "digits", needs=("scikit-learn>=1.5",), is_network=True),
    "regression": Task("table_regression", "diabetes", "diabetes", needs=("scikit-learn>=1.5",)),
    "language": Task("letters", "topics", "letters"),
    "empty": Task(),
}
EVERY = (
    *("train.py", "eval.py", "compare.py", "constraints.txt", "outputs/README.md", "multirun/README.md"),
    *(".env.example", ".gitignore"),
    *("conf/train.yaml", "conf/callbacks/*.yaml", "conf/cluster/*.yaml", "conf/debug/*.yaml", "conf/trainer/*.yaml"),
    *("conf/hydra/sweeper/default.yaml", "conf/logger/*.yaml"),
    *(f"conf/sweep/{name}.yaml" for name in ("asha", "gp", "hyperband", "pareto", "random", "search", "tpe")),
    *("src/lab/__init__.py", "src/lab/data/__init__.py", "src/lab/models/__init__.py", "src/lab/train.py"),
    *(".vscode/extensions.json", ".vscode/launch.json", "tests/lab/test_project.py"),
)
OF_A_NETWORK = (
    *("conf/optimizer/*.yaml", "conf/scheduler/*.yaml", "conf/task/classification.yaml"),
    *("conf/sweep/ablation.yaml", "conf/sweep/grid.yaml"),
)


def files(root: Path, task: Task) -> Iterator[str]:
    """Return the paths in a clone, or what the wheel has of it, of what a project with this example begins with."""
    yield from _matching(root, *EVERY, *(OF_A_NETWORK if task.is_network else ()))
    if task.model:
        yield from (f"conf/model/{task.model}.yaml", f"conf/space/{task.model}.yaml", f"src/lab/models/{task.model}.py")
    if task.data:
        yield from (f"conf/data/{task.data}.yaml", f"src/lab/data/{task.data}.py")
    if task.experiment:
        yield f"conf/experiment/{task.experiment}.yaml"


def _matching(root: Path, *patterns: str) -> Iterator[str]:
    for pattern in patterns:
        paths = sorted(path.relative_to(root).as_posix() for path in root.glob(pattern))
        if not paths:
            raise FileNotFoundError(f"{root} has no {pattern}")
        yield from paths
