"""The code that nodes run: a copy of the project as it was when the command began.

The controller packs it once, and each host unpacks it into a folder of its own. Of a git repository, what git tracks is
copied, with the uncommitted changes, and what it neither tracks nor ignores. Large files, files of secrets, and all
that is ignored are links to where they lie: data, what runs leave, what was built. Where nodes share no folder, these
are not there.
"""

import importlib.util
import io
import json
import logging
import os
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from sweeplab.errors import UserError
from sweeplab.records import provenance

log = logging.getLogger(__name__)

LARGEST = 5_000_000  # bytes of a file that is copied; no source is as long
MOST = 100_000_000  # bytes of all files that are copied
NEVER_CODE = ("outputs", "multirun", "wandb")  # at the top of a project, where git does not track them
INSTALLED = {"site-packages", "dist-packages"}
Code = tuple[bytes, dict[str, str]]  # an archive, and in which folder of it each repository is


def pack_code(program: Path, modules: Iterable[str], is_shared: bool = True) -> Code:
    """Return the repositories that have the file of a program, the modules, or another folder of `sys.path`.

    Raises:
        UserError: the program lies in none, and nodes share no folder that has it.
    """
    folders = [
        program.parent,
        *(folder for _, folder in _import_folders(modules)),
        *(Path(entry).absolute() for entry in sys.path),
    ]
    repositories = {root: root.resolve() for folder in folders if (root := _repository(folder))}
    if not INSTALLED & set(program.parts) and not any(program.is_relative_to(root) for root in repositories):
        if not is_shared:
            why = _why_not_copied(program.parent)
            raise UserError(f"{program} {why}; with cluster.folder, nodes need one: git init, then git add its files.")
        log.warning(
            "%s %s: a node runs what is in its folder when it joins; don't edit it meanwhile.",
            program,
            _why_not_copied(program.parent),
        )
    names = {root: f"{number}/{root.name}" for number, root in enumerate(dict.fromkeys(repositories.values()))}
    files = {root: _files(root) for root in names}
    _limit(files, "links to the project's; don't edit these meanwhile" if is_shared else "not there")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz", compresslevel=3) as tar:
        for root, name in names.items():
            copied, linked = files[root]
            _pack(tar, root, name, copied, linked if is_shared else ())
    spellings = {(spelling, resolved) for root, resolved in repositories.items() for spelling in (root, resolved)}
    return archive.getvalue(), {str(spelling): names[resolved] for spelling, resolved in spellings}


def unpack_code(code: Code, folder: Path) -> dict[str, str]:
    """Unpack code into a folder; return where the copy of each repository is."""
    archive, names = code
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="fully_trusted")  # our controller has packed it
    return {root: str(folder / name) for root, name in names.items()}


def copy_of(path: str, copies: Mapping[str, str]) -> str:
    """Return where the copy of a file or folder is, itself where there is none."""
    for root in sorted(copies, key=len, reverse=True):
        if Path(path).is_relative_to(root) and not INSTALLED & set(Path(path).parts):
            there = Path(copies[root], Path(path).relative_to(root))
            return str(there) if there.exists() else path
    return path


def use_copies(path: Sequence[str], copies: Mapping[str, str], modules: Iterable[str], own: Iterable[str] = ()) -> None:
    """Let this process, and the programs that it starts, import from copies; `path` is the program's `sys.path`.

    Where no folder is shared, the node's `own` comes before what has no copy.
    """
    entries = {entry: copy_of(entry, copies) for entry in path}
    first = [copy for entry, copy in entries.items() if copy != entry] if own else []
    sys.path[:] = dict.fromkeys([*first, *own, *entries.values()])
    # An editable install may find modules elsewhere than in `sys.path`, but only after that.
    sys.path[:0] = dict.fromkeys(copy_of(str(folder), copies) for _, folder in _outside(modules, copies))
    ours = [entry for entry in sys.path if entry.startswith(tuple(copies.values()))]
    others = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if ours:  # before what an interpreter finds by itself, such as the sources of an editable install
        os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([*ours, *others]))


def not_copied(modules: Iterable[str], copies: Mapping[str, str]) -> list[str]:
    """Return the packages that are imported from a project's folder though there is a copy."""
    return sorted({name for name, _ in _outside(modules, copies)})


