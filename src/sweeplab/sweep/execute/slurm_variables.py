"""The variables by which SLURM tells a process of which job it is."""

import os

KEPT = ("SLURM_CONF", "SLURM_CLUSTERS")  # which cluster is meant


def forget_job() -> str | None:
    """Remove them, so that what this process submits is no part of its own job; return the number of that job."""
    job = os.environ.get("SLURM_JOB_ID")
    for name in [name for name in os.environ if name.startswith("SLURM_") and name not in KEPT]:
        del os.environ[name]
    return job
