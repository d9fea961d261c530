"""The life of a run, from its configuration to the folder that tells of it."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import seed_everything
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from sweeplab.errors import UserError, no_early_exit
from sweeplab.records import config as run_config
from sweeplab.records import record as run_record
from sweeplab.records.ending import TrialPruned, recorded
from sweeplab.records.layout import RunFile
from sweeplab.records.links import kept, resolved
from sweeplab.records.log import log_traceback, spare_log_files
from sweeplab.records.names import short_path
from sweeplab.records.provenance import program, script
from sweeplab.records.record import Record, Status
from sweeplab.records.rerun import differences, environment
from sweeplab.records.resume import check_resumable, last_checkpoint, resumed
from sweeplab.secrets import masked_command, masked_config
from sweeplab.sweep.trial import Trial, current
from sweeplab.training.check import check
from sweeplab.training.config_tree import print_tree
from sweeplab.training.effective_config import effective_config
from sweeplab.training.loggers import RunLogger, closing_loggers
from sweeplab.training.messages import explanation, hidden_warnings
from sweeplab.training.preflight import check_checkpoint, check_components
from sweeplab.training.ranks import GOES_ON, claimed_rank, rank
from sweeplab.training.result import Result
from sweeplab.training.run import Run

log = logging.getLogger(__name__)

Train = Callable[[Run], Any]
LENGTH_KEYS = ("trainer.max_epochs", "trainer.max_steps")  # how long a run trains


def start(train: Train, config: DictConfig, origin: Path | None = None) -> float | list[float]:
    """Train as the configuration says, in `config.folder`; return the best value of the objective.

    With `objective.also` it is a list: behind it the values of the further objectives at that moment. `origin` is the
    folder of the run that is trained again, if it is.

    Raises:
        UserError: the folder already holds a run, or the configuration cannot work.
        TrialPruned: the study stopped the trial.
    """
    trial, folder = current(), Path(config.folder)
    is_first = rank(config.trainer) == 0
    cut = run_record.as_left(folder) if trial is not None and trial.attempt else None
    if config.seed is None and cut is not None:
        config.seed = cut["seed"]
    elif config.seed is None:
        config.seed = torch.seed() % 2**32 if is_first else int(os.environ["PL_GLOBAL_SEED"])
    config = effective_config(config, _overrides())
    if origin is not None:
        _leave_logger_runs(config, origin)
    if not is_first and (going_on := os.environ.get(GOES_ON)):
        config.folder = going_on
        return _join(train, Run(config, None, run_record.read(Path(going_on))))
    if not is_first:
        return _join(train, Run(config))
    os.environ.pop(GOES_ON, None)
    check_components(resolved(config))
    if trial is None and (config.get("extras") or {}).get("print_config"):
        print_tree(config)
    if trial is not None and trial.attempt:
        if cut is not None and cut["status"] in (Status.COMPLETE, Status.PRUNED):
            return _outcome(cut)
        if _can_go_on(cut, config, trial):
            return _go_on(train, config, trial)
        run_record.move_aside(folder, trial.attempt, (RunFile.METRICS, RunFile.CHECKPOINTS))
    facts = {"choices": _choices(config), "threads": torch.get_num_threads(), "environment": environment()}
    facts |= {"tags": _tags(config)}
    record = run_record.begin(folder, _overrides(), config.seed, trial.attempt if trial else 0, **facts)
    if origin is not None:
        record.update(rerun=str(origin))
        if changes := differences(origin, folder):
            log.warning("The numbers may differ: %s.", "; ".join(changes))
    if trial is not None:
        record.update(**_about(trial, record))
    record.update(signature=run_config.save(config, folder))
    run = Run(config, record)
    try:
        return _recorded(train, run, record)
    except UserError as error:
        has_readers = trial or any(isinstance(logger, RunLogger) for logger in run.loggers)
        if not (run.has_trained or has_readers or isinstance(error.__cause__, SystemExit)):
            run_record.withdraw(folder)
        raise


def _about(trial: Trial, record: Record) -> dict[str, Any]:
    """Return what a record says of the trial that the run is; `attempt` is how many it tells of before this one."""
    about = {"study": trial.study, "number": trial.number, "repeat": trial.repeat}
    about |= {"params": masked_config(trial.params)}
    about |= {"attempt": len(attempts)} if (attempts := record.facts.get("attempts")) else {}
    return {"trial": about, "command": masked_command(trial.command)}


def _outcome(facts: Mapping[str, Any]) -> float | list[float]:
    """Return what a run had come to that was over when its trial was cut, before the sweep learned of it.

    Raises:
        TrialPruned: it was pruned.
    """
    if facts["status"] == Status.PRUNED:
        raise TrialPruned("the trial was pruned before it was cut")
    first, also = facts["objective"], facts["objective"].get("also") or ()
    return [first["value"], *(each["value"] for each in also)] if also else first["value"]


def _can_go_on(cut: Mapping[str, Any] | None, config: DictConfig, trial: Trial) -> bool:
    """Say whether a trial that was cut can go on from a checkpoint; say in its log why not."""
    folder, reason = Path(config.folder), "there is no checkpoint yet"
    if cut is None:
        reason = f"{folder / RunFile.RECORD} is missing or damaged"
    elif last_checkpoint(folder):
        try:
            check_checkpoint(folder, config)
        except UserError as error:
            reason = str(error)
        else:
            return True
    log.warning("Attempt %d begins anew: %s.", trial.attempt + 1, reason.rstrip("."))
    return False


def _go_on(train: Train, config: DictConfig, trial: Trial) -> float | list[float]:
    """Train from the last checkpoint of a trial that was cut."""
    folder = Path(config.folder)
    log.info("Attempt %d goes on from %s", trial.attempt + 1, last_checkpoint(folder))
    os.environ[GOES_ON] = str(folder)
    record = run_record.begin_again(folder, _overrides(), tags=_tags(config))
    record.update(**_about(trial, record))
    return _recorded(train, Run(config, record, record.facts), record)


def resume(
    train: Train, folder: Path, overrides: Sequence[str] = (), conf: Path | None = None, trusted: bool = False
) -> float | list[float]:
    """Go on with the run in `folder` where it stopped; overrides may, say, raise `trainer.max_epochs`.

    Raises:
        UserError: the run cannot go on; see `check_resumable`.
    """
    folder = folder.resolve()
    is_longer = any(word.lstrip("+").startswith(LENGTH_KEYS) for word in overrides)
    if claimed_rank():
        saved = resumed(folder, overrides, conf, trusted)
        if rank(saved.trainer) > 0:
            return _join(train, Run(effective_config(saved, overrides), None, run_record.read(folder), is_longer))
    config = check_resumable(folder, overrides, conf, trusted)
    check(config, is_new=False)
    config = effective_config(config, overrides)
    check_components(resolved(config), is_new=False)
    check_checkpoint(folder, config)
    signs = not trusted or run_config.is_own(folder)
    record = run_record.begin_again(folder, overrides, tags=_tags(config))
    return _recorded(train, Run(config, record, record.facts, is_longer, signs), record)


def _leave_logger_runs(config: DictConfig, origin: Path) -> None:
    """Take the ids of the former run out of the configuration of the loggers: a run has its own."""
    ids = [facts["id"] for facts in run_record.read(origin).values() if isinstance(facts, dict) and "id" in facts]
    for entry in (config.get("logger") or {}).values():
        if entry is not None and entry.get("id") in ids:
            entry.id = None


def _join(train: Train, run: Run) -> float | list[float]:
    """Train beside the first process, which alone says how it ended."""
    try:
        with hidden_warnings():
            return _trained(train, run).value
    except TrialPruned:
        return Result.of(run, None).value


def _recorded(train: Train, run: Run, record: Record) -> float | list[float]:
    spare_log_files()
    try:
        with recorded(record), hidden_warnings():
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
            log.warning("Stopped. To resume: %s resume=%s", program(), short_path(record.folder))
        raise
    _print(result, run)
    return result.value


def _trained(train: Train, run: Run) -> Result:
    """Call the training function, and end the loggers' runs as it ended."""
    rank_zero_only.rank = rank(run.config.trainer)  # type: ignore[attr-defined]  # else it is what the environment says
    seed_everything(run.config.seed, workers=True, verbose=False)
    with closing_loggers(run.loggers, partial(_note, run.record)):
        try:
            with no_early_exit("the training"):
                returned = train(run)
            run.has_trained = True  # perhaps with a loop of its own
            result = Result.of(run, returned)
        except TrialPruned:
            _conclude(run, Result.of(run, None))
            raise
        except Exception as error:
            if not isinstance(error, UserError) and (reason := explanation(error, _checkpoint(run), run.folder)):
                raise UserError(reason) from error
            raise
        _conclude(run, result)
    if (trial := current()) is not None and trial.prunes and not run.steps_reported and run.record is not None:
        log.warning("Nothing was reported to the pruner: callbacks.pruning does it, or sweeplab.current().report(...).")
    return result


