"""The run of a whole sweep in W&B: its history while it goes on, its table, plots and best checkpoint at the end."""

import json
import os
from pathlib import Path
from typing import Any

import wandb
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial, TrialState

from sweeplab.records import record
from sweeplab.records.layout import RunFile
from sweeplab.records.record import Status
from sweeplab.secrets import masked_command, masked_words
from sweeplab.sweep.listener import Summary, SweepInfo, came_to, counted, counts, ending, reason, took
from sweeplab.tracking.failover import Failover
from sweeplab.tracking.metadata import exit_code_of, run_id, short_keys
from sweeplab.tracking.offline_run import mark_unsent
from sweeplab.tracking.settings import DATA_DIR, begin_run, settings, stage_artifacts
from sweeplab.tracking.study_plots import figures, importances

TRIALS = "trials"  # the x axis: how many have ended
ROWS = 10_000  # of a table; W&B shows no more
BEST = "best"


class SweepRun:
    """The sweep as a run of its own, in the group of its trials. It is the same run again when the sweep goes on."""

    def __init__(
        self, sweep: SweepInfo, mode: str, project: str | None, entity: str | None, folder: Path, checkpoint: bool
    ) -> None:
        self.sweep, self.checkpoint = sweep, checkpoint
        self._arguments: dict[str, Any] = {
            "mode": mode,
            "project": project,
            "entity": entity,
            "dir": folder,
            "id": f"{run_id(sweep.id)}-sweep",
            "name": f"{sweep.name} (sweep)",
            "group": sweep.name,
            "job_type": "sweep",
            "tags": _tags(sweep.config),
            "config": self._config(),
            "resume": "allow",
            "reinit": "create_new",
        }
        self._short = short_keys(sweep.space.keys)
        self._counts = dict.fromkeys((str(Status.COMPLETE), str(Status.PRUNED), str(Status.FAILED)), 0)
        self._best: float | None = None

    def start(self, before: Summary) -> None:
        """Start the run, or take it up where it stopped: with the counts of the trials that there are."""
        self._open()
        for trial in counted(before.trials):
            if trial.state.is_finished():
                self._count(trial)

    def go_offline(self) -> None:
        """Go on in a second part of the run, offline; what its server has not taken of the first is on the disk."""
        mark_unsent(Path(self._failover.directory))
        self._failover.abandon()
        self._arguments["mode"] = "offline"
        self._open()

    def _open(self) -> None:
        self._run = self._init()
        self._failover = Failover(self._run, lambda: self._init(mode="offline"))

    def touch(self) -> None:
        """Find out whether the service lives."""
        self._run.summary.update({"status": str(Status.RUNNING)})

    def add(self, trial: FrozenTrial) -> None:
        """Add a trial that has ended to the history, unless it goes on later."""
        if not counts(trial):
            return
        self._count(trial)
        row: dict[str, Any] = {TRIALS: sum(self._counts.values()), **self._counts}
        if trial.state is TrialState.COMPLETE:
            row["objective"] = trial.values[0]
        if self._best is not None:
            row[BEST] = self._best
        self._run.log(row)

    def end(self, summary: Summary) -> None:
        """Write what the sweep came to, and end the run: as failed if it was stopped early or has no value."""
        ours = stage_artifacts(self.sweep.folder)
        try:
            self._run.log({TRIALS: sum(self._counts.values()), "table": self._table(summary), **self._plots(summary)})
            self._run.summary.update(self._result(summary))
            if self.checkpoint and summary.best:
                self._keep_checkpoint(summary.best[0])
        finally:
            if ours:
                del os.environ[DATA_DIR]
            self._failover.finish(exit_code_of(_status(summary)))

    def _init(self, **more: Any) -> Any:
        arguments = {**self._arguments, **more}
        return begin_run(TRIALS, **arguments, settings=settings(files=self.checkpoint, requirements=True))

    def _config(self) -> dict[str, Any]:
        sweep = self.sweep
        return {
            "study": sweep.name,
            "folder": str(sweep.folder),
            "command": masked_command(sweep.resume_command),
            "fixed": masked_words(sweep.fixed_overrides),
            "space": sweep.space.describe(),
            "objectives": [{"name": one.metric, "direction": one.direction} for one in sweep.objectives],
            "sampler": _target(sweep.settings.sampler),
            "pruner": _target(sweep.settings.pruner),
            "n_trials": sweep.settings.n_trials,
        }

    def _count(self, trial: FrozenTrial) -> None:
        status = ending(trial)
        if not counts(trial):
            return
        self._counts[str(status if status in (Status.COMPLETE, Status.PRUNED) else Status.FAILED)] += 1
        if trial.state is TrialState.COMPLETE:
            rank = self.sweep.objectives[0].rank
            best = [trial.values[0], *([self._best] if self._best is not None else [])]
            self._best = min(best, key=rank)

    def _table(self, summary: Summary) -> Any:
        names = [objective.metric for objective in self.sweep.objectives]
        best = {trial.number for trial in summary.best}
        columns: list[str | int] = ["trial", "status", *names, *self._short.values()]
        columns += ["best", "steps", "seconds", "reason", "run"]
        rows, repeats = [], range(self.sweep.settings.repeats)
        for trial in summary.trials[-ROWS:]:
            values = self.sweep.space.values(trial.params)
            rows.append(
                [
                    trial.number,
                    str(ending(trial)),
                    *(came_to(trial) or [None] * len(names)),
                    *(_cell(values.get(key)) for key in self._short),
                    trial.number in best,
                    trial.last_step,
                    took(trial),
                    reason(trial),
                    " ".join(run_id(self.sweep.job_id(trial.number, repeat)) for repeat in repeats),
                ]
            )
        return wandb.Table(columns=columns, data=rows, allow_mixed_types=True)

    def _result(self, summary: Summary) -> dict[str, Any]:
        result: dict[str, Any] = {f"{TRIALS}/{status}": number for status, number in sorted(summary.endings.items())}
        result |= {"stopped": summary.stopped or "no", "slots used": summary.use}
        result["status"] = str(_status(summary))
        if not summary.best:
            return result
        first = summary.best[0]
        values = self.sweep.space.values(first.params)
        result |= {"objective": first.values[0], f"{BEST}/trial": first.number}
        result |= {f"{BEST}/{self._short.get(key, key)}": _cell(value) for key, value in values.items()}
        if len(self.sweep.objectives) > 1:
            result["pareto"] = [trial.number for trial in summary.best]
        importance = importances(self.sweep, summary)
        return result | {f"importance/{self._short.get(key, key)}": share for key, share in importance.items()}

    def _plots(self, summary: Summary) -> dict[str, Any]:
        return {f"plots/{name}": wandb.Plotly(figure) for name, figure in figures(self.sweep, summary)}

    def _keep_checkpoint(self, trial: FrozenTrial) -> None:
        folder = (self.sweep.folder_of(trial) or self.sweep.folder) / ("0" if self.sweep.settings.repeats > 1 else "")
        facts = record.read(folder) if record.is_run(folder) else {}
        path = folder / str(facts.get("checkpoint"))
        if not path.is_file():
            return
        params = self.sweep.space.values(trial.params)
        metadata = {"trial": trial.number, "objective": trial.values[0], "params": params}
        artifact = wandb.Artifact(f"{run_id(self.sweep.name)}-{BEST}", type="model", metadata=metadata)
        for file in (path, folder / RunFile.CONFIG, folder / RunFile.RECORD):
            if file.is_file():
                artifact.add_file(str(file))
        self._run.log_artifact(artifact, aliases=["latest", BEST, f"trial-{trial.number}"])


def _status(summary: Summary) -> Status:
    return Status.FAILED if summary.stopped or not summary.best else Status.COMPLETE


def _tags(config: DictConfig) -> list[str]:
    """Return the user's tags, as they are written: what asks the environment is not W&B's to know."""
    content: Any = OmegaConf.to_container(config, resolve=False)
    tags = content.get("tags")
    return [str(tag) for tag in tags] if isinstance(tags, list) else []


def _target(config: Any) -> str | None:
    return None if not config else str(config.get("_target_") or "auto").rpartition(".")[2]


def _cell(value: Any) -> Any:
    return value if isinstance(value, int | float | str | None) else json.dumps(value, default=str)
