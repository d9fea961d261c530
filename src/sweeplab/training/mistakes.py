"""What Lightning, torch and the machine say in many lines, said in one sentence."""

import pickle
import re
import tempfile
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException

from sweeplab.errors import machine_trouble
from sweeplab.training.checkpoint_file import unloadable


def sentence(error: Exception, checkpoint: Path, folder: Path) -> str | None:
    """Say what an error of a training is about where it is no bug, or None.

    `checkpoint` is what the training was given to load, `folder` that of its run.
    """
    said = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, MisconfigurationException):
        return " ".join(said)
    if isinstance(error, pickle.UnpicklingError):
        return unloadable(checkpoint, error)
    if isinstance(error, OSError):
        return machine_trouble(error, (folder, folder.absolute(), Path(tempfile.gettempdir())))
    if not said:
        return None
    if said[0].startswith("Error(s) in loading state_dict"):
        return f"the weights in {checkpoint} are not those of the model: {said[1] if len(said) > 1 else said[0]}"
    if said[0].startswith("loaded state dict"):
        return f"the optimizers in {checkpoint} are not those of this training: {said[0]}."
    if "does not contain a single element" in said[-1]:
        return "a metric that is logged is an array; log one number, such as its mean."
    if match := re.match(r"`self\.log\((.+?), ", said[0]):
        if "must have a single element" in str(error):
            return f"self.log({match[1]!r}, ...) is given an array; log one number, such as its mean."
        return None
    if said[0].startswith("Early stopping conditioned on metric"):
        return f"callbacks.early_stopping: {' '.join(said)}"
    return None
