"""The start of a host: it unpacks the code that it is sent and runs from that copy, sweeplab itself included."""

import importlib
import pickle
import signal
import sys
from multiprocessing.connection import Connection

from sweeplab.sweep.execute.code import copy_of, unpack_code
from sweeplab.sweep.execute.temporary import own_folder


def main(descriptor: int, threads: int) -> None:
    """Be a host at the end of this channel."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the controller, which says what becomes of trials
    for name in ("SIGUSR1", "SIGUSR2"):  # a batch system may send them to all processes; the host ends its trials
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    channel = Connection(descriptor)
    code, setup = pickle.loads(channel.recv_bytes())
    copies = unpack_code(code, own_folder() / "code")
    sys.path[:] = [copy_of(entry, copies) for entry in sys.path]
    if copy_of(__file__, copies) != __file__:
        # All but the module that keeps this process's folder: that is made once.
        for name in [name for name in sys.modules if name.partition(".")[0] == "sweeplab"]:
            if name != own_folder.__module__:
                del sys.modules[name]
    importlib.import_module("sweeplab.sweep.execute.host").main(channel, setup, threads, copies)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
