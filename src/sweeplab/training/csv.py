"""Metrics in `metrics.csv`, one row for whatever was logged together."""

import csv
from pathlib import Path

from lightning.fabric.loggers.csv_logs import _ExperimentWriter
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger as LightningCSVLogger


class CSVLogger(LightningCSVLogger):
    """Lightning's CSV logger, but one that writes straight to `save_dir` and adds to what it finds there.

    Lightning's own deletes the rows of a run that is resumed.
    """

    def __init__(self, save_dir: str, prefix: str = "", flush_logs_every_n_steps: int = 100) -> None:
        super().__init__(
            save_dir, name="", version="", prefix=prefix, flush_logs_every_n_steps=flush_logs_every_n_steps
        )

    @property
    @rank_zero_experiment
    def experiment(self) -> _ExperimentWriter:
        """The writer of the rows."""
        if self._experiment is None:
            Path(self.save_dir).mkdir(parents=True, exist_ok=True)
            self._experiment = _Rows(self.save_dir)
        return self._experiment

    def log_hyperparams(self, *args: object, **kwargs: object) -> None:
        """Do nothing: the run's folder holds the configuration already."""


class _Rows(_ExperimentWriter):
    """Rows that are added to a file which may have some."""

    def _check_log_dir_exists(self) -> None:
        path = Path(self.metrics_file_path)
        if path.exists():
            with path.open(newline="") as file:
                self.metrics_keys = next(csv.reader(file), [])
