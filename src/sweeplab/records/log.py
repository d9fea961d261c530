"""The log of a run that is resumed: set up as the program's own configuration says, written to the same file."""

import logging
import traceback
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.utils import configure_log
from omegaconf import OmegaConf, open_dict, read_write

from sweeplab.resolvers import register_resolver
from sweeplab.secrets import without_secrets


def spare_log_files() -> None:
    """Let lines that a log file cannot take, on a full disk say, be lost in silence; the terminal has them."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handleError = _lose  # type: ignore[method-assign,assignment]  # its argument has another name


def _lose(line: logging.LogRecord) -> None:
    """Print no traceback of the logging itself."""


def log_traceback(error: BaseException) -> None:
    """Write what led to an error into the log file, and not to the terminal, where a sentence says it."""
    text = without_secrets("".join(traceback.format_exception(error)).rstrip())
    entry = logging.LogRecord(__name__, logging.ERROR, __file__, 0, "%s", (text,), None)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(entry)


def log_again(folder: Path, conf: Path, name: str) -> None:
    """Log to the terminal, and to the end of the run's own log file.

    What the folder says of logging is not asked: a logging configuration names what is called, and what is written to.
    """
    with initialize_config_dir(str(conf.resolve()), job_name=name, version_base="1.3"):
        composed = compose(name, return_hydra_config=True)
    with read_write(composed), open_dict(composed):
        composed.hydra.runtime.output_dir = str(folder.resolve())
    register_resolver("hydra", lambda key: OmegaConf.select(composed.hydra, key))
    configure_log(composed.hydra.job_logging, composed.hydra.verbose)
