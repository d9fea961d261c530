import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeplab.records.log import log_traceback, spare_log_files


@pytest.fixture
def handler(tmp_path: Path) -> Iterator[logging.FileHandler]:
    handler = logging.FileHandler(tmp_path / "train.log")
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)
    handler.close()


def test_a_traceback_is_in_the_file_alone(
    tmp_path: Path, handler: logging.FileHandler, capsys: pytest.CaptureFixture[str]
) -> None:
    log_traceback(ZeroDivisionError("division by postgresql://me:password@host/db"))
    handler.flush()
    text = (tmp_path / "train.log").read_text()
    assert "ZeroDivisionError: division by" in text
    assert "password" not in text
    assert "ZeroDivisionError" not in capsys.readouterr().err


def test_a_full_disk_says_nothing_on_the_terminal(
    handler: logging.FileHandler, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(text: str) -> None:
        raise OSError(28, "No space left on device")

    spare_log_files()
    monkeypatch.setattr(handler.stream, "write", full)
    logging.getLogger("any").warning("a line")
    assert "No space left" not in capsys.readouterr().err
