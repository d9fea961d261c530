"""How long the commands take to answer, and to train a first batch: `python bench/start.py`.

`ours` is this project's train.py, `template` is peers/template: a Lightning and Hydra app of the usual shape, with
everything imported at the top and Hydra's own help, in the same environment. Both train the CNN on MNIST-1D at batch
128 on one thread of the CPU, with a CSV logger, and with the callbacks that each has by default. The first training
step is over when its callbacks are called: from the command to the time that peers/first_step.py, added on both
command lines, writes before it ends the process. All else is timed to the end of the process.

Apps and questions take turns in each round, so that a busy moment hits all of them; `ratio` is that of the two apps
within a round. An answer without what was asked for ends the measurement. Medians, in brackets least and most.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engines import OURS, PEERS, ROOT, environment, make_data
from result import Row, machine, save, spread, table

APPS = {"ours": str(ROOT / "train.py"), "template": str(PEERS / "template" / "train.py")}
# What is asked, and what the answer must hold.
OF_BOTH = {
    "--help": (["--help"], "batch_size: "),
    "--cfg job": (["--cfg", "job"], "batch_size: "),
    "tab completion": (["-sc", "query=bash"], "model=cnn"),
}
ALONE = {
    "import hydra": (["-c", "import hydra"], ""),
    "import lightning.pytorch": (["-c", "import lightning.pytorch"], ""),
    "a misspelt key": (["train.py", "modle=cnn"], "did you mean 'model'"),
    "eval.py --help": (["eval.py", "--help"], "stage="),
}
COMPLETION = {"COMP_LINE": "python train.py model=", "COMP_POINT": "22"}
FIRST_STEP = "first training step"
TRAINING = ["model=cnn", "data=mnist1d", "trainer=cpu", "logger=csv"]
CALLBACK = "+callbacks.first_step._target_=first_step.FirstStep"
Times = dict[str, list[float]]


def seconds(arguments: list[str], answer: str, folder: str) -> float:
    """Return the wall time of one process of Python, which must have said `answer`."""
    variables = {"OMP_NUM_THREADS": "1", "BENCH_FIRST_STEP": f"{folder}/first_step"}
    start = time.perf_counter()
    process = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=environment(folder) | COMPLETION | variables,
    )
    took = time.perf_counter() - start
    if answer not in (said := process.stdout + process.stderr):
        sys.exit(f"{' '.join(arguments)} did not say '{answer}':\n{said}")
    return took


def first_step(app: str) -> float:
    """Return the seconds from the command to the end of its first batch."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        begin = time.time()
        seconds([APPS[app], *TRAINING, CALLBACK, f"hydra.run.dir={folder}/run"], "", folder)
        return float(Path(folder, "first_step").read_text(encoding="utf-8")) - begin


def measure(repeats: int) -> tuple[dict[str, Times], Times]:
    """Return the seconds of each question to both apps, and of those that stand alone."""
    both: dict[str, Times] = {name: {app: [] for app in APPS} for name in (*OF_BOTH, FIRST_STEP)}
    alone: Times = {name: [] for name in ALONE}
    make_data()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for _ in range(repeats):
            for name, (arguments, answer) in ALONE.items():
                alone[name].append(seconds(arguments, answer, folder))
            for name, (arguments, answer) in OF_BOTH.items():
                for app, script in APPS.items():
                    both[name][app].append(seconds([script, *arguments], answer, folder))
            for app in APPS:
                both[FIRST_STEP][app].append(first_step(app))
    return both, alone


def compared(name: str, times: Times) -> Row:
    """Return the row of a question that both apps were asked."""
    ratios = [theirs / ours for ours, theirs in zip(times["ours"], times["template"], strict=True)]
    cells = {f"{app}, s": spread(found) for app, found in times.items()}
    return {"question": name, **cells, "ratio": spread(ratios), "seconds": times}


def main() -> None:
    """Print the table, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    begun = machine()
    both, alone = measure(parser.parse_args().repeats)
    rows: list[Row] = [compared(name, times) for name, times in both.items()]
    for name, times in alone.items():
        whose = "the import, s" if name.startswith("import") else "ours, s"
        rows.append({"question": name, whose: spread(times), "seconds": times})
    print(table(rows, ["question", "ours, s", "template, s", "ratio", "the import, s"]))
    save("start", rows, begun, [OURS])


if __name__ == "__main__":
    main()
