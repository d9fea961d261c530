"""The log of a run that is taken up again: set up as Hydra did it, written to the same file."""

from pathlib import Path

from hydra.core.utils import configure_log
from omegaconf import OmegaConf

from sweeplab.resolvers import register_resolver


def log_again(folder: Path) -> None:
    """Log to the terminal, and to the end of the run's own log file."""
    path = folder / ".hydra" / "hydra.yaml"
    if not path.is_file():
        return
    saved = OmegaConf.load(path)
    saved.hydra.runtime.output_dir = str(folder.resolve())
    register_resolver("hydra", lambda key: OmegaConf.select(saved.hydra, key))
    configure_log(saved.hydra.job_logging, saved.hydra.verbose)
