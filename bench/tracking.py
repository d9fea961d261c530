"""What W&B costs, offline; `python bench/trial.py --tasks lightning wandb` says what it costs the smallest trial.

python bench/tracking.py                    # all: some five minutes
python bench/tracking.py --parts steps      # trainings of 1,000 steps, without a logger and with one, by turns
python bench/tracking.py --parts service    # memory and open files of the service and the controller, over 200 trials
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import psutil

CONF = Path(__file__).resolve().parent.parent / "conf"
PARTS = ("steps", "service")


def steps(rounds: int, count: int) -> None:
    """The CNN on MNIST-1D at batch 128 through the Trainer, `count` steps, validation and logging included."""
    import torch
    from hydra import compose, initialize_config_dir
    from lightning.pytorch import Callback, LightningModule, Trainer

    from sweeplab.training.effective_config import effective_config
    from sweeplab.training.loggers import closing_loggers
    from sweeplab.training.run import Run

    class Clock(Callback):
        seconds = 0.0

        def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            self.seconds = -time.perf_counter()

        def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            self.seconds += time.perf_counter()

    def fit(logger: str, folder: str) -> float:
        choices = ["model=cnn", "data=mnist1d", "trainer=cpu", "callbacks=none", f"logger={logger}", f"folder={folder}"]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("train", [*choices, f"root={CONF.parent}", f"trainer.max_epochs={count // 25}"])
        run, clock = Run(effective_config(config, [])), Clock()
        data, model, trainer = run.build("data"), run.build("model"), run.build("trainer")
        trainer.callbacks.append(clock)
        with closing_loggers(run.loggers, lambda facts: None):
            trainer.fit(model, data)
        assert trainer.global_step == count
        return clock.seconds

    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    ratios: dict[str, list[float]] = {"csv": [], "wandb": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds + 1):
            for logger, found in ratios.items():
                bare, logged = (fit(name, f"{folder}/{number}{name}") for name in ("none", logger))
                if number:  # the first round warms up
                    found.append(logged / bare)
    for logger, found in ratios.items():
        told = ", ".join(f"{ratio:.3f}" for ratio in found)
        print(f"{count} steps, logger={logger} against none: {statistics.median(found):.3f} ({told})")


def service(count: int) -> None:
    """Tiny trainings on 2 slots, looked at from outside while they go on."""
    tiny = ("model=linear", "trainer.max_epochs=1", "callbacks=none", "test=false")
    with tempfile.TemporaryDirectory() as folder:
        train_py = CONF.parent / "train.py"
        arguments = [
            str(train_py),
            "-m",
            *tiny,
            "logger=wandb",
            f"seed=range({count})",
            "hydra.sweeper.n_jobs=2",
            f"hydra.sweep.dir={folder}/study",
        ]
        sweep = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, cwd=folder)
        controller, due = psutil.Process(sweep.pid), [count // 4 * quarter for quarter in range(5)]
        print("trials begun   service: MB  files  threads   controller: MB  files  threads")
        while sweep.poll() is None and due:
            begun = sum(1 for path in Path(folder, "study").glob("[0-9]*"))
            core = next((p for p in controller.children(recursive=True) if p.name() == "wandb-core"), None)
            if core is not None and begun >= max(due[0], 1):
                due.pop(0)
                print(f"{begun:12}   {_looked_at(core)}   {_looked_at(controller)}")
            time.sleep(0.1)
        assert sweep.wait() == 0


def _looked_at(process: psutil.Process) -> str:
    with process.oneshot():
        return f"{process.memory_info().rss / 2**20:11.0f}  {process.num_fds():5}  {process.num_threads():7}"


def main() -> None:
    """Measure the parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1000, help="a multiple of 25, the steps of an epoch")
    parser.add_argument("--trials", type=int, default=200)
    options = parser.parse_args()
    for part in options.parts:
        if part == "steps":
            steps(options.rounds, options.steps)
        else:
            service(options.trials)


if __name__ == "__main__":
    main()
