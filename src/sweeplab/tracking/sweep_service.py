"""W&B's part of a sweep: one service for all its trials, an end for runs that have none, and the sweep's own run."""

import logging
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial

from sweeplab.build import located
from sweeplab.errors import UserError
from sweeplab.extras import check_installed
from sweeplab.records import record
from sweeplab.records.layout import StudyFile
from sweeplab.records.names import short_path
from sweeplab.sweep.listener import Job, Outcome, Summary, SweepInfo
from sweeplab.tracking.service import LATE, SharedService, service_lives, service_process, start_service

if TYPE_CHECKING:
    from sweeplab.tracking.settings import Mode
    from sweeplab.tracking.sweep_run import SweepRun

log = logging.getLogger(__name__)

LOGGERS = ("sweeplab.loggers.WandbRun", "sweeplab.tracking.wandb_run.WandbRun")
MODE = "WANDB_MODE"
NO_SERVICE = {"WANDB_SERVICE": ""}  # on a node that has the environment of this machine, as jobs of SLURM do


class SweepService(SharedService):
    """Starts the service before the trials, ends the runs that they leave open, and records the sweep as a run.

    Does nothing where no trial logs to W&B. `checkpoint` says whether the best checkpoint becomes an artifact of the
    sweep's run.
    """

    def __init__(self, checkpoint: bool = True) -> None:
        self.checkpoint = checkpoint
        self._mode: Mode | None = None
        self._is_elsewhere = False  # trials run on a cluster, whose nodes have services of their own
        self._run: SweepRun | None = None
        self._abandoned_service: psutil.Process | None = None
        self._unrecorded: list[FrozenTrial] = []

    def preview(self, sweep: SweepInfo) -> str:
        """Return a file for `wandb sweep`, which searches the same space by W&B's own means."""
        from sweeplab.tracking.agent_sweep import agent_sweep

        entry = logger_of(sweep) or {}
        return agent_sweep(sweep, str(entry.get("project", "sweeplab")), entry.get("entity"))

    def preload(self, sweep: SweepInfo) -> Sequence[str]:
        """Spare each trial what W&B imports late."""
        return LATE if logger_of(sweep) is not None else ()

    def sweep_started(self, sweep: SweepInfo, before: Summary, is_only_controller: bool) -> None:
        """Decide for all trials whether they are online, start their service, and the sweep's run."""
        entry = logger_of(sweep)
        if entry is None:
            return
        check_installed("wandb")
        from sweeplab.tracking.settings import pick_mode

        self._mode = pick_mode(entry.get("offline"))
        if self._mode == "disabled":
            return
        self._is_elsewhere = sweep.settings.cluster is not None
        start_service()
        if is_only_controller and sweep.settings.executor != "inline":  # there each trial ends what runs in its process
            self._run = self._sweep_run(sweep, entry, before)
            if self._mode == "online":
                self._save_view(sweep, entry)

    def environment(self, job: Job) -> Mapping[str, str]:
        """Tell a trial of the mode and the service, which is started again if it has died."""
        if self._mode in (None, "disabled"):
            return {}
        if not service_lives():
            log.warning("W&B: its service has died; the next trials get another one.")
            if self._run is not None:
                self._run.touch()  # which starts one for itself
        return {MODE: str(self._mode), **(NO_SERVICE if self._is_elsewhere else super().environment(job))}

    def trial_ended(self, job: Job, outcome: Outcome) -> None:
        """End the run of a process that could not do it; keep further ones offline if this one found no server."""
        facts = _wandb_facts(job)
        if self._mode in (None, "disabled") or facts is None:
            return
        if self._is_elsewhere:  # its service was on its node
            self.trial_lost(job, outcome)
        elif "kept" not in facts:
            self._close(facts["id"], outcome)
        if self._mode == "online" and (facts["mode"] == "offline" or facts.get("kept") == "disk"):
            self._go_offline()

    def trial_lost(self, job: Job, outcome: Outcome) -> None:
        """Give the run that a dead controller left open its ending: in a second part, which W&B adds to the first."""
        facts = _wandb_facts(job)
        if self._mode in (None, "disabled") or facts is None or "kept" in facts:
            return
        import wandb

        from sweeplab.tracking.offline_run import mark_unsent
        from sweeplab.tracking.settings import settings

        if facts["mode"] == "online":
            mark_unsent(job.folder / facts["directory"])
        ending = settings(files=False, requirements=False)
        # Its folder is named after the second; the next attempt, on another node, may begin in the same one.
        ending.x_sync_dir_suffix = "ending"
        self._finish(
            wandb.init(
                id=facts["id"],
                project=facts["project"],
                entity=facts["entity"] or None,
                dir=job.home,
                mode=self._mode,
                resume="allow",
                reinit="create_new",
                settings=ending,
            ),
            outcome,
        )

    def trial_told(self, trial: FrozenTrial, counts: bool) -> None:
        """Add a trial to the history of the sweep."""
        if self._run is not None:
            self._run.add(trial)
        else:
            self._unrecorded.append(trial)

    def sweep_ended(self, sweep: SweepInfo, summary: Summary) -> None:
        """Write what the sweep came to, and end the service; a run that is still open ends as failed."""
        entry = logger_of(sweep)
        if entry is None or self._mode in (None, "disabled"):
            return
        import wandb

        try:
            self._conclude(sweep, entry, summary)
        finally:
            wandb.teardown(exit_code=1)
            if self._abandoned_service is not None:  # it would wait for its server until the very end
                self._abandoned_service.kill()
        if self._mode == "offline":
            where = shlex.join(map(short_path, dict.fromkeys((sweep.folder, _runs_folder(sweep, entry)))))
            log.info("W&B: the runs are offline. To upload them: python -m sweeplab.tracking.sync %s", where)

    def _conclude(self, sweep: SweepInfo, entry: Mapping[str, Any], summary: Summary) -> None:
        if self._run is None and not summary.running:  # the controller that began is gone
            unrecorded = {trial.number for trial in self._unrecorded}
            earlier = [trial for trial in summary.trials if trial.number not in unrecorded]
            self._run = self._sweep_run(sweep, entry, replace(summary, trials=earlier))
            for trial in self._unrecorded:
                self._run.add(trial)
        if self._run is not None:
            self._run.end(summary)
            if self._mode == "offline":
                self._save_view(sweep, entry)

    def _save_view(self, sweep: SweepInfo, entry: Mapping[str, Any]) -> None:
        """Leave a view of the study, for its dashboard or for the upload."""
        from sweeplab.tracking import view

        if not view.available():
            log.info("W&B: no saved view of the study; pip install 'sweeplab[views]' makes them.")
            return
        path = sweep.folder / StudyFile.WANDB_VIEW
        view.save(sweep, str(entry.get("project") or "uncategorized"), str(entry.get("entity") or ""), path)
        if self._mode == "online":
            try:
                log.info("W&B: a view of the study is at %s", view.push(path))
            except UserError as error:  # a sweep is more than its view
                log.warning("W&B: no saved view of the study: %s", error)

    def _go_offline(self) -> None:
        """Keep all that is to come offline, in a service that waits for nobody."""
        log.warning("W&B: the server is gone, so what follows is kept offline.")
        from sweeplab.tracking.failover import abandon_service

        self._mode = "offline"
        self._abandoned_service = service_process()
        abandon_service()
        start_service()
        if self._run is not None:
            self._run.go_offline()

    def _sweep_run(self, sweep: SweepInfo, entry: Mapping[str, Any], before: Summary) -> "SweepRun":
        from sweeplab.tracking.sweep_run import SweepRun

        where = (entry["project"], entry["entity"], _runs_folder(sweep, entry))
        run = SweepRun(sweep, str(self._mode), *where, self.checkpoint)
        run.start(before)
        return run

    def _close(self, run_id: str, outcome: Outcome) -> None:
        import wandb

        try:
            run = wandb._attach(attach_id=run_id)  # type: ignore[attr-defined]  # as Lightning calls it
        except wandb.errors.UsageError:  # the service it was in is gone
            return
        self._finish(run, outcome)

    def _finish(self, run: Any, outcome: Outcome) -> None:
        from sweeplab.tracking.metadata import exit_code_of, write_ending

        write_ending(run, outcome.status, outcome.reason, in_study=True)
        run.finish(exit_code=exit_code_of(outcome.status))


