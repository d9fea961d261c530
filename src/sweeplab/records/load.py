"""What a folder holds, whichever it is: a run or a study."""

from pathlib import Path

from sweeplab.records.record import is_run
from sweeplab.records.run import Run
from sweeplab.records.trials import Trials


def load(folder: str | Path, trust: bool = False) -> Run | Trials:
    """Return the run in `folder`, or the runs of the study in it, for notebooks and scripts.

    Nothing but `run.json` is read before it is asked for. With `trust` a model is built whatever it names: say so of
    folders that you made, or whose maker you know.

    Raises:
        UserError: neither is there, or `run.json` is broken.
    """
    folder = Path(folder)
    return Run.read(folder, trust) if is_run(folder) else Trials.read(folder, trust)
