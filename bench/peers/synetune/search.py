"""Syne Tune's local backend, as its page on getting started writes it: random search."""

import argparse
from pathlib import Path

from syne_tune import StoppingCriterion, Tuner
from syne_tune.backend import LocalBackend
from syne_tune.config_space import lograndint, loguniform, randint, uniform
from syne_tune.optimizer.baselines import RandomSearch

parser = argparse.ArgumentParser()
parser.add_argument("--task", default="cnn")
parser.add_argument("--trials", type=int, default=20)
parser.add_argument("--slots", type=int, default=2)
parser.add_argument("--epochs", type=int, default=9)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--mean", type=float, default=1.0)


def main() -> None:
    """Search."""
    options = parser.parse_args()
    space = {
        "task": options.task,
        "epochs": options.epochs,
        "seed": options.seed,
        "mean": options.mean,
        "lr": loguniform(1e-4, 3e-2),
        "channels": lograndint(8, 64),
        "depth": randint(1, 4),
        "dropout": uniform(0, 0.5),
    }
    tuner = Tuner(
        trial_backend=LocalBackend(entry_point=str(Path(__file__).with_name("train.py"))),
        scheduler=RandomSearch(space, metrics=["value"], do_minimize=False, random_seed=options.seed),
        stop_criterion=StoppingCriterion(max_num_trials_finished=options.trials),
        n_workers=options.slots,
        sleep_time=0.1,  # its default looks every 5 s, too seldom for short trials
    )
    tuner.run()


if __name__ == "__main__":
    main()
