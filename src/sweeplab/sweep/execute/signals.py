"""The signals by which people and machines end programs: ignored, restored, and followed by a sweep."""

import signal
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from enum import IntEnum
from types import FrameType

ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def ignore() -> None:
    """Ignore the signals that end a program."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


def restore() -> None:
    """Restore Python's own handlers of these signals."""
    for number in ENDING:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


class Course(IntEnum):
    """What the user wants of a sweep; each Ctrl-C asks for the next."""

    RUN = 0
    DRAIN = 1  # start no more trials, let those that run end
    STOP = 2  # end them, gently
    KILL = 3


class Interrupts:
    """What signals have asked of a sweep so far: its course."""

    def __init__(self) -> None:
        self.course, self._signal = Course.RUN, 0

    @property
    def exit_code(self) -> int:
        """What the shell is told of the last signal; 0 without one."""
        return 128 + self._signal if self._signal else 0

    def stop(self, number: int) -> None:
        """End all trials because of a signal."""
        self._signal, self.course = number, max(self.course, Course.STOP)

    @contextmanager
    def followed(self, but: Collection[int] = ()) -> Iterator[None]:
        """Follow Ctrl-C in the block; SIGTERM and a closed terminal are two of them. `but` are signals left alone."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # What the program was told to ignore, as nohup does, stays ignored.
        numbers = [n for n in ENDING if n not in but and signal.getsignal(n) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self._follow) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _follow(self, number: int, frame: FrameType | None) -> None:
        self._signal = number
        following = Course(min(self.course + 1, Course.KILL))
        self.course = following if number == signal.SIGINT else max(following, Course.STOP)
