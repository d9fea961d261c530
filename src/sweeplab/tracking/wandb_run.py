"""One training, one W&B run: started when training starts, ended as training ended, never shared."""

import functools
import inspect
import logging
import os
import secrets
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import wandb
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch import LightningModule
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from wandb.sdk.data_types._private import MEDIA_TMP

from sweeplab.errors import UserError, did_you_mean
from sweeplab.records.names import short_path
from sweeplab.records.record import Status
from sweeplab.secrets import masked_command
from sweeplab.sweep.trial import Trial, current
from sweeplab.tracking.failover import GONE, SILENT, Failover, abandon_service, forget_service
from sweeplab.tracking.metadata import columns, exit_code_of, run_id, run_name, write_ending
from sweeplab.tracking.settings import DATA_DIR, Mode, begin_run, first_line, pick_mode, settings, stage_artifacts

log = logging.getLogger(__name__)

X_AXIS = "trainer/global_step"
WATCHABLE = ("all", "gradients", "parameters")
RESUMED = "resumed"  # a tag
SINGLE = "train"  # the job type in conf/logger/wandb.yaml, which a trial replaces


def _optional(method: Callable[..., Any]) -> Any:
    """Let a call of the logger end no training: what W&B cannot take is left out, with one warning."""

    @functools.wraps(method)
    def call(self: "WandbRun", *arguments: Any, **named: Any) -> Any:
        try:
            Path(MEDIA_TMP.name).mkdir(parents=True, exist_ok=True)  # others clear temporary folders
            return method(self, *arguments, **named)
        except (*GONE, *SILENT, OSError) as error:
            self._leave_out(error)
            return None

    return call