def _checkpoint(run: Run) -> Path:
    """Return the checkpoint that the latest trainer was given; where there is none, the folder of all."""
    given = next((stage.trainer.ckpt_path for stage in reversed(run.stages) if stage.trainer), None)
    return Path(given) if given else run.folder / RunFile.CHECKPOINTS


def _note(record: Record | None, facts: Mapping[str, Any]) -> None:
    """Add facts about the runs of loggers to the record."""
    if record is not None and facts:
        record.update(**{service: {**record.facts.get(service, {}), **news} for service, news in facts.items()})


def _conclude(run: Run, result: Result) -> None:
    """Write what a run came to, to its record and to the loggers that compare runs."""
    if run.record is None:
        return
    run.begin()  # where there was nothing left to train or to test
    for logger in run.loggers:
        if isinstance(logger, RunLogger):
            logger.conclude(result.summary(run.objective))
    run.record.update(**result.facts(run.objective, run.folder))


def _print(result: Result, run: Run) -> None:
    epoch = "" if result.epoch is None else f" (best, epoch {result.epoch + 1})"
    tests = "".join(f", {name} {value:.4g}" for name, value in result.test.items())
    log.info("%s %.4g%s%s", run.objective.metric, result.values[0], epoch, tests)
    tags = ", ".join(_tags(run.config))
    log.info("Everything is in %s%s", short_path(run.folder), f" (tags: {tags})" if tags else "")
    evaluation = script().with_name("eval.py")
    if evaluation.is_file() and (result.checkpoint or last_checkpoint(run.folder)):
        stage = "" if result.test else " stage=validate"
        log.info(
            "Evaluate it again: python %s run=%s%s", short_path(evaluation.absolute()), short_path(run.folder), stage
        )


def _overrides() -> list[str]:
    from hydra.core.hydra_config import HydraConfig

    if not HydraConfig.initialized():
        return []
    # As they were typed: a link is not resolved before there is any data.
    typed: Any = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
    return [str(override) for override in typed]


def _tags(config: DictConfig) -> list[str]:
    """Return the words that a user gave the run; one that asks the environment as it was written."""
    if not config.get("tags"):  # to look at the whole configuration takes long
        return []
    return [str(tag) for tag in masked_config(kept(config)).get("tags") or ()]


def _choices(config: DictConfig) -> dict[str, str]:
    """Return what was chosen from the groups of conf/, Hydra's own and those that nothing reads left out."""
    from hydra.core.hydra_config import HydraConfig

    chosen = HydraConfig.get().runtime.choices if HydraConfig.initialized() else {}
    left_out = {"task", "optimizer", "scheduler"} - set(map(str, config))
    names = {str(group): choice for group, choice in chosen.items() if choice and not str(group).startswith("hydra/")}
    return {group: choice for group, choice in names.items() if group not in left_out}
