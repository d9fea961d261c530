import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from sweeplab.errors import UserError
from sweeplab.records.study import Study
from sweeplab.sweep.dashboard import main
from tests.sweeplab.sweep.conftest import Sweep


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give the folder of a study"),
        (["a", "b"], "give the folder of a study"),
        (["nothing"], "nothing is not the folder of a sweep"),
        (["known"], "known has no study.journal, so there is nothing to show"),
        (["secret"], r"stored in mysql://me:\*\*\*@host/db, whose password is not saved; add storage=<URL>"),
        (["known", "prot=1"], "prot= is not known; did you mean 'port'"),
        (["known", "port=x"], "port=x must be a whole number"),
    ],
)
def test_what_cannot_be_shown_is_told(folder: Path, arguments: list[str], said: str) -> None:
    pytest.importorskip("optuna_dashboard")
    for name, storage in (("known", None), ("secret", "mysql://me:***@host/db")):
        Study(name, "python train.py -m", [], storage=storage).write(folder / name)
    with pytest.raises(UserError, match=said):
        main(arguments)


@pytest.mark.slow
@pytest.mark.parametrize("storage", [None, "sqlite:///sweeps.db"])
def test_the_page_of_a_study_is_served(sweep: Sweep, storage: str | None) -> None:
    pytest.importorskip("optuna_dashboard")
    assert sweep("x=1,2,3", f"hydra.sweeper.storage={storage or 'null'}") == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "sweeplab.sweep.dashboard", "multirun/study", f"port={port}", "storage="]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            page = server.stdout.readline().split()[1]
            assert b"<html" in answer(page).lower()
            root, _, number = page.partition("/dashboard/studies/")
            (study,) = json.loads(answer(f"{root}/api/studies"))["study_summaries"]
            assert (study["study_name"], str(study["study_id"])) == ("study", number)
            trials = json.loads(answer(f"{root}/api/studies/{number}?after=0"))["trials"]
            assert [trial["values"] for trial in trials] == [[1.0], [2.0], [3.0]]
            taken = subprocess.run(command, capture_output=True, text=True)
            assert taken.returncode == 1
            assert f"Error: port {port} cannot be used" in taken.stderr
        finally:
            os.kill(server.pid, signal.SIGINT)
        server.communicate(timeout=30)


def answer(url: str) -> bytes:
    """What a server says, once it listens."""
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=30) as response:
                content: bytes = response.read()
                return content
        except urllib.error.URLError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
