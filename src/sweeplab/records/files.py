"""Files that are written whole or not at all, also if the power fails, and read if they are files at all."""

import json
import math
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sweeplab.errors import UserError

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # how a text begins that a spreadsheet would run
MAX_TEXT_BYTES = 32 * 2**20  # bytes of a record or a configuration


def read_text(path: Path, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """Return the text of a file. A pipe or a device is never opened: to read it may never end.

    Raises:
        FileNotFoundError: there is none.
        UserError: it is something else, too large, no text, or cannot be read.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"{path} is not a regular file.")
        if status.st_size > max_bytes:
            raise UserError(f"{path} is too large: {status.st_size >> 20} MiB.")
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, UserError):
        raise
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not text: byte {error.start} is not UTF-8.") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        FileNotFoundError: there is none.
        UserError: as `read_text` does, or it is not JSON.
    """
    try:
        return json.loads(read_text(path))
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is broken: {error}.") from error


def read_config(path: Path) -> dict[str, Any]:
    """Return the configuration in a YAML file as plain data, interpolations unresolved.

    Raises:
        FileNotFoundError: there is none.
        UserError: as `read_text` does, or it holds no configuration.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        content = OmegaConf.to_container(OmegaConf.create(read_text(path)))
    except UserError:
        raise
    except (ValueError, YAMLError, OmegaConfBaseException, RecursionError) as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())}.") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is not the configuration of a run.")
    return {str(key): value for key, value in content.items()}


def as_json(content: Any) -> str:
    """Return the text of a JSON file; a number that is not finite becomes null, since JSON has none."""
    return json.dumps(_finite(content), indent=2, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Hand out a temporary path beside `path`, and move it there once the block has ended well."""
    with _temporary_beside(path) as temporary:
        yield temporary
        _sync(temporary)
        temporary.replace(path)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_bytes(content)


def write_new(path: Path, text: str) -> None:
    """Write `text` to a `path` that nobody has, whole or not at all.

    Raises:
        FileExistsError: somebody was first; that file stays as it is.
    """
    with _temporary_beside(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
        _sync(temporary)
        os.link(temporary, path)  # fails where a rename would replace


@contextmanager
def _temporary_beside(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    temporary.chmod(0o666 & ~_umask())
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Wait until the content is on the disk: a rename may get there before it, and the name then stands for nothing."""
    if path.is_file():
        handle = os.open(path, os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def cells(row: Iterable[Any]) -> list[Any]:
    """Return a row of a CSV file in which no text is a formula to a spreadsheet: such a text has a `'` in front."""
    return [f"'{cell}" if isinstance(cell, str) and _is_formula(cell) else cell for cell in row]


def _is_formula(text: str) -> bool:
    if not text.lstrip(" ").startswith(_FORMULA):
        return False
    try:
        float(text)
    except ValueError:
        return True
    return False
