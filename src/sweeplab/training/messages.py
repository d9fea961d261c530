"""What Lightning, torch and the machine tell users: errors in one sentence, and warnings that are kept from them."""

import pickle
import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException

from sweeplab.errors import machine_trouble
from sweeplab.training.checkpoint_file import not_plain_data

# Warnings that are wrong here, or that no user can act on: the beginning of each message, as a pattern.
HIDDEN = (
    # A schedule waits for validations that come by steps, not by epochs: tasks.
    r"ReduceLROnPlateau conditioned on metric .* but strict is set to `False`",
    # Lightning 2.6 asks torch 2.13 in an old way.
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    # Metrics are logged once an epoch, whatever the interval.
    r"The number of training batches \(\d+\) is smaller than the logging interval",
    # Evaluation needs none of the callbacks that trained.
    r"Be aware that when using `ckpt_path`, callbacks used to create the checkpoint",
    # A loader without a state is read again up to the batch that comes next: exact_resume.
    r"You're resuming from a checkpoint that ended before the epoch ended and your dataloader is not resumable",
    # Checkpoints hold no hyperparameters that are objects: checkpoint_callbacks.
    r"Attribute '.*' is an instance of `nn.Module` and is already saved during checkpointing",
    # SLURM is installed, which says nothing about this run; docs/trainer.md tells when srun is needed.
    r"The `srun` command is available on your system but is not used",
    # A resumed run writes to the folder it began in.
    r"Checkpoint directory .* exists and is not empty",
)


@contextmanager
def hidden_warnings() -> Iterator[None]:
    """Hide the warnings of `HIDDEN`; every other one passes."""
    with warnings.catch_warnings():
        for message in HIDDEN:
            warnings.filterwarnings("ignore", message)
        yield


def explanation(error: Exception, checkpoint: Path, folder: Path) -> str | None:
    """Return one sentence about an error of a training that is not a bug; None for any other.

    `checkpoint` is what the training was given to load, `folder` that of its run.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, MisconfigurationException):
        return " ".join(lines)
    if isinstance(error, pickle.UnpicklingError):
        return not_plain_data(checkpoint, error)
    if isinstance(error, OSError):
        return machine_trouble(error, (folder, folder.absolute(), Path(tempfile.gettempdir())))
    if not lines:
        return None
    if lines[0].startswith("Error(s) in loading state_dict"):
        return f"the weights in {checkpoint} are not those of the model: {lines[1] if len(lines) > 1 else lines[0]}"
    if lines[0].startswith("loaded state dict"):
        return f"the optimizers in {checkpoint} are not those of this training: {lines[0]}."
    if "does not contain a single element" in lines[-1]:
        return "a metric that is logged is an array; log one number, such as its mean."
    if match := re.match(r"`self\.log\((.+?), ", lines[0]):
        if "must have a single element" in str(error):
            return f"self.log({match[1]!r}, ...) is given an array; log one number, such as its mean."
        return None
    if lines[0].startswith("element 0 of tensors does not require grad"):
        return "a loss depends on no weight that is trained; freeze=... may leave too few."
    if match := re.match(r"You provided multiple `(\w+)`, but no `dataloader_idx` argument in `(.+?)\(\)`", lines[0]):
        return (
            f"the data has more than one {match[1]}, and {match[2]} takes one: add dataloader_idx=0 to its signature, "
            "or return one loader."
        )
    if lines[0].startswith("Early stopping conditioned on metric"):
        return f"callbacks.early_stopping: {' '.join(lines)}"
    return None
