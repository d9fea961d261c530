"""The life of a run, from its configuration to the folder that tells of it."""

import logging
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import seed_everything
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from sweeplab.build import located
from sweeplab.errors import SetupError, UserError, did_you_mean, no_early_exit
from sweeplab.records import config as run_config
from sweeplab.records import record as run_record
from sweeplab.records import trust
from sweeplab.records.ending import TrialPruned, recorded
from sweeplab.records.layout import RunFile
from sweeplab.records.links import kept, resolved
from sweeplab.records.log import log_traceback, spare_log_files
from sweeplab.records.objective import PARAMETERS, Objective
from sweeplab.records.provenance import program
from sweeplab.records.record import Record
from sweeplab.records.rerun import differences, environment
from sweeplab.records.resume import check_resumable, last_checkpoint, resumed
from sweeplab.secrets import masked_command, masked_config
from sweeplab.sweep.trial import current
from sweeplab.training.ahead import look_ahead
from sweeplab.training.check import check
from sweeplab.training.checkpoint_file import load_training
from sweeplab.training.ending import OwnsRun, ended
from sweeplab.training.mistakes import sentence
from sweeplab.training.model import is_lightning_module, refuse_unread, unread
from sweeplab.training.quiet import quiet
from sweeplab.training.ranks import claimed_rank, rank
from sweeplab.training.run import Run

log = logging.getLogger(__name__)

Train = Callable[[Run], Any]
LONGER = ("trainer.max_epochs", "trainer.max_steps")


@dataclass
class Result:
    """What a run came to: the best objective, the metrics of that moment, the last ones, the test's, the checkpoint.

    `also` are the values of the further objectives.
    """

    objective: float
    also: list[float]
    epoch: int | None = None
    best: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)
    checkpoint: Path | None = None

    @property
    def value(self) -> float | list[float]:
        """What a sweep is told: the objective, or a list of all where there are further ones."""
        return [self.objective, *self.also] if self.also else self.objective


def start(train: Train, config: DictConfig, origin: Path | None = None) -> float | list[float]:
    """Train as the configuration says, in `config.folder`; return the best value of the objective.

    With `objective.also` it is a list: behind it the values of the further objectives at that moment. `origin` is the
    folder of the run that is trained again, if it is.

    Raises:
        UserError: the folder already holds a run, or the configuration cannot work.
        TrialPruned: the study stopped the trial.
    """
    if config.seed is None:
        is_first = rank(config.trainer) == 0
        config.seed = torch.seed() % 2**32 if is_first else int(os.environ["PL_GLOBAL_SEED"])
    config = settled(config, _overrides())
    if origin is not None:
        _leave_logger_runs(config, origin)
    if rank(config.trainer) > 0:
        return _join(train, Run(config))
    look_ahead(resolved(config))
    folder = Path(config.folder)
    facts = {"choices": _choices(config), "threads": torch.get_num_threads(), "environment": environment()}
    record = run_record.begin(folder, _overrides(), config.seed, **facts)
    if origin is not None:
        record.update(rerun=str(origin))
        if changes := differences(origin, folder):
            log.warning("The same numbers are not promised: %s.", "; ".join(changes))
    if trial := current():
        about = {"study": trial.study, "number": trial.number, "repeat": trial.repeat}
        record.update(trial=about | {"params": masked_config(trial.params)}, command=masked_command(trial.command))
    record.update(signature=run_config.save(config, folder))
    run = Run(config, record)
    try:
        return _recorded(train, run, record)
    except UserError as error:
        is_told = trial or any(isinstance(logger, OwnsRun) for logger in run.loggers)
        if not (run.has_trained or is_told or isinstance(error.__cause__, SystemExit)):
            run_record.withdraw(folder)
        raise


def resume(
    train: Train, folder: Path, overrides: Sequence[str] = (), conf: Path | None = None, trusted: bool = False
) -> float | list[float]:
    """Go on with the run in `folder` where it stopped; overrides may, say, raise `trainer.max_epochs`.

    Raises:
        UserError: the run cannot go on; see `check_resumable`.
    """
    folder = folder.resolve()
    is_longer = any(word.lstrip("+").startswith(LONGER) for word in overrides)
    if claimed_rank() and rank((saved := resumed(folder, overrides, conf, trusted)).trainer) > 0:
        return _join(train, Run(settled(saved, overrides), None, run_record.read(folder), is_longer))
    config = check_resumable(folder, overrides, conf, trusted)
    check(config, is_new=False)
    config = settled(config, overrides)
    look_ahead(resolved(config), is_new=False)
    check_checkpoint(folder, config)
    record = run_record.begin_again(folder, overrides)
    return _recorded(train, Run(config, record, record.facts, is_longer), record)


