"""What is typed for other templates, and what is written here instead: lightning-hydra-template's, LightningCLI's."""

import re
from collections.abc import Sequence

from sweeplab.errors import UserError

INSTEAD = {
    "ckpt_path": "resume=<run folder> resumes a run, init_from=<checkpoint> starts a new one from its weights, "
    "and python eval.py run=<run folder> tests it",
    "train": "python eval.py run=<run folder> tests a run without training it",
    "optimized_metric": "write objective.metric=<name> objective.mode=max, or min; every sweep searches by it",
    "hparams_search": "write -m sweep=tpe, or another of conf/sweep; what is searched is in conf/space",
    "task_name": "study=<name> names a sweep, tags=[<name>] any run, and hydra.run.dir=<folder> places a single one",
    "paths": "hydra.run.dir=<folder> says where a run writes, and root=<folder> where relative paths start",
    "extras.ignore_warnings": "set PYTHONWARNINGS=ignore in the environment",
}


def instead_of(key: str) -> str | None:
    """Return what to write in place of a key that only other templates have."""
    return INSTEAD.get(key) or INSTEAD.get(key.partition(".")[0])


def check_words(words: Sequence[str]) -> None:
    """Refuse a command line of LightningCLI.

    Raises:
        UserError: a word is one of its subcommands or flags.
    """
    for word in words:
        if match := re.match(r"--(\w+\.[\w.]+)", word):
            raise UserError(f"{word} is no option here; write {match[1]}=..., without dashes.")
    if words and words[0] in ("fit", "validate", "test", "predict"):
        raise UserError(
            f"'{words[0]}' is no command here: python train.py trains and tests, and "
            "python eval.py run=<run folder> stage=test, validate or predict takes a run that was trained."
        )
