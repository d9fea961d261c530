"""What a run is judged by: the best value of its objective, when it was reached, and what else was true then."""

import contextlib
import inspect
import math
import re
from collections.abc import Iterable
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from sweeplab.errors import SetupError, UserError, did_you_mean, nearest
from sweeplab.records.objective import PARAMETERS, Objective

OF_LOADER = "/dataloader_idx_"  # what Lightning adds to the names where there are several loaders


class BestObjective(Checkpoint):
    """Remembers the best moment of a run, by the rule that ModelCheckpoint has: strictly better, first one wins.

    The objective is any logged number: one of the validation is looked at when a validation ends, one of the training
    when an epoch does. `value`, `epoch` and `metrics` belong together; `metrics` holds all that was measured at that
    moment, and the number of weights that were trained.

    Whether the objective is logged at all is checked as early as it can be: in the sanity check of the validation, else
    after the first training step, else at the end of the first epoch. (A `Checkpoint`, since Lightning lets these see
    what a module logs at the end of an epoch.)
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.value = objective.worst
        self.epoch: int | None = None
        self.metrics: dict[str, float] = {}
        self._before: dict[str, Tensor] = {}
        self._of_validation: set[str] = set()
        self._is_logged = self._has_checked = self._has_validated = self._has_stepped = self._is_over = False

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note what was logged before: training metrics are still those of the epoch before."""
        self._before = dict(trainer.callback_metrics)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at a validation that has just ended."""
        _refuse_arrays(trainer)
        new = {name for name, value in trainer.callback_metrics.items() if self._before.get(name) is not value}
        self._of_validation |= new | logged_names(trainer.fit_loop.epoch_loop.val_loop._results)
        self._has_checked = True
        self._has_validated |= not trainer.sanity_checking
        if trainer.sanity_checking:
            self._look_for_objective(new, trained=pl_module)
        elif self.objective.metric in self._of_validation:
            self._judge(trainer, pl_module, new)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Look once whether the objective is logged, now that the first step has shown what a step logs."""
        if not (self._is_logged or self._has_stepped):
            self._has_stepped = True
            is_all = (self._has_checked or not trainer.enable_validation) and not _may_log_later(trainer, pl_module)
            logged = {*trainer.callback_metrics, *logged_names(trainer.fit_loop.epoch_loop._results)}
            self._look_for_objective(logged, is_all=is_all, trained=pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at an epoch that has just ended, if the objective is a metric of the training."""
        _refuse_arrays(trainer)
        is_all = self._has_validated or not trainer.enable_validation
        self._look_for_objective(trainer.callback_metrics, is_all=is_all)
        metric = self.objective.metric
        if metric in trainer.callback_metrics and metric not in self._of_validation:
            self._judge(trainer, pl_module, set(trainer.callback_metrics))
        if self.epoch == trainer.current_epoch:
            self._complete(trainer)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the best: a test of a checkpoint restores all callbacks as they were when it was saved."""
        self._is_over = True

    def result(self) -> list[float]:
        """Return the best value, and behind it those of the further objectives.

        Raises:
            UserError: one of them is not a finite number.
        """
        if not math.isfinite(self.value):
            raise UserError(
                f"{self.objective.metric} was never a finite number: the training diverged, or nothing was validated; "
                "try a smaller learning rate, or debug=fast."
            )
        values = [self.value]
        for metric in (further.metric for further in self.objective.also):
            values.append(self.metrics.get(metric, math.nan))
            if not math.isfinite(values[-1]):
                raise UserError(
                    f"{metric} was {values[-1]} when {self.objective.metric} was best: it cannot be compared."
                )
        return values

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know."""
        validated = sorted(self._of_validation)
        return {"value": self.value, "epoch": self.epoch, "metrics": self.metrics, "of_validation": validated}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state."""
        if self._is_over:
            return
        self.value, self.epoch, self.metrics = state_dict["value"], state_dict["epoch"], state_dict["metrics"]
        self._of_validation = set(state_dict.get("of_validation", ()))

    def _judge(self, trainer: Trainer, module: LightningModule, names: set[str]) -> None:
        metrics = {name: float(trainer.callback_metrics[name]) for name in sorted(names)}
        metrics[PARAMETERS] = sum(weights.numel() for weights in module.parameters() if weights.requires_grad)
        value = metrics[self.objective.metric]
        if self.objective.better(value, self.value):
            self.value, self.epoch, self.metrics = value, trainer.current_epoch, metrics

    def _complete(self, trainer: Trainer) -> None:
        """Add the further objectives that the training logs, as an epoch ends whose validation was the best."""
        for metric in (further.metric for further in self.objective.also):
            if metric not in self.metrics and metric not in trainer.callback_metrics:
                raise SetupError(_not_logged(metric, {*self.metrics, *trainer.callback_metrics}))
            self.metrics.setdefault(metric, float(trainer.callback_metrics.get(metric, math.nan)))

    def _look_for_objective(
        self, logged: Iterable[str], is_all: bool = False, trained: LightningModule | None = None
    ) -> None:
        """Look for the objective in what is logged so far; unless that is all, refuse what is clearly misspelt only.

        A name that stands in the source of the module, `trained`, may be logged by the training, which comes later.
        """
        metric, names = self.objective.metric, {*logged, *self._of_validation}
        self._is_logged = self._is_logged or metric in names
        if self._is_logged:
            return
        in_source = trained is not None and _is_in_source(trained, rf"['\"]{re.escape(metric)}['\"]")
        of_loaders = any(name.startswith(f"{metric}{OF_LOADER}") for name in names)
        if of_loaders or (not in_source and (is_all or nearest(metric, names) is not None)):
            raise SetupError(_not_logged(metric, names))


def logged_names(results: Any) -> set[str]:
    """Return the names of all that `self.log` has taken; within an epoch Lightning's own metrics lack some."""
    pairs = [results._forked_name(result, on_step) for result in results.values() for on_step in (True, False)]
    return {name for pair in pairs for name in pair}


def _refuse_arrays(trainer: Trainer) -> None:
    """Refuse what is logged and is not one number, before Lightning prints all of it.

    Raises:
        SetupError: the first of them.
    """
    for name, value in trainer.callback_metrics.items():
        if value.numel() != 1:
            raise SetupError(
                f"{name} is not one number but an array of shape {tuple(value.shape)}; log a number, such as its mean, "
                "and hand arrays to a logger from a callback."
            )


def _not_logged(metric: str, logged: Iterable[str]) -> str:
    names = sorted({name for name in logged if not name.startswith("lr-")} | {PARAMETERS})
    of_loaders = [name for name in names if name.startswith(f"{metric}{OF_LOADER}")]
    near = f"; did you mean '{of_loaders[0]}'?" if of_loaders else did_you_mean(metric, names)
    return f"the objective {metric} is not logged{near} Write objective.metric=... objective.mode=..."


def _may_log_later(trainer: Trainer, module: LightningModule) -> bool:
    """Say whether the end of an epoch may log more than its first step and the sanity check have shown."""
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]  # set by one of its connectors
    packages = {type(callback).__module__.partition(".")[0] for callback in callbacks}
    has_others = not packages <= {"lightning", "sweeplab"}
    has_hook = type(module).on_train_epoch_end is not LightningModule.on_train_epoch_end
    return has_others or has_hook or _is_in_source(module, "sanity_checking")


def _is_in_source(module: LightningModule, pattern: str) -> bool:
    """Say whether a pattern is found in the source of a module's class or its parents, as far as there is any."""
    for kind in type(module).__mro__:
        if kind.__module__.partition(".")[0] in ("lightning", "torch", "builtins"):
            continue
        # Python parses the file, which may have changed since; 3.11 fails at that at times beside other threads.
        with contextlib.suppress(OSError, TypeError, SyntaxError, SystemError):
            if re.search(pattern, inspect.getsource(kind)):
                return True
    return False
