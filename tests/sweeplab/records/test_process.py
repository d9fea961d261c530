import os
import socket
import subprocess
import sys

import psutil
import pytest

from sweeplab.records import process
from sweeplab.records.process import is_alive, this_process

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")


def test_this_process_is_alive() -> None:
    assert is_alive(this_process()) is True


def test_nobody_here_can_tell_of_a_process_elsewhere() -> None:
    assert is_alive({**this_process(), "host": "elsewhere"}) is None


@LINUX
def test_nobody_here_can_tell_of_a_process_in_another_container() -> None:
    assert is_alive({**this_process(), "namespace": "pid:[1]", "pid": 2**22 - 1}) is None
    assert is_alive({**this_process(), "namespace": "pid:[1]", "boot": "another"}) is False


@LINUX
@pytest.mark.parametrize("step", [-86400.0, -2.0, 2.0, 3600.0])
def test_a_step_of_the_clock_makes_no_process_dead(monkeypatch: pytest.MonkeyPatch, step: float) -> None:
    before = this_process()
    true_time = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: true_time(self) + step)
    assert is_alive(before) is True


@LINUX
@pytest.mark.parametrize("other", [{"ticks": 1}, {"boot": "another"}])
def test_another_process_under_the_same_number_is_not_it(other: dict[str, object]) -> None:
    assert is_alive({**this_process(), **other}) is False


def test_records_of_before_are_judged_by_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    old = {"host": socket.gethostname(), "pid": os.getpid(), "started": psutil.Process().create_time()}
    assert is_alive(old) is True
    assert is_alive({**old, "started": old["started"] - 60}) is False  # type: ignore[operator]  # a float
    assert is_alive({key: value for key, value in this_process().items() if key != "namespace"}) is True


def test_a_system_without_ticks_has_the_time(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(process, "PROC", tmp_path)
    assert is_alive(this_process()) is True


def test_a_process_that_is_gone_or_not_collected_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    facts = {"host": socket.gethostname(), "pid": child.pid, "started": psutil.Process(child.pid).create_time()}
    assert is_alive(facts) is True
    child.kill()
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    assert is_alive(facts) is False
    child.communicate()
    assert is_alive(facts) is False
