"""Lightning's Trainer with less work around each step.

On small networks Lightning's bookkeeping takes as long as the network itself. The loops here take the same steps in the
same order, so that weights, logs and checkpoints are the same bit by bit, and call only the hooks that somebody has
written. What they do not know they leave to Lightning's own, step by step: manual optimization, several processes,
16-bit precision with scaled gradients, profilers, a module's own `optimizer_step`. `bench/step.py` measures them.
"""

from functools import wraps
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.loops.evaluation_loop import _EvaluationLoop
from lightning.pytorch.loops.fetchers import _DataFetcher, _DataLoaderIterDataFetcher
from lightning.pytorch.loops.optimization.automatic import Closure, ClosureResult
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.plugins import MixedPrecision, Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.trainer.connectors.logger_connector.result import _ResultCollection
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature
from torch import Tensor
from torch.optim import Optimizer

from sweeplab.training.hooks import Hooks, call_own, is_written, set_current, transfer

STEP_HOOKS = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)
VALIDATION = ("validation_step", "on_validation_batch_start", "on_validation_batch_end")
TEST = ("test_step", "on_test_batch_start", "on_test_batch_end")
OWN_HOOKS = ("backward", "configure_gradient_clipping", "optimizer_zero_grad")  # of the module alone


class LeanTrainer(Trainer):
    """Trains, validates and tests as Lightning's Trainer does, with its arguments, in less time around each step."""

    @wraps(Trainer.__init__)  # type: ignore[misc]  # for whoever asks what arguments it has
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        epochs = self.fit_loop.epoch_loop
        self.fit_loop.epoch_loop = _LeanEpochs(self, epochs.min_steps, epochs.max_steps)
        self.validate_loop = _lean_evaluation(self, self.validate_loop)
        self.test_loop = _lean_evaluation(self, self.test_loop)


