"""What runs and trials are judged by."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeplab.records.record import Status

if TYPE_CHECKING:
    from sweeplab.records.run import Run


PARAMETERS = "model/parameters"  # the number of weights that were trained, which no model has to log


@dataclass(frozen=True)
class Objective:
    """A logged metric, and where it should go: `mode` is `min` or `max`.

    `also` are further objectives, whose values are those of the moment when this one was best.
    """

    metric: str
    mode: str
    also: tuple["Objective", ...] = ()

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Objective":
        """Return the objective that a configuration describes."""
        return cls(plain["metric"], plain["mode"], tuple(cls.of(further) for further in plain.get("also") or ()))

    @property
    def direction(self) -> str:
        """The mode as Optuna and Hydra's sweepers write it: `minimize` or `maximize`."""
        return "maximize" if self.mode == "max" else "minimize"

    @property
    def worst(self) -> float:
        """The value that every other one beats."""
        return -math.inf if self.mode == "max" else math.inf

    def rank(self, value: float) -> float:
        """Return a number that is the smaller the better the value is."""
        return -value if self.mode == "max" else value

    def better(self, value: float, than: float) -> bool:
        """Say whether a value beats another; one that is not a number never does."""
        return self.rank(value) < self.rank(than)

    def value(self, run: "Run") -> float | None:
        """Return the run's finite value of the metric, None if it has none."""
        value = run.values().get(self.metric)
        return value if value is not None and math.isfinite(value) else None

    def counts(self, run: "Run") -> bool:
        """Say whether a run can be the best: it is complete, has a value, and keeps its constraints."""
        return run.status is Status.COMPLETE and run.keeps_constraints and self.value(run) is not None

    def order(self, run: "Run") -> tuple[bool, bool, bool, float]:
        """Return what sorts runs: those that can be best, then other complete ones, those without a value last."""
        value = self.value(run)
        done = run.status is Status.COMPLETE
        return not self.counts(run), not done, value is None, 0.0 if value is None else self.rank(value)
