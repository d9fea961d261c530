import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sweeplab.records.files import write_new, write_text, written_whole

KILLED_WHILE_WRITING = """
import os, signal, sys
from collections.abc import Callable
from pathlib import Path
from sweeplab.records.files import written_whole
with written_whole(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_writer_that_is_killed_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "whole")
    subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, str(path)], check=False)
    assert path.read_text() == "whole"


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), written_whole(tmp_path / "file"):
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", [write_text, write_new])
def test_a_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, str], None]
) -> None:
    path, synced = tmp_path / "file", list[bytes]()
    sync = os.fsync

    def look(handle: int) -> None:
        assert not path.exists()
        synced.append(os.pread(handle, 100, 0))
        sync(handle)

    monkeypatch.setattr(os, "fsync", look)
    write(path, "whole")
    assert synced == [b"whole"]
    assert path.read_text() == "whole"