class _LeanEpochs(_TrainingEpochLoop):
    """Takes the training steps of an epoch."""

    def __init__(self, trainer: Trainer, min_steps: int | None, max_steps: int) -> None:
        super().__init__(trainer, min_steps, max_steps)
        self.val_loop = _lean_evaluation(trainer, self.val_loop)

    def on_run_start(self, data_fetcher: _DataFetcher) -> None:
        """Look what the steps of this epoch consist of."""
        super().on_run_start(data_fetcher)
        module = self.trainer.lightning_module
        self._is_known = _is_known(self.trainer, data_fetcher) and _is_known_optimization(self.trainer)
        self._hooks, self._transfer = Hooks(self.trainer, STEP_HOOKS), transfer(self.trainer)
        self._takes_index = is_param_in_hook_signature(module.training_step, "batch_idx", min_args=2)
        self._logged = _Logged(self.trainer, self._results)
        self._own = {hook for hook in OWN_HOOKS if is_written(module, LightningModule, hook)}

    def advance(self, data_fetcher: _DataFetcher) -> None:
        """Take one step.

        Raises:
            StopIteration: the module ends the epoch.
        """
        if self.restarting or not self._is_known or self.automatic_optimization._skip_backward:
            super().advance(data_fetcher)
            return
        trainer, progress = self.trainer, self.batch_progress
        self.val_loop.restarting = False
        batch, _, _ = next(data_fetcher)
        index = progress.current.ready
        progress.is_last_batch = data_fetcher.done
        batch = self._transfer(batch, 0)
        progress.increment_ready()
        self._logged.begin(batch)
        if not self._hooks.is_current:
            self._hooks = Hooks(trainer, STEP_HOOKS)
        output, is_over = None, False
        if batch is None:
            self._warning_cache.warn("train_dataloader yielded None. If this was on purpose, ignore this warning...")
        elif is_over := self._hooks("on_train_batch_start", batch, index) == -1:
            progress.increment_by(0, is_last_batch=True)
        else:
            progress.increment_started()
            output = self._optimize(batch, index)
        progress.increment_processed()
        if trainer.lr_scheduler_configs:
            self.update_lr_schedulers("step", update_plateau_schedulers=False)
            if self._num_ready_batches_reached():
                self.update_lr_schedulers("epoch", update_plateau_schedulers=False)
        if is_over:
            raise StopIteration
        self._hooks("on_train_batch_end", output, batch, index)
        self._logged.end()
        progress.increment_completed()
        if trainer._logger_connector.should_update_logs or trainer.fast_dev_run:
            trainer._logger_connector.update_train_step_metrics()

    def _optimize(self, batch: Any, index: int) -> dict[str, Any]:
        """Take the step of a batch; return what `training_step` returned, its loss without its graph."""
        optimizer, outputs = self.trainer.optimizers[0], dict[str, Any]()
        progress = self.automatic_optimization.optim_progress.optimizer.step

        def closure() -> Tensor | None:
            outputs.clear()
            outputs.update(self._compute_gradients(optimizer, batch, index))
            return outputs.get("loss")

        def closure_of_step() -> Tensor | None:
            loss = closure()
            self._hooks("on_before_optimizer_step", optimizer)
            self._clip(optimizer)
            return loss

        if self._should_accumulate():
            closure()
        else:
            progress.increment_ready()
            optimizer.step(closure=closure_of_step)
            progress.increment_completed()
        return outputs

    def _compute_gradients(self, optimizer: Optimizer, batch: Any, index: int) -> dict[str, Any]:
        trainer, module = self.trainer, self.trainer.lightning_module
        every = trainer.accumulate_grad_batches
        with torch.enable_grad():
            set_current(module, "training_step")
            with trainer.precision_plugin.train_step_context():
                returned = module.training_step(batch, index) if self._takes_index else module.training_step(batch)
            set_current(module, None)
            graph: Tensor | None
            outputs: dict[str, Any]
            if type(returned) is Tensor and every == 1:
                graph, outputs = returned, {"loss": returned.detach().clone()}
            else:
                result = ClosureResult.from_training_step_output(returned, every)
                graph, outputs = result.closure_loss, {} if result.loss is None else result.asdict()
            if graph is None:
                Closure.warning_cache.warn(
                    "`training_step` returned `None`. If this was on purpose, ignore this warning..."
                )
            if index % every == 0:
                self._zero_grad(optimizer, index)
            if graph is not None:
                self._hooks("on_before_backward", graph)
                if "backward" in self._own:
                    call_own(module, "backward", graph)
                else:
                    graph.backward()  # type: ignore[no-untyped-call]  # torch
                self._hooks("on_after_backward")
        return outputs

    def _zero_grad(self, optimizer: Optimizer, index: int) -> None:
        progress = self.automatic_optimization.optim_progress.optimizer.zero_grad
        progress.increment_ready()
        self._hooks("on_before_zero_grad", optimizer)
        progress.increment_started()
        if "optimizer_zero_grad" in self._own:
            trainer = self.trainer
            call_own(trainer.lightning_module, "optimizer_zero_grad", trainer.current_epoch, index, optimizer)
        else:
            optimizer.zero_grad()
        progress.increment_completed()

    def _clip(self, optimizer: Optimizer) -> None:
        trainer = self.trainer
        if trainer.gradient_clip_val or "configure_gradient_clipping" in self._own:
            call_own(
                trainer.lightning_module,
                "configure_gradient_clipping",
                optimizer,
                gradient_clip_val=trainer.gradient_clip_val,
                gradient_clip_algorithm=trainer.gradient_clip_algorithm,
            )