def check_checkpoint(folder: Path, config: DictConfig) -> None:
    """Make sure that the training in `folder` can go on from its last checkpoint, as far as the file tells.

    Raises:
        UserError: it is damaged, of another kind, or of a training that went further than the configuration says.
    """
    path = last_checkpoint(folder)
    assert path is not None  # check_resumable has looked
    content = load_training(path)
    done = {
        "max_epochs": content["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"],
        "max_steps": content["global_step"],
    }
    for key, number in done.items():
        limit = config.trainer.get(key)
        if path.parent.name == RunFile.CHECKPOINTS and limit is not None and 0 <= limit < number:
            raise UserError(f"{folder} has trained {number} {key.removeprefix('max_')}; trainer.{key}={limit} is less.")


def settled(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Return the configuration as a run keeps it: interpolations resolved, what nothing reads left out.

    Raises:
        SetupError: an override sets what nothing reads, or the objective is none that the task logs.
    """
    plain: dict[str, Any] = {key: value for key, value in resolved(config).items() if key != trust.WORD}
    references: Any = OmegaConf.to_container(config, resolve=False)
    if plain.get("task") is not None and is_lightning_module(plain["model"]):
        groups = unread(plain, references)
        refuse_unread(overrides, groups, plain["model"])
        plain = {key: value for key, value in plain.items() if key not in groups}
    _check_objective(plain)
    whole = kept(config) | _folder(plain)
    return OmegaConf.create({key: whole[key] for key in plain})


def _folder(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the folder by its name, whatever it was made from: paths in it follow it."""
    return {"folder": plain["folder"]} if "folder" in plain else {}


def _check_objective(plain: Mapping[str, Any]) -> None:
    """Compare the objectives with what the task logs, if it says so by a method `logs`."""
    task = plain.get("task")
    logs = task and getattr(located(task.get("_target_"), "task"), "logs", None)
    if not logs:
        return
    names = logs(task)
    first = Objective.of(plain["objective"])
    places = {"objective": first, **{f"objective.also[{n}]": further for n, further in enumerate(first.also)}}
    for place, objective in places.items():
        known = names if objective is first else [*names, PARAMETERS]
        if objective.metric not in known:
            raise SetupError(f"{place}.metric={objective.metric} is not logged{did_you_mean(objective.metric, known)}")


def _leave_logger_runs(config: DictConfig, origin: Path) -> None:
    """Take the ids of the former run out of the configuration of the loggers: a run has its own."""
    known = [facts["id"] for facts in run_record.read(origin).values() if isinstance(facts, dict) and "id" in facts]
    for entry in (config.get("logger") or {}).values():
        if entry is not None and entry.get("id") in known:
            entry.id = None


def _join(train: Train, run: Run) -> float | list[float]:
    """Train beside the first process, which alone says how it ended."""
    try:
        with quiet():
            return _trained(train, run).value
    except TrialPruned:
        return _result(run, None).value


def _recorded(train: Train, run: Run, record: Record) -> float | list[float]:
    spare_log_files()
    try:
        with recorded(record), quiet():
            result = _trained(train, run)
    except TrialPruned as pruned:
        log.info("%s; best %.4g", pruned, record.facts["objective"]["value"])
        raise
    except UserError as error:
        if error.__cause__ is not None and record.has_begun:
            log_traceback(error)
        raise
    except (KeyboardInterrupt, SystemExit):
        if last_checkpoint(record.folder):
            log.warning("Stopped. To go on: %s resume=%s", program(), _short(record.folder))
        raise
    _print(result, run)
    return result.value


def _trained(train: Train, run: Run) -> Result:
    """Call the training function, and end the loggers' runs as it ended."""
    rank_zero_only.rank = rank(run.config.trainer)  # type: ignore[attr-defined]  # else it is what the environment says
    seed_everything(run.config.seed, workers=True, verbose=False)
    with ended(run.loggers, partial(_note, run.record)):
        try:
            with no_early_exit("the training"):
                returned = train(run)
            run.has_trained = True  # perhaps with a loop of its own
            result = _result(run, returned)
        except TrialPruned:
            _conclude(run, _result(run, None))
            raise
        except Exception as error:
            if not isinstance(error, UserError) and (said := sentence(error, _checkpoint(run), run.folder)):
                raise UserError(said) from error
            raise
        _conclude(run, result)
    if (trial := current()) is not None and trial.prunes and not run.steps_reported and run.record is not None:
        log.warning("Nothing was reported to the pruner: callbacks.pruning does it, or sweeplab.current().report(...).")
    return result


def _checkpoint(run: Run) -> Path:
    """Return the checkpoint that the latest trainer was given; where there is none, the folder of all."""
    given = next((stage.trainer.ckpt_path for stage in reversed(run.stages) if stage.trainer), None)
    return Path(given) if given else run.folder / RunFile.CHECKPOINTS


def _result(run: Run, returned: Any) -> Result:
    """Return what a run came to; what the training function returned is the objective, if it is numbers.

    Raises:
        UserError: it was never a finite number, there was no training, or there are more objectives or fewer.
    """
    stage = run.stages[-1] if run.stages else None
    values = _numbers(returned, 1 + len(run.objective.also))
    if not values and stage is None and run.stages_done:  # all of them in an earlier attempt
        done = list(run.stages_done.values())[-1]
        path = done["checkpoint"] and run.folder / done["checkpoint"]
        return Result(done["objective"], [], done["epoch"], test=run.tests, checkpoint=path)
    if not values:
        if stage is None or stage.best is None:
            raise UserError(
                "train(run) must either fit the trainer from run.build('trainer') or return the objective; "
                "it did neither."
            )
        values = stage.best.result()
    result = Result(values[0], values[1:], test=run.tests)
    if stage is not None and stage.best is not None:
        result.epoch, result.best, result.metrics = stage.best.epoch, stage.best.metrics, stage.metrics
        result.checkpoint = stage.best_checkpoint
    return result


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


def _note(record: Record | None, facts: Mapping[str, Any]) -> None:
    """Add to what the record knows of the runs of loggers."""
    if record is not None and facts:
        record.update(**{service: {**record.facts.get(service, {}), **news} for service, news in facts.items()})


def _conclude(run: Run, result: Result) -> None:
    if run.record is None:
        return
    run.begin()  # where there was nothing left to train or to test
    also = [
        {"metric": further.metric, "mode": further.mode, "value": value}
        for further, value in zip(run.objective.also, result.also, strict=False)
    ]
    summary: dict[str, Any] = {"objective": result.objective}
    summary |= {f"objective/{further['metric']}": further["value"] for further in also}
    summary |= {f"best/{name}": value for name, value in result.best.items() if name != PARAMETERS}
    for logger in run.loggers:
        if isinstance(logger, OwnsRun):
            logger.conclude(summary)
    objective = {"metric": run.objective.metric, "mode": run.objective.mode, "value": result.objective}
    run.record.update(
        objective=objective | {"epoch": result.epoch} | ({"also": also} if also else {}),
        best=result.best,
        metrics=result.metrics | result.test,
        test=sorted(result.test),
        checkpoint=result.checkpoint and os.path.relpath(result.checkpoint, run.folder),
    )


def _print(result: Result, run: Run) -> None:
    epoch = "" if result.epoch is None else f" (best, epoch {result.epoch + 1})"
    tests = "".join(f", {name} {value:.4g}" for name, value in result.test.items())
    log.info("%s %.4g%s%s", run.objective.metric, result.objective, epoch, tests)
    log.info("Everything is in %s", _short(run.folder))
    evaluation = Path(sys.argv[0]).with_name("eval.py")
    if evaluation.is_file() and (result.checkpoint or last_checkpoint(run.folder)):
        stage = "" if result.test else " stage=validate"
        log.info("Evaluate it again: python %s run=%s%s", _short(evaluation.absolute()), _short(run.folder), stage)


def _overrides() -> list[str]:
    from hydra.core.hydra_config import HydraConfig

    if not HydraConfig.initialized():
        return []
    # As they were typed: a link is not resolved before there is any data.
    typed: Any = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
    return [str(override) for override in typed]


def _choices(config: DictConfig) -> dict[str, str]:
    """Return what was chosen from the groups of conf/, Hydra's own and those that nothing reads left out."""
    from hydra.core.hydra_config import HydraConfig

    chosen = HydraConfig.get().runtime.choices if HydraConfig.initialized() else {}
    left_out = {"task", "optimizer", "scheduler"} - set(map(str, config))
    names = {str(group): choice for group, choice in chosen.items() if choice and not str(group).startswith("hydra/")}
    return {group: choice for group, choice in names.items() if group not in left_out}


def _short(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
