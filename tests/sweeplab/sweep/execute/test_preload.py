import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sweeplab.sweep.execute.fork_server import MAIN, MODULES, WARM_UP

pytestmark = pytest.mark.slow
REPORT = """
import json, signal, sys
import sweeplab.sweep.execute.preload
main = sys.modules["__main__"]
print(json.dumps([
    signal.getsignal(signal.SIGINT) is not signal.default_int_handler,
    "colorsys" in sys.modules,
    getattr(main, "ONE", None),
]))
"""


def preloaded(folder: Path, program: str) -> list[Any]:
    """What a fresh process has once it has imported what a fork server does."""
    (folder / "app.py").write_text(program)
    told = {MAIN: json.dumps({"init_main_from_path": str(folder / "app.py")}), MODULES: "no.such colorsys.hls_to_rgb"}
    environment = {**os.environ, **told, WARM_UP: ""}
    done = subprocess.run([sys.executable, "-c", REPORT], env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    lines: list[Any] = json.loads(done.stdout)
    return lines


def test_the_server_has_the_program_and_the_modules_that_can_be_imported(folder: Path) -> None:
    assert preloaded(folder, "print('hello')\nONE = 1\n") == [True, True, 1]


@pytest.mark.parametrize("line", ["raise RuntimeError('no good')", "import sys; sys.exit(3)", "no python"])
def test_a_program_that_cannot_be_imported_is_left_to_the_trials(folder: Path, line: str) -> None:
    assert preloaded(folder, f"ONE = 1\n{line}\n") == [True, True, None]
