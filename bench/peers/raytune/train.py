"""Ray Tune with OptunaSearch and, if asked, ASHA, as its pages on both write it."""

import argparse
from pathlib import Path

import optuna
import ray
import task
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

parser = argparse.ArgumentParser()
parser.add_argument("--task", default="cnn")
parser.add_argument("--trials", type=int, default=20)
parser.add_argument("--slots", type=int, default=2)
parser.add_argument("--sampler", choices=["random", "tpe"], default="tpe")
parser.add_argument("--asha", action="store_true")
parser.add_argument("--epochs", type=int, default=9)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--mean", type=float, default=1.0)


def train(config: dict[str, object]) -> None:
    """Report the value after each epoch."""
    for value in task.values(config):
        tune.report({"value": value})


def main() -> None:
    """Search."""
    options = parser.parse_args()
    ray.init(num_cpus=options.slots, include_dashboard=False)
    samplers = {"random": optuna.samplers.RandomSampler, "tpe": optuna.samplers.TPESampler}
    tuner = tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        param_space={
            "task": options.task,
            "epochs": options.epochs,
            "seed": options.seed,
            "mean": options.mean,
            "lr": tune.loguniform(1e-4, 3e-2),
            "channels": tune.lograndint(8, 65),
            "depth": tune.randint(1, 5),
            "dropout": tune.uniform(0, 0.5),
        },
        tune_config=tune.TuneConfig(
            metric="value",
            mode="max",
            search_alg=OptunaSearch(sampler=samplers[options.sampler](seed=options.seed)),
            scheduler=ASHAScheduler(max_t=options.epochs, grace_period=1, reduction_factor=3) if options.asha else None,
            num_samples=options.trials,
            max_concurrent_trials=options.slots,
            reuse_actors=True,  # else each trial imports everything anew
        ),
        run_config=tune.RunConfig(storage_path=str(Path("ray_results").resolve()), verbose=0),
    )
    tuner.fit()


if __name__ == "__main__":
    main()
