"""What a run came to: the values of its objectives, what was measured with them, and the checkpoint."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any

import torch

from sweeplab.errors import UserError
from sweeplab.records.objective import PARAMETERS, Objective
from sweeplab.training.run import Run


@dataclass
class Result:
    """The best value of the objective, those of the further ones with it, and what belongs to them.

    `best` are the metrics of that moment, `metrics` the last ones, `test` those of the test.
    """

    values: list[float]
    epoch: int | None = None
    best: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    test: Mapping[str, float] = field(default_factory=dict)
    checkpoint: Path | None = None

    @classmethod
    def of(cls, run: Run, returned: Any) -> "Result":
        """Return what a run came to; what the training function returned is the objective, if it is numbers.

        Raises:
            UserError: it was never a finite number, there was no training, or there are more objectives or fewer.
        """
        stage = run.stages[-1] if run.stages else None
        values = _numbers(returned, 1 + len(run.objective.also))
        if not values and stage is None and run.stages_done:  # all of them in an earlier attempt
            done = list(run.stages_done.values())[-1]
            path = done["checkpoint"] and run.folder / done["checkpoint"]
            return cls([done["objective"]], done["epoch"], test=run.tests, checkpoint=path)
        if stage is None or stage.best is None:
            if values:
                return cls(values, test=run.tests)
            raise UserError(
                "train(run) must either fit the trainer from run.build('trainer') or return the objective; "
                "it did neither."
            )
        values = values or stage.best.result()
        best = stage.best
        return cls(values, best.epoch, best.metrics, stage.metrics, run.tests, stage.best_checkpoint)

    @property
    def value(self) -> float | list[float]:
        """What a sweep gets: the objective, or a list of all where there are further ones."""
        return self.values if len(self.values) > 1 else self.values[0]

    def summary(self, objective: Objective) -> dict[str, float]:
        """Return the numbers by which loggers compare runs."""
        further = zip(objective.also, self.values[1:], strict=False)
        return {
            "objective": self.values[0],
            **{f"objective/{each.metric}": value for each, value in further},
            **{f"best/{name}": value for name, value in self.best.items() if name != PARAMETERS},
        }

    def facts(self, objective: Objective, folder: Path) -> dict[str, Any]:
        """Return what run.json keeps of it, with paths relative to the folder of the run."""
        definitions = zip((objective, *objective.also), self.values, strict=False)
        first, *also = [{"metric": each.metric, "mode": each.mode, "value": value} for each, value in definitions]
        return {
            "objective": first | {"epoch": self.epoch} | ({"also": also} if also else {}),
            "best": self.best,
            "metrics": {**self.metrics, **self.test},
            "test": sorted(self.test),
            "checkpoint": self.checkpoint and os.path.relpath(self.checkpoint, folder),
        }


def _numbers(returned: Any, count: int) -> list[float]:
    """Return the numbers that a training function returned, none where it returned something else.

    Raises:
        UserError: one is not finite, or they are not as many as the objectives.
    """
    values = returned if isinstance(returned, list | tuple) else [returned]
    if not all(map(_is_number, values)):
        return []
    numbers = [float(value) for value in values]
    if not all(map(math.isfinite, numbers)):
        raise UserError(f"train(run) returned {returned}: the objective must be a finite number.")
    if numbers and len(numbers) != count:
        raise UserError(f"train(run) returned {returned}; return one number for each objective, {count} in all.")
    return numbers


def _is_number(value: object) -> bool:
    if isinstance(value, torch.Tensor):
        return value.dim() == 0
    return isinstance(value, Real) and not isinstance(value, bool)
