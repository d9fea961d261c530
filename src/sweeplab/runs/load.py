"""What a folder holds, whichever it is: a run or a study."""

from pathlib import Path

from sweeplab.errors import UserError
from sweeplab.runs.record import is_run
from sweeplab.runs.run import Run
from sweeplab.runs.trials import Trials


def load_folder(folder: Path) -> Run | Trials:
    """Return the run in `folder`, or the runs of the study in it.

    Raises:
        UserError: neither is there, or `run.json` is broken.
    """
    if not is_run(folder):
        return Trials.read(folder)
    try:
        return Run.read(folder)
    except ValueError as error:
        raise UserError(f"run.json of {folder} is broken: {error}.") from error
