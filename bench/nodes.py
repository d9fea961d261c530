"""What a trial costs on a node of a cluster, beside the same trial on this machine: `python bench/nodes.py`.

One node of two slots on this machine, of Dask (whose workers are also what runs in the jobs of SLURM) and of Ray. The
searches alternate with the same one without a cluster; `times local` is that of neighbours. `each` is the wall time
a trial once the first two have ended; `whole` is that of the command, the start of the node's host included, and with
Dask that of its scheduler and worker; Ray runs before.
"""

import argparse
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from engines import ENGINES, OURS, Engine
from result import Row, machine, save, spread, table
from search import Found, Search

SLOTS = 2
TRIALS = {"noop": 40, "lightning": 16, "wandb": 16}
START = 120.0  # seconds that Ray may take to start


def on(name: str, *cluster: str) -> Engine:
    """Return this project's engine with its trials on a cluster."""

    def arguments(search: Search) -> list[str]:
        words = [*cluster, "environment=[PYTHONPATH,BENCH_RECORDS,BENCH_DATA,WANDB_MODE,WANDB_SILENT]"]
        return [*ENGINES[OURS].arguments(search), *(f"+hydra.sweeper.cluster.{word}" for word in words)]

    return Engine(name, "", arguments)


def on_dask() -> Engine:
    """Return the engine with a Dask cluster of its own, of one worker with two threads."""
    size = ("start.n_workers=1", f"start.threads_per_worker={SLOTS}", "start.dashboard_address=':0'")
    return on("dask", "start._target_=distributed.LocalCluster", *size)


@contextmanager
def ray() -> Iterator[str]:
    """Run a Ray cluster of one node with two CPUs; its address."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{one.getsockname()[1]}"
    command = [sys.executable, "-W", "ignore", "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    command += ["--node-ip-address=127.0.0.1", f"--port={address.rpartition(':')[2]}", f"--num-cpus={SLOTS}"]
    command += ["--include-dashboard=false", "--disable-usage-stats", "--object-store-memory=100000000"]
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        log = Path(folder, "log")
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*command, "--temp-dir", f"{folder}/ray"], stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )
        try:
            until = time.monotonic() + START
            while "runtime started" not in log.read_text():
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(log.read_text())
                time.sleep(0.1)
            yield address
        finally:
            process.terminate()
            process.wait()


def measure(task: str, rounds: int, engines: list[Engine]) -> list[Row]:
    """Return a row for this machine and one for each cluster."""
    local: list[Found] = []
    pairs: dict[str, list[tuple[Found, Found]]] = {engine.name: [] for engine in engines}
    for _ in range(rounds):
        for engine in engines:
            local.append(ENGINES[OURS].run(Search(task, TRIALS[task], SLOTS)))
            pairs[engine.name].append((engine.run(Search(task, TRIALS[task], SLOTS)), local[-1]))
    return [row(task, "local", [(run, run) for run in local]), *(row(task, *pair) for pair in pairs.items())]


def row(task: str, name: str, pairs: list[tuple[Found, Found]]) -> Row:
    """Return the row of a cluster from its runs and those on this machine that ran right before each."""
    if wrong := next((run.said for pair in pairs for run in pair if run.error), ""):
        return {"task": task, "trials on": name, "note": f"did not run: {wrong}"}
    each = partial(Found.each, slots=SLOTS)
    return {
        "task": task,
        "trials on": name,
        "each, ms": spread([each(run) for run, _ in pairs], 0),
        "times local": spread([each(run) / each(local) for run, local in pairs]),
        "whole, s": spread([run.seconds for run, _ in pairs], 1),
        "repeats": len(pairs),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TRIALS, default=list(TRIALS))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    begun, rows = machine(), list[Row]()
    with ray() as address:
        engines = [on_dask(), on("ray", "engine=ray", f"address={address}")]
        for task in options.tasks:
            rows += measure(task, options.rounds, engines)
    print(table(rows, ["task", "trials on", "each, ms", "times local", "whole, s", "repeats", "note"]))
    save("nodes", rows, begun, [OURS])


if __name__ == "__main__":
    main()
