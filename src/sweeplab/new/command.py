"""Make a project of your own: entry points, conf/, a package with one model and one data set, tests, a git commit.

sweeplab new mylab                      in the folder mylab, with a classification as the example
sweeplab new ../mylab task=regression   another example: classification, regression, language, or empty

A hyphen in the name is an underscore in the package's. Nothing that exists is changed.

In a project:

sweeplab update                         git merges what a newer sweeplab gives new projects
sweeplab schema                         write JSON schemas of conf/ to .schemas/; each file of conf/ names its own
sweeplab check                          compare the files of conf/ with what the classes that they name take
"""

import sys
from pathlib import Path

from sweeplab.errors import UserError, did_you_mean, plain_errors
from sweeplab.new.files import TASKS
from sweeplab.new.project import commit, requirement, write_project
from sweeplab.new.update import update


def main() -> None:
    """Do what the command line says."""
    with plain_errors(Path()):
        _main(sys.argv[1:])


def _main(arguments: list[str]) -> None:
    if not arguments or {"-h", "--help"} & set(arguments):
        sys.stdout.write(f"{(__doc__ or '').strip()}\n")
        return
    verb, *words = arguments
    if verb not in COMMANDS:
        raise UserError(f"'{verb}' is not a command of sweeplab{did_you_mean(verb, COMMANDS)}")
    COMMANDS[verb](words)


def _new(words: list[str]) -> None:
    names = [word for word in words if "=" not in word]
    options = dict(word.split("=", 1) for word in words if "=" in word)
    if len(names) != 1 or not names[0]:
        raise UserError("give the folder of the new project: sweeplab new ../mylab")
    if unknown := sorted(options.keys() - {"task"}):
        raise UserError(f"'{unknown[0]}=' is not an option of sweeplab new{did_you_mean(unknown[0], ['task'])}")
    task = options.get("task") or next(iter(TASKS))
    if task not in TASKS:
        raise UserError(f"task={task} is not an example{did_you_mean(task, TASKS)}")
    _make(Path(names[0]), task)


def _schema(words: list[str]) -> None:
    from sweeplab.schema.command import write  # `make new` runs this file without Hydra

    sys.stdout.write(f"{write(_conf('schema', words))}\n")


def _check(words: list[str]) -> None:
    from sweeplab.schema.command import check

    sys.stdout.write(f"{check(_conf('check', words))}\n")


def _conf(verb: str, words: list[str]) -> Path:
    if len(words) > 1:
        raise UserError(f"sweeplab {verb} takes one folder: sweeplab {verb} [conf]")
    return Path(words[0] if words else "conf")


def _make(folder: Path, task: str) -> None:
    write_project(folder, TASKS[task])
    is_committed = commit(folder, task)
    example = f"with the example '{task}'" if TASKS[task].model else "without an example"
    begin = "train    # sets up .venv, then trains and tests"
    if not TASKS[task].model:
        begin = "setup    # makes .venv; README.md says how to write your model"
    sys.stdout.write(
        f"{folder} is a project {example}{', and a first git commit' if is_committed else ''}.\n"
        f"It needs {requirement()}\n\n"
        f"    cd {folder}\n"
        f"    make {begin}\n"
        "    make sweep    # searches\n"
        "    make test\n"
    )
    if not is_committed:
        sys.stdout.write(f"\nThere is no git commit yet: git -C {folder} commit, once git is set up.\n")


def _update(words: list[str]) -> None:
    if words:
        raise UserError(f"sweeplab update takes no arguments, not '{words[0]}': it updates the project it is typed in.")
    merged = update(Path())
    sys.stdout.write(f"{merged}\n\nmake setup installs what it needs now.\n" if merged else "Nothing is new.\n")


COMMANDS = {"new": _new, "update": _update, "schema": _schema, "check": _check}


if __name__ == "__main__":
    main()
