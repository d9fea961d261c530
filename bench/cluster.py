"""How many slots one controller keeps busy: `python bench/cluster.py`.

The nodes are a stand-in: an engine that answers for hosts without processes, whose trials report and end by the clock.
All else is real: the loop, the journal on disk, Optuna's samplers, the messages that are packed and unpacked, the
folders of the trials. `to fill` is the time from the first trial to the moment when all slots had one; `use` is the
share of the slots' time that has a trial from then on, as long as new ones start. CPU is that of the controller's
process, by trial and over the same time; the sampler process has its own.
"""

import argparse
import heapq
import json
import os
import random
import runpy
import subprocess
import sys
import tempfile
import threading
import time
from itertools import count
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

from engines import PEERS
from result import Row, machine, save, table

SLOTS_PER_NODE = 8
SAMPLERS = {"random": "optuna.samplers.RandomSampler", "tpe": "optuna.samplers.TPESampler"}


class Nodes:
    """An engine whose hosts run nothing: trials of about `mean` seconds, with so many reports."""

    def __init__(self, slots: int, mean: float, reports: int) -> None:
        from sweeplab.records import provenance
        from sweeplab.sweep.execute.messages import Ready

        self.wake, self._waker = Pipe(duplex=False)
        self._mean, self._reports, self._draw = mean, reports, random.Random(0)
        self._order = count()
        self._due: list[tuple[float, int, str, Any]] = []
        self._changed = threading.Condition()
        self._is_woken = self._is_closed = False
        self.changes: list[tuple[float, int, float]] = []  # when a trial began (1) or ended (-1), CPU seconds till then
        versions = provenance.versions()
        for node in range(slots // SLOTS_PER_NODE):
            self._later(0.0, f"n{node}", Ready(SLOTS_PER_NODE, f"n{node}", versions))
        threading.Thread(target=self._tick, daemon=True).start()

    def receive(self) -> list[tuple[str, bytes | None]]:
        """Return what is due, in one message a host, as hosts send what has gathered."""
        from sweeplab.sweep.execute.messages import Ended, packed

        with self._changed:
            while self.wake.poll():
                self.wake.recv_bytes()
            self._is_woken = False
            now, arrived = time.monotonic(), dict[str, list[Any]]()
            while self._due and self._due[0][0] <= now:
                _, _, host, message = heapq.heappop(self._due)
                arrived.setdefault(host, []).append(message)
                if isinstance(message, Ended):
                    self.changes.append((now, -1, time.process_time()))
            self._changed.notify()
        return [(host, None if None in messages else packed(*messages)) for host, messages in arrived.items()]

    def send(self, host: str, message: Any) -> None:
        """Run a job, that is, say when it reports and ends."""
        from sweeplab.records.record import Status
        from sweeplab.sweep.execute.messages import Ended, Reported, RunJob, packed
        from sweeplab.sweep.job import Outcome

        packed(message)
        if isinstance(message, RunJob):
            self.changes.append((time.monotonic(), 1, time.process_time()))
            seconds = self._mean * self._draw.uniform(0.5, 1.5)
            value = self._draw.random()
            for step in range(1, self._reports + 1):
                self._later(seconds * step / (self._reports + 1), host, Reported(message.id, value, step))
            outcome = Outcome(Status.COMPLETE, values=(value,), seconds=seconds)
            self._later(seconds, host, Ended(message.id, outcome))

    def sent_at(self, host: str) -> float:
        """Return the present: no host is ever cut off."""
        return time.monotonic()

    def avoid(self, host: str) -> None:
        """Do nothing: no host leaves."""

    def has_failed(self, host: str) -> bool:
        """Return False: none fails."""
        return False

    def drain(self) -> None:
        """End all hosts."""
        for node in range(10_000):
            self._later(0.0, f"n{node}", None)

    def close(self) -> None:
        """End the clock."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def _later(self, seconds: float, host: str, message: Any) -> None:
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), host, message))
            self._changed.notify()

    def _tick(self) -> None:
        """Wake the controller when something is due."""
        with self._changed:
            while not self._is_closed:
                now = time.monotonic()
                if self._due and self._due[0][0] <= now and not self._is_woken:
                    self._is_woken = True
                    self._waker.send_bytes(b"")
                is_waiting = self._is_woken or not self._due
                self._changed.wait(None if is_waiting else max(0.001, self._due[0][0] - now))


def control(options: argparse.Namespace, sampler: str) -> None:
    """Be the controller of a sweep over such nodes, and leave what was seen in `seen.json`."""
    from sweeplab.sweep import sweep
    from sweeplab.sweep.execute.cluster import ClusterExecutor

    nodes = Nodes(options.slots, options.mean, options.reports)

    def make(*_: Any) -> ClusterExecutor:
        return ClusterExecutor(nodes, lease=20.0, most=None, witness=Path("witness"))

    vars(sweep)["make_cluster_executor"] = make  # in place of a real cluster
    program = str(PEERS / "ours" / "train.py")
    sys.path[:0] = [str(PEERS / "ours"), str(PEERS)]
    sys.argv = [
        program,
        "--multirun",
        "hydra.sweep.dir=study",
        f"hydra.sweeper.n_trials={options.trials}",
        "hydra.sweeper.n_jobs=auto",
        "hydra.sweeper.cluster={address: 'tcp://none:1'}",
        f"+hydra.sweeper.sampler={{_target_: {SAMPLERS[sampler]}, seed: 0}}",
        *([] if not options.prune else ["+hydra.sweeper.pruner={_target_: optuna.pruners.MedianPruner}"]),
    ]
    try:
        runpy.run_path(program, run_name="__main__")
    finally:
        Path("seen.json").write_text(json.dumps(nodes.changes))


def measure(options: argparse.Namespace, sampler: str) -> Row:
    """Return a row: what one sweep over such nodes came to."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        command = [sys.executable, str(Path(__file__).resolve()), *sys.argv[1:], "--control", sampler]
        with Path(folder, "output").open("w+") as output:
            code = subprocess.run(
                command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, env=os.environ, check=False
            ).returncode
            if code:
                output.seek(0)
                sys.exit(output.read())
        changes = sorted(json.loads(Path(folder, "seen.json").read_text()))
        ends = [line for line in Path(folder, "output").read_text().splitlines() if line.startswith("#")]
    begun = [moment for moment, change, _ in changes if change > 0]
    full, last = begun[min(options.slots, len(begun)) - 1], begun[-1]
    busy = runs = 0.0
    for (moment, change, _), (following, _, _) in zip(changes, [*changes[1:], changes[-1]], strict=True):
        runs += change
        busy += runs * max(0.0, min(following, last) - max(moment, full))
    within = [cpu for moment, _, cpu in changes if full <= moment <= last]
    started = sum(full <= moment <= last for moment in begun)
    return {
        "slots": options.slots,
        "sampler": sampler,
        "trials": len(ends),
        "mean, s": options.mean,
        "reports": options.reports,
        "to fill, s": f"{full - begun[0]:.0f}",
        "use": f"{busy / options.slots / (last - full):.3f}" if last > full else "",
        "controller, CPU ms a trial": f"{1000 * (within[-1] - within[0]) / started:.1f}" if started > 1 else "",
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, default=1000)
    parser.add_argument("--mean", type=float, default=30.0, help="seconds that a trial takes")
    parser.add_argument("--trials", type=int, default=4000)
    parser.add_argument("--reports", type=int, default=10, help="of each trial")
    parser.add_argument("--prune", action="store_true")
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=list(SAMPLERS))
    parser.add_argument("--control", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.control:
        control(options, options.control)
        return
    begun = machine()
    rows = [measure(options, sampler) for sampler in options.samplers]
    columns = ["slots", "sampler", "trials", "mean, s", "reports", "to fill, s", "use", "controller, CPU ms a trial"]
    print(table(rows, columns))
    save("cluster", rows, begun)


if __name__ == "__main__":
    main()
