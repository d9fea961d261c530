"""Lightning's loggers for files, changed for runs that are resumed and compared; what all loggers share."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from lightning.fabric.loggers.csv_logs import _ExperimentWriter
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch import LightningModule
from lightning.pytorch.loggers import CSVLogger as LightningCSVLogger
from lightning.pytorch.loggers import TensorBoardLogger as LightningTensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from sweeplab.records.ending import status_of
from sweeplab.records.record import Status
from sweeplab.secrets import masked_config, without_secrets
from sweeplab.sweep.trial import current

MAX_REASON_LENGTH = 300  # characters of a reason
# A run that was cut may go on, and TensorBoard keeps the first ending that it reads.
ENDINGS = {Status.COMPLETE: "STATUS_SUCCESS", Status.PRUNED: "STATUS_SUCCESS", Status.FAILED: "STATUS_FAILURE"}


@runtime_checkable
class RunLogger(Protocol):
    """A logger with a run of its own in some service, which must be ended, well or not."""

    def begin(
        self, config: Mapping[str, Any], model: LightningModule | None, facts: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Start the run with its configuration, or go on with the one that the `facts` of run.json name.

        Return what finds it again, under the service's name.
        """

    def conclude(self, summary: Mapping[str, Any]) -> None:
        """Write the numbers that runs are compared by."""

    def end(self, status: Status, reason: str = "") -> dict[str, Any]:
        """End the run as the training ended; return what became of it, under the service's name."""


@contextmanager
def closing_loggers(loggers: Iterable[object], note: Callable[[Mapping[str, Any]], None]) -> Iterator[None]:
    """End the runs of all loggers as the block ends, and note what became of them; more may be added within it."""
    status, reason = Status.COMPLETE, ""
    try:
        yield
    except BaseException as error:
        status = status_of(error)
        reason = (
            without_secrets(f"{type(error).__name__}: {error}")[:MAX_REASON_LENGTH] if status is Status.FAILED else ""
        )
        raise
    finally:
        for owner in [logger for logger in loggers if isinstance(logger, RunLogger)]:
            note(owner.end(status, reason))


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


class TensorBoardLogger(LightningTensorBoardLogger):
    """Lightning's TensorBoard logger, but one that compares runs: by what they were given, came to, and how they ended.

    The row of a trial has its parameters, and its repeats are one row; that of a single run has the configuration.
    """

    def __init__(self, save_dir: str, name: str = "tensorboard", version: str = "", **arguments: Any) -> None:
        super().__init__(save_dir, name=name, version=version, default_hp_metric=False, **arguments)

    def begin(
        self, config: Mapping[str, Any], model: LightningModule | None, facts: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Begin the row."""
        from tensorboard.plugins.hparams.plugin_data_pb2 import SessionStartInfo

        self.log_hyperparams(dict(config))
        trial = current()
        info = SessionStartInfo(group_name=f"{trial.study} #{trial.number}" if trial else "")
        for key, value in masked_config(trial.params).items() if trial else _flat(config):
            kind = "bool" if isinstance(value, bool) else "number" if isinstance(value, int | float) else "string"
            setattr(info.hparams[key], f"{kind}_value", value if kind != "string" else str(value))
        self._add("session_start_info", info)
        return {}

    @rank_zero_only
    def conclude(self, summary: Mapping[str, Any]) -> None:
        """Write the numbers that runs are compared by."""
        self.log_metrics(dict(summary))

    @rank_zero_only
    def end(self, status: Status, reason: str = "") -> dict[str, Any]:
        """End the row, and close the file."""
        from tensorboard.plugins.hparams.plugin_data_pb2 import SessionEndInfo

        if self._experiment is not None:
            if status in ENDINGS:
                self._add("session_end_info", SessionEndInfo(status=ENDINGS[status]))
            self.experiment.close()
        return {}

    def _add(self, kind: str, info: Any) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.hparams import metadata
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

        about = metadata.create_summary_metadata(HParamsPluginData(**{kind: info}))
        tag = {"session_start_info": metadata.SESSION_START_INFO_TAG, "session_end_info": metadata.SESSION_END_INFO_TAG}
        value = Summary.Value(tag=tag[kind], metadata=about, tensor=metadata.NULL_TENSOR)
        self.experiment._get_file_writer().add_summary(Summary(value=[value]))


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
