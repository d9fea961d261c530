"""Curves for TensorBoard, and a row for each run in its HParams page."""

from collections.abc import Iterator, Mapping
from typing import Any

from lightning.pytorch import LightningModule
from lightning.pytorch.loggers import TensorBoardLogger as LightningTensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from sweeplab.records.record import Status
from sweeplab.secrets import masked_config
from sweeplab.sweep.trial import current

# A run that was cut may go on, and TensorBoard keeps the first ending that it reads.
ENDINGS = {Status.COMPLETE: "STATUS_SUCCESS", Status.PRUNED: "STATUS_SUCCESS", Status.FAILED: "STATUS_FAILURE"}


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
