"""Train a model: `python train.py model=cnn`, or go on with a run: `python train.py resume=<run folder>`."""

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

from sweeplab.errors import exit_on_user_error, plain_errors

CONF = Path(__file__).parent / "conf"


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def train(config: DictConfig) -> float:
    """Run one training; return the best value of its objective."""
    from lab.train import run

    with exit_on_user_error():
        return run(config)


def resume(folder: str, overrides: list[str]) -> None:
    """Go on with a run, logging to the same file."""
    from sweeplab.runs.log import log_again
    from sweeplab.runs.resume import check_resumable

    check_resumable(Path(folder), overrides, CONF)
    log_again(Path(folder))
    from lab.train import resume

    resume(Path(folder), overrides, CONF)


if __name__ == "__main__":
    with plain_errors(CONF):
        folders = [argument for argument in sys.argv[1:] if argument.startswith("resume=")]
        if folders:
            resume(folders[0].removeprefix("resume="), [word for word in sys.argv[1:] if word not in folders])
        else:
            train()
