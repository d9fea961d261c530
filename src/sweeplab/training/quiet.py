"""Warnings that are wrong here, or that no user can act on."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# The beginning of each message, as a pattern.
NOISE = (
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
    # Checkpoints hold no hyperparameters that are objects: contents.
    r"Attribute '.*' is an instance of `nn.Module` and is already saved during checkpointing",
    # SLURM is installed, which says nothing about this run; docs/trainer.md tells when srun is needed.
    r"The `srun` command is available on your system but is not used",
    # A resumed run writes to the folder it began in.
    r"Checkpoint directory .* exists and is not empty",
)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the noise away; every other warning passes."""
    with warnings.catch_warnings():
        for message in NOISE:
            warnings.filterwarnings("ignore", message)
        yield