class WandbRun(WandbLogger):
    """Lightning's W&B logger, made to own its run.

    Arguments are those of WandbLogger and, behind them, of `wandb.init`, but for two: `offline=None` decides by itself
    (`pick_mode`), and `watch` says whether gradients, parameters or both are recorded. In a trial the run has the
    trial's id, group and name; a `name` stands in front of the trial's number.

    Nothing that becomes of W&B ends a training: without a server the run is kept offline, without its service its
    record goes on in another one, and without either the training goes on unrecorded.
    """

    def __init__(
        self,
        *,
        save_dir: str,
        offline: bool | None = None,
        id: str | None = None,
        version: str | None = None,
        name: str | None = None,
        group: str | None = None,
        job_type: str | None = None,
        log_model: bool | Literal["all"] = False,
        watch: Literal["all", "gradients", "parameters"] | None = None,
        tags: str | Sequence[str] = (),
        **init: Any,
    ) -> None:
        if watch is not None and watch not in WATCHABLE:
            raise UserError(f"logger.wandb.watch={watch} is not known{did_you_mean(watch, WATCHABLE)}")
        if log_model not in (True, False, "all"):
            raise UserError(f"logger.wandb.log_model={log_model} is not known; write true, false or all.")
        parameters = [*inspect.signature(wandb.init).parameters, *inspect.signature(WandbLogger).parameters]
        for key in init.keys() - set(parameters):
            raise UserError(f"W&B's init has no argument 'logger.wandb.{key}'{did_you_mean(key, parameters)}")
        self._title, self._trial = name, (trial := current())
        if trial is not None and (id or version):
            raise UserError("logger.wandb.id names one run; remove it in a sweep, where each trial has its own.")
        # A sweep has decided for all its trials.
        self._mode: Mode = pick_mode(None if trial is not None and "WANDB_MODE" in os.environ else offline)
        if trial is not None:
            name, group = run_name(name, trial), group or trial.study
            job_type = "trial" if job_type in (None, SINGLE) else job_type
            if trial.attempt:  # W&B replaces the tags of a run that goes on, such as `interrupted`, if it is given any
                tags = [*([tags] if isinstance(tags, str) else tags), RESUMED]
            save_dir = _study_folder(save_dir, trial)
        super().__init__(
            save_dir=save_dir,
            name=name,
            group=group,
            job_type=job_type,
            id=version or id or (run_id(trial.id) if trial and trial.id else secrets.token_hex(4)),
            log_model=log_model,
            tags=[tags] if isinstance(tags, str) else list(tags),
            reinit="finish_previous",
            settings=settings(files=bool(log_model), requirements=trial is None),
            **init,
        )
        # Lightning still passes it; W&B answers with a warning.
        del self._wandb_init["anonymous"]
        self._watch = watch
        self._failover: Failover | None = None
        self._stages = self._has_left_out = False
        self._config: dict[str, Any] = {}

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The W&B run, started at first use."""
        if self._experiment is None:
            if wandb.run is not None:
                log.warning("W&B run %s was left open; it is now ended as failed.", wandb.run.id)
                wandb.run.finish(exit_code=1)
            self._experiment = self._start()
        return self._experiment

    def begin(
        self, config: Mapping[str, Any], model: LightningModule | None, facts: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Start the run, with the nested configuration, or go on with it; return what finds it again."""
        command = masked_command(self._trial.command) if self._trial else facts["command"]
        self._config = {**config, "command": command}
        title = self._title or str(config["model"]["_target_"]).rpartition(".")[2].lower()
        self._wandb_init["tags"] = list(dict.fromkeys([*self._wandb_init["tags"], *map(str, config.get("tags") or ())]))
        self._wandb_init["name"] = self._name = run_name(title, self._trial) if self._trial else title
        if "wandb" in facts:
            self._wandb_init["id"] = self._id = facts["wandb"]["id"]
        if self._trial is not None:
            self._config["sweep"] = columns(self._trial)
        run = self.experiment
        if self._trial is not None and self._trial.attempt:
            run.summary.update({"status": str(Status.RUNNING), "reason": "", "optuna/state": "RUNNING"})
        if self._watch is not None and model is not None:
            self.watch(model, log=self._watch, log_graph=False)
        where = {"id": run.id, "project": run.project, "entity": run.entity, "mode": self._mode}
        where["url"] = run.url if self._mode == "online" else None
        where["directory"] = self._directory(config) if self._failover else None
        return {"wandb": where}

    @rank_zero_only
    def conclude(self, summary: Mapping[str, Any]) -> None:
        """Add plain numbers to the run's summary."""
        try:
            self.experiment.summary.update(dict(summary))
        except (*GONE, *SILENT, OSError) as error:
            self._leave_out(error)

    @rank_zero_only
    def end(self, status: Status, reason: str = "") -> dict[str, Any]:
        """End the run, if it was ever started: with its status in its summary, and as a tag if it was cut short."""
        if self._experiment is None:
            return {}
        if status is Status.KILLED and self._trial is not None and os.environ.get("WANDB_SERVICE"):
            return {}  # whoever killed the trial knows why, and ends its run with that
        run, failover = self._experiment, self._failover
        self._experiment = None
        if self._stages:
            os.environ.pop(DATA_DIR, None)
        if failover is None:
            run.finish()
            return {"wandb": {"mode": self._mode, "kept": "nowhere"}}
        try:
            write_ending(run, status, reason, in_study=self._trial is not None)
            failover.finish(exit_code_of(status))
            kept = "partly" if self._has_left_out else failover.kept(online=self._mode == "online")
        except OSError as error:  # of its folder, which somebody took away
            log.warning("W&B: the state of the record in %s is unknown: %s", failover.directory, first_line(error))
            kept = "partly"
        if self._mode == "offline" and self._trial is None:
            where = shlex.quote(short_path(Path(self.save_dir or ".")))
            log.info("W&B: the run is offline. To upload it: python -m sweeplab.tracking.sync %s", where)
        return {"wandb": {"mode": self._mode, "kept": kept}}

    log_metrics = _optional(WandbLogger.log_metrics)
    log_hyperparams = _optional(WandbLogger.log_hyperparams)
    log_table = _optional(WandbLogger.log_table)
    log_text = _optional(WandbLogger.log_text)
    log_image = _optional(WandbLogger.log_image)
    log_audio = _optional(WandbLogger.log_audio)
    log_video = _optional(WandbLogger.log_video)
    watch = _optional(WandbLogger.watch)
    after_save_checkpoint = _optional(WandbLogger.after_save_checkpoint)
    finalize = _optional(WandbLogger.finalize)

    def _start(self) -> Any:
        self._stages = stage_artifacts(Path(self.save_dir or "."))
        for mode in ("online", "offline") if self._mode == "online" else (self._mode,):
            try:
                run = self._init(mode)
            except (*GONE, OSError, wandb.errors.Error) as error:
                log.warning("W&B: no run in mode %s: %s", mode, first_line(error))
                abandon_service()
                continue
            self._mode = mode
            if mode != "disabled":
                self._failover = Failover(run, lambda: self._init("offline", reinit="create_new", resume="allow"))
            return run
        log.warning("W&B cannot record this run; training continues without it.")
        self._mode = "disabled"
        return wandb.init(mode="disabled", settings=wandb.Settings(silent=True))

    def _init(self, mode: str, **more: Any) -> Any:
        arguments = {**self._wandb_init, "mode": mode, **more}
        if os.environ.get("WANDB_SWEEP_ID"):  # its agent has chosen them, and W&B warns of others
            arguments = {key: value for key, value in arguments.items() if key not in ("id", "project", "entity")}
        else:  # from the start, for `wandb leet` filters by what a run begins with
            arguments["config"] = self._config
        Path(self.save_dir or ".").mkdir(parents=True, exist_ok=True)
        advice = "; or write logger.wandb.offline=true." if mode == "online" else ""
        before, logging.raiseExceptions = logging.raiseExceptions, False  # on a full disk W&B cannot log, and says so
        try:
            run = begin_run(X_AXIS, advice, **arguments)
        except GONE:
            if not os.environ.get("WANDB_SERVICE"):
                raise
            forget_service()  # the sweep's has died, so this run takes one of its own
            run = begin_run(X_AXIS, advice, **arguments)
        finally:
            logging.raiseExceptions = before
        for handler in logging.getLogger("wandb").handlers:
            handler.handleError = _ignore  # type: ignore[method-assign]  # its own log is nobody's concern on a full disk
        if os.environ.get("WANDB_SWEEP_ID"):
            run.config.update(_beside_an_agents_choice(self._config, run), allow_val_change=True)
        return run

    def _leave_out(self, error: BaseException) -> None:
        if not self._has_left_out:
            log.warning("W&B: something could not be recorded: %s", first_line(error))
        self._has_left_out = True

    def _directory(self, config: Mapping[str, Any]) -> str:
        assert self._failover is not None
        return os.path.relpath(self._failover.directory, str(config.get("folder", ".")))


def _study_folder(save_dir: str, trial: Trial) -> str:
    """Return the study's folder for one below it: in one place, `wandb leet` and sync see all runs at once."""
    return str(trial.home) if trial.home and Path(save_dir).absolute().is_relative_to(trial.home) else save_dir


def _beside_an_agents_choice(config: Mapping[str, Any], run: Any) -> dict[str, Any]:
    """Leave out what a W&B agent has set and locked; the content of a group that it chose goes under `composed`."""
    chosen = config.keys() & run.config.keys() if os.environ.get("WANDB_SWEEP_ID") else set()
    rest = {key: value for key, value in config.items() if key not in chosen}
    content = {key: config[key] for key in chosen if isinstance(config[key], Mapping)}
    return rest | ({"composed": content} if content else {})


def _ignore(record: logging.LogRecord) -> None:
    """Say nothing of a line that W&B could not write into its own log."""
