"""A training, from its configuration to the folder that tells of it."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf

from lab.assemble import assemble_loggers, assemble_model, assemble_trainer
from lab.check import check
from sweeplab.errors import UserError
from sweeplab.runs import config as run_config
from sweeplab.runs import record as run_record
from sweeplab.runs.process import rank
from sweeplab.runs.record import Record, TrialPruned, recorded
from sweeplab.runs.rerun import differences, environment
from sweeplab.runs.resume import LAST, check_resumable
from sweeplab.sweep.trial import current
from sweeplab.tracking.ending import OwnsRun, ended
from sweeplab.training.build import build
from sweeplab.training.lean import skip_idle_hooks
from sweeplab.training.objective import BestObjective, Objective
from sweeplab.training.pruning import Pruning
from sweeplab.training.quiet import quiet
from sweeplab.training.resume import GeneratorStates

log = logging.getLogger(__name__)


@dataclass
class Result:
    """What a training came to: the best objective, the metrics of that moment, the last ones, the best checkpoint.

    `also` are the values of the further objectives.
    """

    objective: float
    also: list[float]
    epoch: int | None
    best: dict[str, float]
    metrics: dict[str, float]
    checkpoint: str | None

    @property
    def value(self) -> float | list[float]:
        """What a sweep is told: the objective, or a list of all where there are further ones."""
        return [self.objective, *self.also] if self.also else self.objective


class Pruned(TrialPruned):
    """A trial was stopped because others do better; `result` is what it came to until then."""

    def __init__(self, when: str, result: Result) -> None:
        super().__init__(f"{when}; best {result.objective:.4g}")
        self.result = result


def train(
    model: LightningModule,
    data: LightningDataModule | Mapping[str, Any],
    trainer: Trainer,
    objective: Objective,
    *,
    test: bool = True,
    checkpoint: str | Path | None = None,
) -> Result:
    """Fit a model, test its best checkpoint, and return what it came to.

    `data` is a data module, or loaders by the names `train`, `val` and `test`. With a `checkpoint` the training goes
    on from there. Where no callback keeps the best checkpoint, the last weights are tested.

    Raises:
        UserError: the objective was never a finite number.
        TrialPruned: the study stopped the trial, by a `Pruning` callback.
    """
    best = BestObjective(objective)
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set by one of its connectors
    callbacks[:0] = [best, GeneratorStates()]
    skip_idle_hooks(callbacks)
    if isinstance(data, LightningDataModule):
        trainer.fit(model, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    else:
        trainer.fit(model, data["train"], data["val"], ckpt_path=checkpoint, weights_only=True)
    value, *also = best.result()
    metrics = {name: float(metric) for name, metric in trainer.callback_metrics.items()}
    path = _best_checkpoint(trainer, objective)
    result = Result(value, also, best.epoch, best.metrics, metrics, path)
    for callback in callbacks:
        if isinstance(callback, Pruning) and callback.pruned:
            raise Pruned(callback.pruned, result)
    if test:
        source: Any = {"datamodule": data} if isinstance(data, LightningDataModule) else {"dataloaders": data["test"]}
        trainer.test(model, **source, ckpt_path=path, weights_only=True)
        result.metrics |= {name: float(metric) for name, metric in trainer.callback_metrics.items()}
    return result


def run(config: DictConfig, origin: Path | None = None) -> float | list[float]:
    """Train as the configuration says, in `config.folder`; return the best value of the objective.

    With `objective.also` it is a list: behind it the values of the further objectives at that moment. `origin` is the
    folder of the run that is trained again, if it is.

    Raises:
        UserError: the folder already holds a run, or the configuration cannot work.
        TrialPruned: the study stopped the trial.
    """
    if config.seed is None:
        config.seed = int(os.environ["PL_GLOBAL_SEED"]) if rank() > 0 else torch.seed() % 2**32
    config = OmegaConf.create(run_config.resolved(config))  # once: interpolations are slow
    if origin is not None:
        _leave_wandb_run(config, origin)
    if rank() > 0:
        return _join(config, None)
    folder = Path(config.folder)
    facts = {"choices": _choices(), "threads": torch.get_num_threads(), "environment": environment()}
    record = run_record.begin(folder, _overrides(), config.seed, **facts)
    if origin is not None:
        record.update(rerun=str(origin))
        if changes := differences(origin, folder):
            log.warning("The same numbers are not promised: %s.", "; ".join(changes))
    if trial := current():
        about = {"study": trial.study, "number": trial.number, "repeat": trial.repeat, "params": dict(trial.params)}
        record.update(trial=about, command=trial.command)
    run_config.save(config, folder)
    return _recorded(config, record, None)


def _leave_wandb_run(config: DictConfig, origin: Path) -> None:
    """Take a W&B id out of the configuration if it is that of the former run: a run has its own."""
    known = run_record.read(origin).get("wandb")
    entry = OmegaConf.select(config, "logger.wandb")
    if known and entry is not None and entry.get("id") == known["id"]:
        entry.id = None


def resume(folder: Path, overrides: Sequence[str] = (), conf: Path | None = None) -> float | list[float]:
    """Go on with the run in `folder` where it stopped; overrides may, say, raise `trainer.max_epochs`.

    Raises:
        UserError: the run cannot go on; see `check_resumable`.
    """
    folder = folder.resolve()
    if rank() > 0:
        return _join(run_config.load(folder, overrides, conf), folder / LAST)
    config = check_resumable(folder, overrides, conf)
    check(config)
    _check_length(config, overrides)
    record = run_record.begin_again(folder, overrides)
    run_config.save(config, folder)
    return _recorded(config, record, folder / LAST)


def _check_length(config: DictConfig, overrides: Sequence[str]) -> None:
    longer = [word for word in overrides if word.lstrip("+").startswith(("trainer.max_epochs", "trainer.max_steps"))]
    if longer and config.scheduler and "plateau" not in config.scheduler._target_:
        raise UserError(f"{longer[0]}: the learning rate was laid out for the first length; start a new run.")


def _join(config: DictConfig, checkpoint: Path | None) -> float | list[float]:
    """Train beside the first process, which alone says how it ended."""
    try:
        return _train(config, None, checkpoint).value
    except Pruned as pruned:
        return pruned.result.value


def _recorded(config: DictConfig, record: Record, checkpoint: Path | None) -> float | list[float]:
    try:
        with recorded(record), quiet():
            result = _train(config, record, checkpoint)
    except Pruned as pruned:
        log.info("%s", pruned)
        raise
    except (KeyboardInterrupt, SystemExit):
        if (record.folder / LAST).is_file():
            log.warning("Stopped. To go on: python train.py resume=%s", _short(record.folder))
        raise
    _say(result, config.objective.metric, record.folder)
    return result.value


def _train(config: DictConfig, record: Record | None, checkpoint: Path | None) -> Result:
    seed_everything(config.seed, workers=True, verbose=False)
    data = build(config.data, "data")
    data.setup()
    model = assemble_model(config, data)
    known = record.facts.get("wandb") if record else None
    loggers = assemble_loggers(config, known and known["id"])
    with ended(loggers, partial(_note, record)):
        trainer = assemble_trainer(config, loggers)
        _begin(loggers, config, model, record)
        objective = Objective.of(run_config.resolved(config.objective))
        try:
            result = train(model, data, trainer, objective, test=config.test, checkpoint=checkpoint)
        except MisconfigurationException as error:
            raise UserError(" ".join(str(error).split())) from error
        except Pruned as pruned:
            _conclude(loggers, pruned.result, objective, record)
            raise
        _conclude(loggers, result, objective, record)
    return result


def _begin(loggers: Sequence[Logger], config: DictConfig, model: LightningModule, record: Record | None) -> None:
    plain = run_config.resolved(config)
    if record is not None:
        record.update(module=f"{type(model).__module__}.{type(model).__qualname__}")
    for logger in loggers:
        if not isinstance(logger, OwnsRun):
            logger.log_hyperparams(plain)
        elif record is not None:
            record.update(**logger.begin(plain, model, record.facts["command"]))


def _note(record: Record | None, facts: Mapping[str, Any]) -> None:
    """Add to what the record knows of the runs of loggers."""
    if record is not None and facts:
        record.update(**{service: {**record.facts.get(service, {}), **news} for service, news in facts.items()})


def _conclude(loggers: Sequence[Logger], result: Result, objective: Objective, record: Record | None) -> None:
    if record is None:
        return
    also = [
        {"metric": further.metric, "mode": further.mode, "value": value}
        for further, value in zip(objective.also, result.also, strict=True)
    ]
    summary: dict[str, Any] = {"objective": result.objective}
    summary |= {f"objective/{further['metric']}": further["value"] for further in also}
    summary |= {f"best/{name}": value for name, value in result.best.items() if name.startswith("val/")}
    for logger in loggers:
        if isinstance(logger, OwnsRun):
            logger.conclude(summary)
    record.update(
        objective={
            "metric": objective.metric,
            "mode": objective.mode,
            "value": result.objective,
            "epoch": result.epoch,
        }
        | ({"also": also} if also else {}),
        best=result.best,
        metrics=result.metrics,
        checkpoint=result.checkpoint and os.path.relpath(result.checkpoint, record.folder),
    )


def _say(result: Result, metric: str, folder: Path) -> None:
    epoch = "" if result.epoch is None else f" (best, epoch {result.epoch + 1})"
    tests = "".join(f", {name} {value:.4g}" for name, value in result.metrics.items() if name.startswith("test/"))
    log.info("%s %.4g%s%s", metric, result.objective, epoch, tests)
    log.info("Everything is in %s", _short(folder))
    if result.checkpoint or (folder / LAST).is_file():
        log.info("Evaluate it again: python eval.py run=%s", _short(folder))


def _best_checkpoint(trainer: Trainer, objective: Objective) -> str | None:
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.monitor == objective.metric:
            return callback.best_model_path or None
    return None


def _overrides() -> list[str]:
    from hydra.core.hydra_config import HydraConfig

    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


def _choices() -> dict[str, str]:
    """Return what was chosen from the groups of conf/, Hydra's own left out."""
    from hydra.core.hydra_config import HydraConfig

    chosen = HydraConfig.get().runtime.choices if HydraConfig.initialized() else {}
    return {str(group): choice for group, choice in chosen.items() if choice and not str(group).startswith("hydra/")}


def _short(folder: Path) -> str:
    return os.path.relpath(folder) if folder.is_relative_to(Path.cwd()) else str(folder)
