"""What a person sees: commands in a terminal of 80 columns."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow

SMALL = ("trainer=cpu", "++trainer.limit_train_batches=2", "++trainer.limit_val_batches=2", "logger=wandb")
CONTROLS = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")


def seen(folder: Path, *arguments: str, columns: int = 80) -> list[str]:
    """Run train.py in a terminal, and return all lines that were ever on it."""
    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {**os.environ, "WANDB_MODE": "offline", "TERM": "xterm"}
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        environment.pop(name, None)
    command = [sys.executable, str(ROOT / "train.py"), *arguments, *SMALL]
    with subprocess.Popen(command, cwd=folder, stdin=writer, stdout=writer, stderr=writer, env=environment) as process:
        os.close(writer)
        output = b""
        while chunk := _read(reader):
            output += chunk
    os.close(reader)
    text = CONTROLS.sub("", output.decode())
    assert process.returncode == 0, text
    return [line.rstrip() for line in re.split(r"[\r\n]+", text)]


def _read(reader: int) -> bytes:
    try:
        return os.read(reader, 65536)
    except OSError:  # what a terminal answers whose other side is gone
        return b""


def test_a_training_counts_its_epochs_from_one_and_shows_nothing_that_is_not_known(tmp_path: Path) -> None:
    lines = seen(tmp_path, "trainer.max_epochs=2", "hydra.run.dir=run")
    text = "\n".join(lines)
    assert {line[:9] for line in lines if line.startswith("Epoch ")} == {"Epoch 1/2", "Epoch 2/2"}
    assert "v_num" not in text
    assert "FLOPs" not in text
    assert any(re.fullmatch(r"17,\d{3} parameters to train, 0\.07\d* MB", line) for line in lines)
    assert "W&B: the run is offline. To upload it: python -m sweeplab.tracking.sync run" in lines


def test_the_lines_of_a_sweep_fit_the_terminal(tmp_path: Path) -> None:
    lines = seen(tmp_path, "-m", "sweep=random", "hydra.sweeper.n_trials=2", "study=s", "trainer.max_epochs=1")
    trials = [line for line in lines if re.match(r"#\d  val/acc", line)]
    assert len(trials) == 2
    assert all(len(line) <= 80 and "lr=" in line for line in trials)
    assert "W&B: the runs are offline. To upload them: python -m sweeplab.tracking.sync multirun/s" in lines
