import os
import signal
import threading

import pytest

from sweeplab.sweep.execute.signals import Course, Interrupts


def test_each_ctrl_c_asks_for_more() -> None:
    interrupts, courses = Interrupts(), []
    with interrupts.followed():
        for _ in range(4):
            os.kill(os.getpid(), signal.SIGINT)
            courses.append(interrupts.course)
    assert courses == [Course.DRAIN, Course.STOP, Course.KILL, Course.KILL]
    assert interrupts.exit_code == 130


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_sigterm_and_a_closed_terminal_stop_at_once(number: signal.Signals) -> None:
    interrupts = Interrupts()
    with interrupts.followed():
        os.kill(os.getpid(), number)
    assert (interrupts.course, interrupts.exit_code) == (Course.STOP, 128 + number)


def test_handlers_are_as_before_behind_the_block() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with Interrupts().followed(but=[signal.SIGINT]):
        assert signal.getsignal(signal.SIGINT) == before[signal.SIGINT]
        assert signal.getsignal(signal.SIGTERM) != before[signal.SIGTERM]
    assert {number: signal.getsignal(number) for number in before} == before


def test_what_is_ignored_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts().followed():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_sweep_in_a_thread_follows_no_signal() -> None:
    followed = []

    def run() -> None:
        with Interrupts().followed():
            followed.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert followed == [signal.getsignal(signal.SIGTERM)]