def logger_of(sweep: SweepInfo) -> dict[str, Any] | None:
    """Return what the configuration of W&B's logger says of where runs go; None if the trials share no such logger."""
    first = next(_loggers(OmegaConf.to_container(sweep.config, resolve=False), ()), None)
    if first is None:
        return None
    path, logger = first
    chosen = {key: OmegaConf.select(sweep.config, ".".join((*path, key))) for key in ("project", "entity", "offline")}
    return chosen | {"save_dir": logger.get("save_dir")}  # as it is written: each trial has a value of its own


def _loggers(config: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    if isinstance(config, Mapping):
        if _is_ours(config.get("_target_"), path):
            yield path, config
        for key, value in config.items():
            yield from _loggers(value, (*path, str(key)))


def _is_ours(target: Any, path: Sequence[str]) -> bool:
    """Say whether a logger is WandbRun or derived from it; only somebody else's has to be imported to know."""
    if target in LOGGERS or path[:1] != ("logger",) or not isinstance(target, str):
        return target in LOGGERS
    if target.startswith(("sweeplab.", "lightning.")):
        return False
    from sweeplab.tracking.wandb_run import WandbRun

    try:
        kind = located(target, "logger")
    except UserError:  # the trials will say so
        return False
    return isinstance(kind, type) and issubclass(kind, WandbRun)


def _runs_folder(sweep: SweepInfo, entry: Mapping[str, Any]) -> Path:
    """Return where the runs lie: in the study's folder, unless the user has chosen one for all."""
    chosen = str(entry["save_dir"] or "${")
    return sweep.folder if "${" in chosen else Path(chosen).absolute()


def _wandb_facts(job: Job) -> dict[str, Any] | None:
    """Return what a run's record says of W&B."""
    facts: dict[str, Any] | None = (record.as_left(job.folder) or {}).get("wandb")
    return facts
