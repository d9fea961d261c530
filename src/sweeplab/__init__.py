"""What every lab needs around its models: sweeps, runs on disk, Lightning pieces, tracking."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweeplab.runs.run import Run
    from sweeplab.runs.trials import Trials


def load(folder: str | Path) -> "Run | Trials":
    """Return the run in `folder`, or the runs of the study in it, for notebooks and scripts.

    Nothing but `run.json` is read before it is asked for.

    Raises:
        UserError: neither is there, or `run.json` is broken.
    """
    from sweeplab.runs.load import load_folder

    return load_folder(Path(folder))
