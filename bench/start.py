"""How long `train.py` takes to answer, against importing Hydra and importing Lightning: `python bench/start.py`."""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
QUESTIONS = {
    "import hydra": ["-c", "import hydra"],
    "train.py --help": ["train.py", "--help"],
    "train.py --cfg job": ["train.py", "--cfg", "job"],
    "train.py --info defaults": ["train.py", "--info", "defaults"],
    "tab completion": ["train.py", "-sc", "query=bash"],
    "a misspelt key": ["train.py", "modle=cnn"],
    "eval.py --help": ["eval.py", "--help"],
    "import lightning.pytorch": ["-c", "import lightning.pytorch"],
}
COMPLETION = {"COMP_LINE": "python train.py model=", "COMP_POINT": "22"}


def seconds(arguments: list[str]) -> float:
    """Return the wall time of one process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, env={**os.environ, **COMPLETION})
    return time.perf_counter() - start


def main() -> None:
    """Print the median of each question; the questions take turns, so that a busy moment hits all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    rounds = [[seconds(arguments) for arguments in QUESTIONS.values()] for _ in range(parser.parse_args().repeats)]
    for name, times in zip(QUESTIONS, zip(*rounds, strict=True), strict=True):
        print(f"{name:26} {statistics.median(times):6.2f} s   (fastest {min(times):.2f}, slowest {max(times):.2f})")


if __name__ == "__main__":
    main()
