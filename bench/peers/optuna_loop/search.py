"""Optuna alone, as its page on parallel searches writes it: processes that share a journal."""

import argparse
from multiprocessing import Pool

import optuna
import task
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import MaxTrialsCallback
from optuna.trial import TrialState

parser = argparse.ArgumentParser()
parser.add_argument("--task", default="cnn")
parser.add_argument("--trials", type=int, default=20)
parser.add_argument("--slots", type=int, default=2)
parser.add_argument("--sampler", choices=["random", "tpe"], default="tpe")
parser.add_argument("--asha", action="store_true")
parser.add_argument("--epochs", type=int, default=9)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--mean", type=float, default=1.0)
parser.add_argument("--lengths", default="uniform")
options = parser.parse_args()


def objective(trial: optuna.Trial) -> float:
    """Train, and report."""
    config = {
        "task": options.task,
        "epochs": options.epochs,
        "seed": options.seed,
        "mean": options.mean,
        "lengths": options.lengths,
        "number": trial.number,
        "lr": trial.suggest_float("lr", 1e-4, 3e-2, log=True),
        "channels": trial.suggest_int("channels", 8, 64, log=True),
        "depth": trial.suggest_int("depth", 1, 4),
        "dropout": trial.suggest_float("dropout", 0, 0.5),
    }
    value = 0.0
    for epoch, value in enumerate(task.values(config), 1):
        trial.report(value, epoch)
        if epoch < options.epochs and trial.should_prune():
            raise optuna.TrialPruned
    return value


def search(worker: int) -> None:
    """Take trials from the study until it has enough."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    samplers = {"random": optuna.samplers.RandomSampler, "tpe": optuna.samplers.TPESampler}
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    study = optuna.create_study(
        study_name="bench",
        direction="maximize",
        storage=JournalStorage(JournalFileBackend("journal.log")),
        sampler=samplers[options.sampler](seed=1000 * options.seed + worker),
        pruner=pruner if options.asha else optuna.pruners.NopPruner(),
        load_if_exists=True,
    )
    done = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
    study.optimize(objective, callbacks=[MaxTrialsCallback(options.trials, states=done)])


if __name__ == "__main__":
    task.load(options.task)
    with Pool(options.slots) as pool:
        pool.map(search, range(options.slots))
