"""What a folder stands for: a run, a study, or some of a study's runs."""

from collections.abc import Sequence
from pathlib import Path

from sweeplab.errors import UserError
from sweeplab.records.record import is_run
from sweeplab.records.run import Run
from sweeplab.records.trials import Trials, holds_trials


def load(folder: str | Path, trust: bool = False) -> Run | Trials:
    """Return the run in `folder`, or the runs of the study in it, for notebooks and scripts.

    Nothing but `run.json` is read before it is asked for. With `trust` a model is built whatever it names: say so of
    folders that you made, or whose maker you know.

    Raises:
        UserError: neither is there, or `run.json` is broken.
    """
    folder = Path(folder)
    return Run.read(folder, trust) if is_run(folder) else Trials.read(folder, trust)


def chosen(folder: Path, trial: str | None = None, top: str | None = None) -> list[Path]:
    """Return the folders of the runs that are meant, best first.

    In the folder of a study, `trial` is `best` or a number, `top` how many of the best that have their checkpoints.

    Raises:
        UserError: there are no such runs, or `trial` and `top` are both given, or neither.
    """
    if trial is not None and top is not None:
        raise UserError(f"trial={trial} is one trial, top={top} an ensemble of several; give one of them.")
    selection = next((f"{key}={value}" for key, value in (("trial", trial), ("top", top)) if value is not None), None)
    if is_run(folder):
        if selection:
            raise UserError(f"{selection} chooses from a study, but {folder} is the folder of a run; remove it.")
        return [folder]
    if not selection and not holds_trials(folder):
        return [folder]  # whoever reads it says what is wrong
    trials = Trials.read(folder)
    if trial == "best":
        return [trials.best.folder]
    if trial is not None:
        return [trials.trial(_whole(trial, f"trial={trial} must be best or a number.")).folder]
    if top is not None:
        return [run.folder for run in _best(trials, _whole(top, f"top={top} must be a whole number from 1.", least=1))]
    raise UserError(f"{folder} holds the trials of a study; choose trial=best, trial=<number>, or top=5.")


def _best(trials: Trials, count: int) -> Sequence[Run]:
    loadable = [run for run in trials.ranked if run.has_checkpoint]
    if len(loadable) < count:
        raise UserError(
            f"only {len(loadable)} complete trials of {trials.folder} still have their checkpoints; "
            + (f"write top={len(loadable)} or less." if loadable else "a sweep with checkpoints.keep=null keeps all.")
        )
    return loadable[:count]


def _whole(text: str, mistake: str, least: int = 0) -> int:
    if not text.isdecimal() or int(text) < least:
        raise UserError(mistake)
    return int(text)