def _outside(modules: Iterable[str], copies: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    for name, folder in _import_folders(modules):
        if copy_of(str(folder), copies) != str(folder):
            yield name, folder


def _import_folders(modules: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """Return the top-level packages of modules, each with the folder that it is imported from."""
    for name in sorted({module.partition(".")[0] for module in modules} - {"__main__", "__mp_main__"}):
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            continue
        if spec is not None:
            files = [spec.origin] if spec.has_location and spec.origin else []
            yield from ((name, Path(file).parent) for file in spec.submodule_search_locations or files)


def _limit(files: Mapping[Path, tuple[list[Path], list[Path]]], instead: str) -> None:
    """Link the largest files where all would be too much to send to each node, and those of Python last."""
    sizes = {path: path.lstat().st_size for copied, _ in files.values() for path in copied}
    total = sum(sizes.values())
    linked: set[Path] = set()
    for path in sorted(sizes, key=lambda path: (path.suffix == ".py", -sizes[path])):
        if total <= MOST:
            break
        total -= sizes[path]
        linked.add(path)
    for root, (copied, links) in files.items():
        if beyond := [path for path in copied if path in linked]:
            copied[:] = [path for path in copied if path not in linked]
            links += beyond
            log.warning(
                "%s has more than %d MB to copy to each node: %d of its files, such as %s, are %s.",
                root,
                MOST // 1_000_000,
                len(beyond),
                max(beyond, key=sizes.__getitem__).relative_to(root),
                instead,
            )


def _pack(tar: tarfile.TarFile, root: Path, name: str, copied: Iterable[Path], linked: Iterable[Path]) -> None:
    """Add a repository to an archive."""
    facts, patch = provenance.code(root)
    origin = json.dumps({"project": str(root), "git": facts, "patch": patch.decode("latin-1")}).encode()
    member = tarfile.TarInfo(f"{name}/{provenance.ORIGIN}")
    member.size = len(origin)
    tar.addfile(member, io.BytesIO(origin))
    for path in copied:
        tar.add(path, f"{name}/{path.relative_to(root)}", recursive=False)
    for path in linked:
        link = tarfile.TarInfo(f"{name}/{path.relative_to(root)}")
        link.type, link.linkname = tarfile.SYMTYPE, str(path)
        tar.addfile(link)


def _files(root: Path, top: Path | None = None) -> tuple[list[Path], list[Path]]:
    """Return the files of a repository, which may lie in another, that are copied, and what of it is linked."""
    top = top or root
    ignored = [*(f"/{folder}/" for folder in NEVER_CODE), *provenance.ENVIRONMENT]
    if (environment := Path(sys.prefix)).is_relative_to(root) and environment != root:
        ignored.append(f"/{environment.relative_to(root)}/")
    options = ["--exclude-standard", *(word for pattern in ignored for word in ("-x", pattern))]
    copied, linked = [], []
    for path in _listed(root, "-co", *options):
        if (path / ".git").exists():  # a submodule, or another repository
            inner = _files(path, top)
            copied += inner[0]
            linked += inner[1]
        elif path.is_symlink():  # one that leads out of the copy would lead nowhere
            (copied if path.resolve().is_relative_to(top) else linked).append(path)
        elif path.is_file():
            (copied if path.stat().st_size <= LARGEST else linked).append(path)
    folders = {parent for path in [*copied, *linked] for parent in path.parents}
    for path in _listed(root, "-oi", "--directory", *options):
        if path not in folders and path.name != "__pycache__" and path.suffix != ".pyc":
            linked.append(path)
    # What lies in a folder that is linked is there already; written again, it would end up in the project itself.
    links = set(linked)
    return copied, [path for path in linked if links.isdisjoint(path.parents)]


def _listed(root: Path, *options: str) -> list[Path]:
    """Return the paths that `git ls-files` lists."""
    done = subprocess.run(["git", "-C", str(root), "ls-files", "-z", *options], capture_output=True, check=True)
    return [root / os.fsdecode(name) for name in sorted(set(done.stdout.split(b"\0"))) if name]


def _repository(folder: Path) -> Path | None:
    """Return the repository that a folder lies in, None if there is none, or what is there was installed."""
    if not folder.is_dir() or INSTALLED & set(folder.parts) or folder.is_relative_to(sysconfig.get_path("stdlib")):
        return None
    answer, _ = _top_level(folder)
    top = Path(answer)
    # As it is called here, where a link leads to it.
    return next((parent for parent in (folder, *folder.parents) if parent.resolve() == top), top) if answer else None


def _why_not_copied(folder: Path) -> str:
    """Return why there is no copy of a folder."""
    _, error = _top_level(folder)
    if not error or "not a git repository" in error:
        return "lies in no git repository"
    return f"has no copy, as git does not read its repository ({' '.join(error.split())})"


def _top_level(folder: Path) -> tuple[str, str]:
    """Return the path of a folder's repository, else what git says; neither where there is no git."""
    command = ["git", "-C", str(folder), "rev-parse", "--show-toplevel"]
    try:
        done = subprocess.run(command, capture_output=True, env={**os.environ, "LC_ALL": "C"})
    except OSError:
        return "", ""
    return os.fsdecode(done.stdout.removesuffix(b"\n")), os.fsdecode(done.stderr)
