"""What a run is judged by: the best value of its objective, when it was reached, and what else was true then."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lightning.pytorch import Callback, LightningModule, Trainer

from sweeplab.errors import UserError, did_you_mean

PARAMETERS = "model/parameters"


@dataclass(frozen=True)
class Objective:
    """A metric, and whether more or less of it is better.

    `also` are further objectives, which take their values from the moment when this one was best.
    """

    metric: str
    mode: Literal["min", "max"]
    also: tuple["Objective", ...] = ()

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Objective":
        """Return the objective that a configuration describes."""
        return cls(plain["metric"], plain["mode"], tuple(cls.of(further) for further in plain.get("also", ())))

    def better(self, value: float, than: float) -> bool:
        """Say whether a value is better than another; one that is not a number never is."""
        return value > than if self.mode == "max" else value < than

    @property
    def worst(self) -> float:
        """The value that every other one beats."""
        return -math.inf if self.mode == "max" else math.inf


class BestObjective(Callback):
    """Remembers the best validation of a run, by the rule that ModelCheckpoint has: strictly better, first one wins.

    `value`, `epoch` and `metrics` belong together; `metrics` holds all that this validation measured, and the number of
    weights that were trained.
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.value = objective.worst
        self.epoch: int | None = None
        self.metrics: dict[str, float] = {}

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at a validation that has just ended."""
        if trainer.sanity_checking:
            return
        # Metrics of the training are still those of the epoch before.
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
        metrics[PARAMETERS] = sum(weights.numel() for weights in pl_module.parameters() if weights.requires_grad)
        for objective in (self.objective, *self.objective.also):
            if objective.metric not in metrics:
                near = did_you_mean(objective.metric, sorted(metrics))
                raise UserError(f"objective.metric={objective.metric} is not logged{near}")
        value = metrics[self.objective.metric]
        if self.objective.better(value, self.value):
            self.value, self.epoch, self.metrics = value, trainer.current_epoch, metrics

    def result(self) -> list[float]:
        """Return the best value, and behind it those of the further objectives.

        Raises:
            UserError: one of them is no finite number.
        """
        if not math.isfinite(self.value):
            raise UserError(
                f"{self.objective.metric} was never a finite number: the training diverged or had no validation; "
                "try a smaller optimizer.lr, or debug=fast."
            )
        values = [self.value]
        for metric in (further.metric for further in self.objective.also):
            values.append(self.metrics[metric])
            if not math.isfinite(values[-1]):
                raise UserError(
                    f"{metric} was {values[-1]} when {self.objective.metric} was best: it cannot be compared."
                )
        return values

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know."""
        return {"value": self.value, "epoch": self.epoch, "metrics": self.metrics}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.value, self.epoch, self.metrics = state_dict["value"], state_dict["epoch"], state_dict["metrics"]
