"""Evaluate a run from its folder: `python eval.py run=<run folder> stage=test|validate|predict [key=value ...]`.

Uses the run's best checkpoint and its configuration. Further arguments change that configuration, such as
`data.path=new.npz` or `trainer=gpu`. Results go to a new folder in <run folder>/eval: metrics.json, or with
stage=predict predictions.csv, a row per sample.

A folder from somebody else is read as data: only classes of this project, and of the kinds that runs are made of, are
built without `trust=true`.

Of a study: `run=<study folder> trial=best` or `trial=<number>` is one of its trials, `run=<study folder> top=5` the
mean predictions of the five best that still have their checkpoints, with results in <study folder>/eval.
"""

import logging
import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("sweeplab") is None:
    sys.exit("Error: this Python has no sweeplab; run: source .venv/bin/activate (make setup makes it).")

from sweeplab.environment import read_dotenv
from sweeplab.errors import UserError, nearest, plain_errors
from sweeplab.records import trust

CONF = Path(__file__).parent / "conf"
OWN = ("run", "stage", "trial", "top", trust.WORD)


def main(arguments: list[str]) -> None:
    """Evaluate what the arguments say."""
    if not arguments or {"-h", "--help"} & set(arguments):
        print(__doc__.strip())
        return
    words = [(argument, *argument.partition("=")[::2]) for argument in arguments]
    own = {key: value for _, key, value in words if key in OWN}
    for word, key, _ in words:
        if "." not in key and key not in OWN and (found := nearest(key, OWN)):
            raise UserError(f"'{word}' is not known; did you mean '{found}=...'?")
    if "run" not in own:
        raise UserError("give the folder of a run: python eval.py run=outputs/<date>/<time>")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    # What is named here lies here, not where the training was started.
    overrides = [
        f"data.path={Path(value).resolve()}" if key == "data.path" else word
        for word, key, value in words
        if key not in OWN
    ]
    stage, trusted = own.get("stage", "test"), trust.is_given(arguments)
    from sweeplab.records.load import chosen
    from sweeplab.training.check import check_ensemble

    owner = Path(own["run"])
    runs = chosen(owner, own.get("trial"), own.get("top"))
    check_ensemble(runs, stage, overrides, CONF, trusted)
    from sweeplab.training.evaluate import evaluate

    evaluate(owner if "top" in own else runs[0], runs, stage, overrides, CONF, trusted)


if __name__ == "__main__":
    with plain_errors(CONF):
        read_dotenv(CONF.parent)
        main(sys.argv[1:])
