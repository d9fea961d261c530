"""Train a model, and test its best checkpoint.

python train.py                                   a multilayer perceptron on scanned digits
python train.py model=cnn data=mnist1d            other choices
python train.py trainer.max_epochs=9 seed=1       other values
python train.py experiment=mnist1d/cnn            a whole experiment
python train.py logger=wandb                      W&B too, offline where there is no account
python train.py resume=outputs/<date>/<time>      resume a run that stopped
python train.py rerun=multirun/cnn/12             train a run again, with the same numbers; overrides on top
"""

import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("sweeplab") is None:
    sys.exit("Error: this Python has no sweeplab; run: source .venv/bin/activate (make setup makes it).")

import hydra
from omegaconf import DictConfig

from sweeplab.environment import read_dotenv
from sweeplab.errors import UserError, exit_on_user_error, plain_errors
from sweeplab.other_templates import check_words

CONF = Path(__file__).parent / "conf"


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def train(config: DictConfig) -> float | list[float]:
    """Run one training; return the best value of its objective."""
    from lab.train import train
    from sweeplab.training.start import start

    with exit_on_user_error():
        return start(train, config)


def resume(folder: str, overrides: list[str], trusted: bool) -> None:
    """Resume a run, logging to the same file."""
    from sweeplab.records.log import log_again
    from sweeplab.records.resume import check_resumable, resumed
    from sweeplab.training.check import check
    from sweeplab.training.ranks import claimed_rank, rank

    if not claimed_rank() or rank(resumed(Path(folder), overrides, CONF, trusted).trainer) == 0:
        check(check_resumable(Path(folder), overrides, CONF, trusted), is_new=False)
        log_again(Path(folder), CONF, "train")
    from lab.train import train
    from sweeplab.training.start import resume

    resume(train, Path(folder), overrides, CONF, trusted)


def rerun(folder: str, overrides: list[str], trusted: bool) -> None:
    """Train in a new folder what another run trained."""
    from sweeplab.records.rerun import Rerun

    again = Rerun.of(Path(folder), overrides, CONF, "train", trusted)

    def train_again(config: DictConfig) -> float | list[float]:
        from lab.train import train
        from sweeplab.training.start import start

        with exit_on_user_error():
            return start(train, config, again.origin)

    again.start(train_again)


OF_A_FOLDER = {"resume": resume, "rerun": rerun}


def main(arguments: list[str]) -> None:
    """Show help, resume a run or train it again, or train."""
    words = [word for word in arguments if word.partition("=")[0] in OF_A_FOLDER]
    if {"-h", "--help"} & set(arguments):
        from sweeplab.help import help_text

        print(help_text(__doc__, CONF, "train", [word for word in arguments if not word.startswith("-")]))
    elif words:
        verb, _, folder = words[0].partition("=")
        from sweeplab.records import trust

        trusted = trust.is_given(arguments)
        overrides = [word for word in arguments if word != words[0] and not trust.is_word(word)]
        if wrong := [word for word in overrides if word.startswith("-") or word in words]:
            raise UserError(f"{verb} takes keys and values only, not {wrong[0]}.")
        if not folder:
            raise UserError(f"give the folder of a run: python train.py {verb}=outputs/<date>/<time>")
        OF_A_FOLDER[verb](folder, overrides, trusted)
    else:
        check_words(arguments)
        train()


if __name__ == "__main__":
    with plain_errors(CONF):
        read_dotenv(CONF.parent)
        main(sys.argv[1:])