class _LeanEvaluation(_EvaluationLoop):
    """Takes the steps of a validation or a test."""

    def on_run_start(self) -> None:
        """Look what the steps of this evaluation consist of."""
        super().on_run_start()
        trainer, module = self.trainer, self.trainer.lightning_module
        self._is_known = _is_known(trainer, self._data_fetcher)
        self._step_name, self._start, self._end = TEST if trainer.testing else VALIDATION
        self._step = getattr(module, self._step_name)
        self._takes_index = is_param_in_hook_signature(self._step, "batch_idx", min_args=2)
        self._hooks, self._transfer = Hooks(trainer, (self._start, self._end)), transfer(trainer)
        self._logged = _Logged(trainer, self._results)

    def _evaluation_step(self, batch: Any, batch_idx: int, dataloader_idx: int, dataloader_iter: Any) -> None:
        if not self._is_known:
            super()._evaluation_step(batch, batch_idx, dataloader_idx, dataloader_iter)
            return
        trainer, module, progress = self.trainer, self.trainer.lightning_module, self.batch_progress
        loader = dataloader_idx if self._is_sequential and self.num_dataloaders > 1 else None
        which = () if loader is None else (loader,)
        batch = self._transfer(batch, dataloader_idx)
        progress.increment_ready()
        self._logged.begin(batch, loader)
        if not self._hooks.is_current:
            self._hooks = Hooks(trainer, (self._start, self._end))
        self._hooks(self._start, batch, batch_idx, *which)
        progress.increment_started()
        precision = trainer.precision_plugin
        set_current(module, self._step_name)
        with precision.test_step_context() if trainer.testing else precision.val_step_context():
            output = self._step(batch, *((batch_idx,) if self._takes_index else ()), *which)
        set_current(module, None)
        progress.increment_processed()
        self._hooks(self._end, output, batch, batch_idx, *which)
        logs_steps = self._logged.end()
        progress.increment_completed()
        if not trainer.sanity_checking:
            self._has_run = True
            if logs_steps:
                trainer._logger_connector.update_eval_step_metrics(self._seen_batches_per_dataloader[dataloader_idx])
            self._seen_batches_per_dataloader[dataloader_idx] += 1
        if trainer.received_sigterm and not progress.is_last_batch:
            raise SIGTERMException


def _lean_evaluation(trainer: Trainer, loop: _EvaluationLoop) -> _LeanEvaluation:
    return _LeanEvaluation(trainer, loop._trainer_fn, loop._stage, loop.verbose, loop.inference_mode)


def _is_known(trainer: Trainer, fetcher: _DataFetcher | None) -> bool:
    """Say whether the loops here know all that happens in a step."""
    strategy, precision = trainer.strategy, trainer.precision_plugin
    return (
        type(strategy) is SingleDeviceStrategy
        and strategy.model is trainer.lightning_module
        and type(precision) in (Precision, MixedPrecision)
        and getattr(precision, "scaler", None) is None
        and isinstance(trainer.profiler, PassThroughProfiler)  # type: ignore[attr-defined]  # set by a connector
        and not isinstance(fetcher, _DataLoaderIterDataFetcher)
    )


def _is_known_optimization(trainer: Trainer) -> bool:
    module = trainer.lightning_module
    return (
        module.automatic_optimization
        and not is_written(module, LightningModule, "optimizer_step")
        and not isinstance(trainer.optimizers[0], LightningOptimizer)
    )


class _Logged:
    """What a loop logs by batch, told to Lightning as far as it is news."""

    def __init__(self, trainer: Trainer, results: _ResultCollection) -> None:
        self._connector, self._results = trainer._logger_connector, results
        self._latest: list[Tensor | None] = []

    def begin(self, batch: Any, loader: int | None = None) -> None:
        """Begin a batch, which says how large it is only if it is asked."""
        connector, results = self._connector, self._results
        connector._first_loop_iter = connector._first_loop_iter is None
        results.batch, results.batch_size, results.dataloader_idx = batch, None, loader

    def end(self) -> bool:
        """End a batch; say whether anything is logged by step."""
        before = self._latest
        self._latest = [each._forward_cache for each in self._results.values() if each.meta.on_step]
        if len(before) != len(self._latest) or any(a is not b for a, b in zip(before, self._latest, strict=True)):
            self._connector.on_batch_end()
        self._results.batch = self._results.batch_size = None
        return bool(self._latest)
