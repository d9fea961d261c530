"""A trial of Syne Tune: a script with arguments that reports."""

import argparse

import task
from syne_tune import Reporter

parser = argparse.ArgumentParser()
parser.add_argument("--task")
for name in ("epochs", "seed", "channels", "depth"):
    parser.add_argument(f"--{name}", type=int)
for name in ("mean", "lr", "dropout"):
    parser.add_argument(f"--{name}", type=float)

if __name__ == "__main__":
    options, _ = parser.parse_known_args()
    report = Reporter()
    for epoch, value in enumerate(task.values(vars(options)), 1):
        report(epoch=epoch, value=value)
