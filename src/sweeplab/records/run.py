"""A run, as its folder tells of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from omegaconf import DictConfig

from sweeplab.errors import UserError
from sweeplab.records import config as run_config
from sweeplab.records import flat, record
from sweeplab.records.layout import RunFile
from sweeplab.records.record import Status
from sweeplab.records.schema import RunObjective, Trial

if TYPE_CHECKING:
    from sweeplab.records.curves import Column, Steps

# Keys that say where a run lies, what its sweep searched, or what it is called: no two runs differ by them.
SWEEP_GROUPS = ("sweep", "cluster")  # of conf/: they say how a sweep runs, not what a run is
NOT_COMPARED = (
    *("folder", "root", "study", "tags", "extras", *SWEEP_GROUPS),
    *("space", "experiment", "debug", "local", "logger"),
)


@dataclass(frozen=True)
class Run:
    """What a folder tells of its run: `facts` are those of `run.json`; the rest is read when it is asked for."""

    folder: Path
    facts: Mapping[str, Any]
    trusted: bool = False

    @classmethod
    def read(cls, folder: Path, trusted: bool = False) -> "Run":
        """Read the run in `folder`; a `trusted` one builds whatever it names.

        Raises:
            UserError: there is none, or its `run.json` is broken.
        """
        return cls(folder, record.read(folder), trusted)

    @property
    def status(self) -> Status:
        """How the run stands, or how it ended."""
        return Status(self.facts["status"])

    @property
    def trial(self) -> Trial:
        """Which trial of which sweep the run is; empty for a single run."""
        return cast(Trial, self.facts.get("trial") or {})

    @property
    def study(self) -> str | None:
        """The name of the sweep that the run is a trial of."""
        return self.trial.get("study")

    @property
    def number(self) -> int | None:
        """The number of the trial, None for a single run."""
        return self.trial.get("number")

    @property
    def params(self) -> Mapping[str, Any]:
        """What the sweep suggested to the trial, by the keys that it searches."""
        return self.trial.get("params") or {}

    @property
    def name(self) -> str:
        """What tells the run from others in a table: study and number of a trial, or the end of the folder's path."""
        repeated = self.number is not None and self.folder.parent.name == str(self.number)
        return "/".join(self.folder.absolute().parts[-3 if repeated else -2 :])

    @property
    def seed(self) -> int | None:
        """The seed of its random numbers."""
        return self.facts.get("seed")

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What decides the run's numbers, by dotted keys; a group that a choice was made from has its name.

        Raises:
            UserError: `config.yaml` is broken.
        """
        keys = flat.flat(self.folder)
        if "folder" not in keys:
            raise UserError(f"{self.folder / RunFile.CONFIG} is not the configuration of a run: it has no folder.")
        return {key: value for key, value in (keys | self.choices).items() if key.split(".")[0] not in NOT_COMPARED}

    @cached_property
    def config(self) -> DictConfig:
        """The complete configuration; paths in the folder follow it where it was moved.

        Raises:
            UserError: there is none.
        """
        return run_config.load(self.folder, trusted=self.trusted)

    @property
    def checkpoint(self) -> Path:
        """The checkpoint with the best objective, or else the last one.

        Raises:
            UserError: there is none; the message says why.
        """
        if checkpoint := self._checkpoint():
            return checkpoint
        if self.facts.get("checkpoints_removed"):
            raise UserError(record.without_checkpoints(self.folder))
        raise UserError(f"{self.folder} has no checkpoint (its status is {self.status}); train it first.")

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is one: a sweep keeps those of its best trials."""
        return self._checkpoint() is not None

    @cached_property
    def model(self) -> Any:
        """The model with the weights of its best checkpoint, on the CPU, ready to predict.

        Raises:
            UserError: there is no checkpoint, or the model's class is gone.
        """
        from sweeplab import load_model

        return load_model(self.checkpoint, trust=self.trusted)

    @cached_property
    def metrics(self) -> "dict[str, Column]":
        """What was logged, by column, one number a row of `metrics.csv`; NaN where a row has nothing.

        Raises:
            UserError: there is no `metrics.csv`, or it is broken.
        """
        from sweeplab.records.curves import columns

        return columns(self.folder)

    def curve(self, metric: str) -> "tuple[Steps, Column]":
        """Return the steps at which a metric was logged, and its values there.

        Raises:
            UserError: it was never logged; the message has the nearest name.
        """
        from sweeplab.records.curves import curve

        return curve(self.metrics, metric)

    @property
    def choices(self) -> dict[str, str]:
        """What was chosen from config groups: `model` is `cnn`."""
        return dict(self.facts.get("choices") or {})

    @property
    def metric(self) -> str | None:
        """The metric that the run is judged by."""
        return self._objective.get("metric")

    @property
    def mode(self) -> str | None:
        """`min` or `max`: where the objective should go."""
        return self._objective.get("mode")

    @property
    def objective(self) -> float | None:
        """The best value of that metric."""
        value = self._objective.get("value")
        return None if value is None else float(value)

    @property
    def keeps_constraints(self) -> bool:
        """Whether it broke none of the constraints that its trial was given."""
        constraints = self.trial.get("constraints") or {}
        return all(value is not None and value <= 0 for value in constraints.values())  # None was infinite

    @property
    def seconds(self) -> float | None:
        """How long the run took, all attempts together; None while it lives."""
        attempts = [*(self.facts.get("attempts") or ()), self.facts]
        seconds = [attempt["seconds"] for attempt in attempts if attempt.get("seconds") is not None]
        return sum(seconds) if seconds else None

    @property
    def tags(self) -> Sequence[str]:
        """The words that its user gave it."""
        return self.facts.get("tags") or ()

    @property
    def tests(self) -> list[str]:
        """The names of the metrics that the test measured."""
        return [name for name in self.facts.get("metrics") or () if name in (self.facts.get("test") or ())]

    def values(self) -> dict[str, float]:
        """Return what was measured: the objective, metrics at its best moment, those of the test, and the last ones.

        `val/acc` is the one of the best moment, `last/val/acc` the last; `test/acc` is there once.
        """
        last = self.facts.get("metrics") or {}
        values = {name if name in self.tests else f"last/{name}": value for name, value in last.items()}
        values |= self.facts.get("best") or {}
        if self.metric is not None and self.objective is not None:
            values[self.metric] = self.objective
        values |= {further["metric"]: further.get("value") for further in self._objective.get("also") or ()}
        return {name: float(value) for name, value in values.items() if value is not None}

    @property
    def judged_by(self) -> Sequence[str]:
        """The metrics that the run is judged by, the first one first."""
        return [each["metric"] for each in (self._objective, *(self._objective.get("also") or ())) if each]

    @property
    def _objective(self) -> RunObjective:
        return cast(RunObjective, self.facts.get("objective") or {})

    def _checkpoint(self) -> Path | None:
        names = (self.facts.get("checkpoint"), RunFile.BEST, RunFile.LAST)
        paths = [self.folder / name for name in names if name]
        outside = [path for path in paths if not path.is_relative_to(self.folder) or ".." in path.parts]
        if outside and not run_config.is_own(self.folder):
            paths = [path for path in paths if path not in outside]
        return next((path for path in paths if path.is_file()), None)
