import errno
from pathlib import Path

import pytest

from sweeplab.errors import UserError, did_you_mean, machine_trouble, nearest, no_early_exit

KEYS = ["optimizer", "optimizer.lr", "data.batch_size", "trainer.max_epochs", "model.width"]
LONG = "n" * 300


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("optimiser.lr", "optimizer.lr"),
        ("lr", "optimizer.lr"),  # the last part is enough
        ("trainer.max_epoch", "trainer.max_epochs"),
        ("batchsize", "data.batch_size"),
        ("colour", None),
    ],
)
def test_the_nearest_spelling_is_found(word: str, meant: str | None) -> None:
    assert nearest(word, KEYS) == meant


def test_where_nothing_is_near_the_choices_are_listed() -> None:
    assert did_you_mean("zzz", ["min", "max"]) == "; choose from min, max."


def test_what_a_machine_refuses_is_told_from_a_mistake() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/data/run")
    gone = OSError(errno.ENOENT, "No such file or directory", "/data/run/x")
    assert machine_trouble(full) == "/data/run: No space left on device."
    assert machine_trouble(gone) is None
    assert machine_trouble(gone, [Path("/data/run")]) == "/data/run/x: No such file or directory."


@pytest.mark.parametrize("code", [0, None, 256])
def test_an_exit_that_says_all_is_well_counts_as_failed(code: int | None) -> None:
    with pytest.raises(UserError, match=r"the training called sys\.exit"), no_early_exit("the training"):
        raise SystemExit(code)


def test_an_exit_that_says_what_is_wrong_stays() -> None:
    with pytest.raises(SystemExit, match="3"), no_early_exit("the training"):
        raise SystemExit(3)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "/runs/1: No space left on device."),
        (OSError(errno.EMFILE, "Too many open files", "/any"), "/any: Too many open files."),
        (
            OSError(errno.ENAMETOOLONG, "File name too long", LONG),
            f"{LONG[:80]}... (300 characters): File name too long.",
        ),
        (FileNotFoundError(errno.ENOENT, "No such file", "/runs/1/a"), "/runs/1/a: No such file."),
        (FileNotFoundError(errno.ENOENT, "No such file", "/mine/a"), None),
        (OSError("something else"), None),
    ],
)
def test_what_a_machine_refuses_is_told_by_its_name(error: OSError, words: str | None) -> None:
    assert machine_trouble(error, [Path("/runs/1")]) == words
