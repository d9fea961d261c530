"""A run, as its folder tells of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from sweeplab.errors import UserError
from sweeplab.records import config as run_config
from sweeplab.records import flat, record
from sweeplab.records.layout import RunFile
from sweeplab.records.record import Status

if TYPE_CHECKING:
    from sweeplab.records.curves import Column, Steps

# Keys that say where a run lies, what its sweep searched, or what it is called: no two runs differ by them.
NOT_COMPARED = ("folder", "root", "study", "sweep", "space", "experiment", "debug", "local", "logger")


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
    def study(self) -> str | None:
        """The name of the sweep that the run is a trial of."""
        return (self.facts.get("trial") or {}).get("study")

    @property
    def number(self) -> int | None:
        """The number of the trial, None for a single run."""
        return (self.facts.get("trial") or {}).get("number")

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
        if found := self._checkpoint():
            return found
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
        return (self.facts.get("objective") or {}).get("metric")

    @property
    def mode(self) -> str | None:
        """`min` or `max`: where the objective should go."""
        return (self.facts.get("objective") or {}).get("mode")

    @property
    def objective(self) -> float | None:
        """The best value of that metric."""
        value = (self.facts.get("objective") or {}).get("value")
        return None if value is None else float(value)

    @property
    def keeps_constraints(self) -> bool:
        """Whether it broke none of the constraints that its trial was given."""
        broken = (self.facts.get("trial") or {}).get("constraints") or {}
        return all(value is not None and value <= 0 for value in broken.values())  # None was infinite

    @property
    def seconds(self) -> float | None:
        """How long the run took, all attempts together; None while it lives."""
        parts = [*self.facts.get("attempts", ()), self.facts]
        known = [part["seconds"] for part in parts if part.get("seconds") is not None]
        return sum(known) if known else None

    @property
    def tests(self) -> list[str]:
        """The names of the metrics that the test measured."""
        return [name for name in self.facts.get("metrics") or () if name in (self.facts.get("test") or ())]

    def values(self) -> dict[str, float]:
        """Return what was measured: the objective, metrics at its best moment, those of the test, and the last ones.

        `val/acc` is the one of the best moment, `last/val/acc` the last; `test/acc` is there once.
        """
        objective = self.facts.get("objective") or {}
        last = self.facts.get("metrics") or {}
        found = {name if name in self.tests else f"last/{name}": value for name, value in last.items()}
        found |= self.facts.get("best") or {}
        if objective.get("value") is not None:
            found[objective["metric"]] = objective["value"]
        found |= {further["metric"]: further["value"] for further in objective.get("also", ())}
        return {name: float(value) for name, value in found.items() if value is not None}

    def _checkpoint(self) -> Path | None:
        names = (self.facts.get("checkpoint"), RunFile.BEST, RunFile.LAST)
        paths = [self.folder / name for name in names if name]
        outside = [path for path in paths if not path.is_relative_to(self.folder) or ".." in path.parts]
        if outside and not run_config.is_own(self.folder):
            paths = [path for path in paths if path not in outside]
        return next((path for path in paths if path.is_file()), None)
