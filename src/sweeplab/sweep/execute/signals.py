"""The signals by which people and machines end programs, ignored and restored."""

import signal

ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def ignore() -> None:
    """Let them pass."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


def obey() -> None:
    """Do what any Python program does at them."""
    for number in ENDING:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
