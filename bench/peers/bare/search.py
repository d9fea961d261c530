"""No engine: points drawn at random, and a loop in as many processes as there are slots."""

import argparse
import random
from functools import partial
from multiprocessing import Pool

import task


def point(number: int, fixed: dict[str, object]) -> float:
    """Draw the point of a number, and run it."""
    draw = random.Random(number)
    return task.run(
        fixed
        | {
            "number": number,
            "lr": 3e-2 * (1e-4 / 3e-2) ** draw.random(),
            "channels": round(8 * 8 ** draw.random()),
            "depth": draw.randint(1, 4),
            "dropout": draw.uniform(0, 0.5),
        }
    )


def main() -> None:
    """Run all points."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", default="cnn")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mean", type=float, default=1.0)
    options = parser.parse_args()
    fixed = {name: getattr(options, name) for name in ("task", "epochs", "seed", "mean")}
    task.load(options.task)
    with Pool(options.slots) as pool:
        pool.map(partial(point, fixed=fixed), range(options.trials), chunksize=1)


if __name__ == "__main__":
    main()
