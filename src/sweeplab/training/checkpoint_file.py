"""Checkpoints as files: written whole, and loaded as plain data unless they are damaged."""

import errno
import io
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from sweeplab.errors import UserError
from sweeplab.records.files import written_whole


class WholeCheckpoints(TorchCheckpointIO):
    """Writes checkpoints beside their place and moves them there, in a run's `home` as long as it is there.

    Lightning's own way leads through the temporary folder, which may be full, and makes a folder anew that was moved.
    """

    def __init__(self, home: Path) -> None:
        self.home = home

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint, whole or not at all.

        Raises:
            OSError: the disk is full, or the folder of the run was moved away.
        """
        if storage_options is not None or "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        if not self.home.is_dir():
            raise FileNotFoundError(errno.ENOENT, "the folder of the run no longer exists", str(self.home))
        content = io.BytesIO()
        torch.save(checkpoint, content)
        with written_whole(Path(path)) as temporary, temporary.open("wb") as file:
            file.write(content.getbuffer())


def load_checkpoint(path: Path, mmap: bool = False) -> dict[str, Any]:
    """Return the content of a checkpoint, on the CPU; nothing in it is run. With `mmap` tensors stay on disk.

    Without `mmap` every byte is compared with its checksum: torch reads a flipped bit of a weight without a word.

    Raises:
        UserError: there is none, it is damaged, or it holds objects.
    """
    if not path.is_file():
        raise UserError(f"{path} is not a file; name a checkpoint such as outputs/<date>/<time>/checkpoints/best.ckpt.")
    try:
        if not mmap and (damaged := _damaged_part(path)):
            raise UserError(f"{path} is damaged: {damaged} is not what was written.")
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except UserError:
        raise
    except pickle.UnpicklingError as error:
        if "GLOBAL" not in str(error):
            raise UserError(f"{path} is not a checkpoint, or is incomplete: {_first_line(error)}.") from error
        raise UserError(not_plain_data(path, error)) from error
    except Exception as error:
        raise UserError(f"{path} is not a checkpoint, or is incomplete: {_first_line(error)}.") from error
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), Mapping):
        raise UserError(f"{path} is not a checkpoint of Lightning's: it has no state_dict.")
    return content


def not_plain_data(path: Path | str, error: Exception) -> str:
    """Say that a checkpoint holds more than plain data, and what to do."""
    reason = next((line for line in str(error).splitlines() if "GLOBAL" in line), _first_line(error)).strip()
    return (
        f"{path} holds an object and not plain data alone ({reason}); keep objects out of checkpoints "
        "(save_hyperparameters(ignore=...), on_save_checkpoint), or allow them: torch.serialization.add_safe_globals."
    )


def _damaged_part(path: Path) -> str | None:
    if not zipfile.is_zipfile(path):  # of an old version of torch, or none
        return None
    with zipfile.ZipFile(path) as file:
        return file.testzip()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
