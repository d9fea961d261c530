import os
import pty
import subprocess
import sys

import pytest

from tests.conftest import ROOT

PROGRAM = f"""\
import logging
from hydra import compose, initialize_config_dir
from hydra.core.utils import configure_log
with initialize_config_dir({str(ROOT / "conf")!r}, version_base="1.3"):
    logging_of_conf = compose("train", ["hydra.job_logging.handlers.file.filename=/dev/null"], return_hydra_config=True)
configure_log(logging_of_conf.hydra.job_logging)
logging.info("plain")
logging.warning("look here")
"""


def on_a_terminal(**environment: str) -> str:
    """What the program prints on a terminal of its own."""
    ours, theirs = pty.openpty()
    plain = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TERM")}
    subprocess.run([sys.executable, "-c", PROGRAM], stdout=theirs, env={**plain, **environment}, check=True)
    os.close(theirs)
    return os.read(ours, 10_000).decode().replace("\r\n", "\n")


def test_a_warning_has_a_colour_on_a_terminal() -> None:
    assert on_a_terminal() == "plain\n\x1b[33mlook here\x1b[0m\n"


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_whoever_wants_no_colours_gets_none(environment: dict[str, str]) -> None:
    assert on_a_terminal(**environment) == "plain\nlook here\n"


def test_a_file_gets_no_colours() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == "plain\nlook here\n"
