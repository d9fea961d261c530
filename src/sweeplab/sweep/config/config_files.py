"""A copy of the files that a configuration is composed from, so that what is edited during a sweep changes no trial."""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path


def copy_config_files(sources: Mapping[int, Path], folder: Path) -> dict[int, Path]:
    """Copy the YAML files of each source into a new folder inside `folder`; return these."""
    copies = {number: folder / "conf" / str(number) for number in sources}
    for number, source in sources.items():
        copies[number].mkdir(parents=True)  # also without a file: a configuration may lie in the ConfigStore alone
        for path in _yaml_files(source, folder):
            copy = copies[number] / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    return copies


def _yaml_files(source: Path, folder: Path) -> Iterator[Path]:
    """Find what Hydra can choose from; in a source as wide as a project, not what git and sweeps keep there."""
    for parent, names, files in os.walk(source, followlinks=True):
        inner = [Path(parent, name) for name in names if name[0] != "."]
        names[:] = [path.name for path in inner if not folder.is_relative_to(path) and not _leads_back(path)]
        yield from (Path(parent, name) for name in files if name.endswith(".yaml"))


def _leads_back(path: Path) -> bool:
    """Say whether a folder is a link to one that it lies in."""
    return path.is_symlink() and path.parent.resolve().is_relative_to(path.resolve())
