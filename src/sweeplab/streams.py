"""Standard streams that were closed by whoever started the program, as `>&-` does."""

import os
import sys


def open_closed_streams() -> None:
    """Let closed standard streams lead to nothing.

    Otherwise the next file or pipe gets their number, and what is printed by this process or its children goes into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            handle = os.open(os.devnull, os.O_RDWR)
            if handle == number:
                os.set_inheritable(handle, True)
            else:
                os.dup2(handle, number)
                os.close(handle)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r+" if number == 0 else "w", encoding="utf-8"))  # noqa: PTH123, SIM115  # it stays open
