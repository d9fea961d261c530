import subprocess
import sys
from pathlib import Path

import pytest

from sweeplab.runs.files import write_text, written_whole

KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from sweeplab.runs.files import written_whole
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
