"""Evaluate a run from its folder: `python eval.py run=<run folder> stage=test|validate|predict [key=value ...]`.

Takes the best checkpoint of the run and the run's own configuration. Further arguments change that configuration, as
in `data.path=new.npz` or `trainer=gpu`. Results go to a new folder below <run folder>/eval: metrics.json, or for
stage=predict predictions.csv, a line a sample.
"""

import logging
import sys
from pathlib import Path

from sweeplab.errors import UserError, nearest, plain_errors

CONF = Path(__file__).parent / "conf"


def main(arguments: list[str]) -> None:
    """Evaluate what the arguments say."""
    if not arguments or {"-h", "--help"} & set(arguments):
        print(__doc__.strip())
        return
    own = dict(argument.split("=", 1) for argument in arguments if argument.startswith(("run=", "stage=")))
    overrides = [argument for argument in arguments if not argument.startswith(("run=", "stage="))]
    for word in overrides:
        if found := nearest(word.split("=", 1)[0], ("run", "stage")):
            raise UserError(f"'{word}' is not known; did you mean '{found}=...'?")
    if "run" not in own:
        raise UserError("say which run: python eval.py run=outputs/<date>/<time>")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    folder = Path(own["run"])
    stage = own.get("stage", "test")
    # What is named here lies here, not where the training was started.
    overrides = [
        f"data.path={Path(word[10:]).resolve()}" if word.startswith("data.path=") else word for word in overrides
    ]
    from lab.check import check_evaluation

    check_evaluation(folder, stage, overrides, CONF)
    from lab.evaluate import evaluate

    evaluate(folder, stage, overrides, CONF)


if __name__ == "__main__":
    with plain_errors(CONF):
        main(sys.argv[1:])
