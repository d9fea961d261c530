"""The run of a whole sweep in W&B: its history while it goes on, its table, plots and best checkpoint at the end."""

import json
import logging
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import wandb
from optuna.trial import FrozenTrial, TrialState

from sweeplab.runs import record
from sweeplab.runs.record import Status
from sweeplab.sweep.plan import Plan
from sweeplab.sweep.results import Summary, ending, folder_of
from sweeplab.tracking.lifeline import Lifeline
from sweeplab.tracking.names import run_id, short_keys
from sweeplab.tracking.settings import DATA_DIR, settings, stage_artifacts
from sweeplab.tracking.sync import UNSENT

log = logging.getLogger(__name__)

TRIALS = "trials"  # the x axis: how many have ended
ROWS = 10_000  # of a table; W&B shows no more
BEST = "best"


class SweepRun:
    """The sweep as a run of its own, in the group of its trials. It is the same run again when the sweep goes on."""

    def __init__(self, plan: Plan, mode: str, project: str | None, entity: str | None, checkpoint: bool) -> None:
        self.plan, self.checkpoint = plan, checkpoint
        self._arguments: dict[str, Any] = {
            "mode": mode,
            "project": project,
            "entity": entity,
            "dir": plan.folder,
            "id": f"{run_id(plan.id)}-sweep",
            "name": f"{plan.name} (sweep)",
            "group": plan.name,
            "job_type": "sweep",
            "config": self._config(),
            "resume": "allow",
            "reinit": "create_new",
        }
        self._short = short_keys(plan.space.keys)
        self._counts = dict.fromkeys((str(Status.COMPLETE), str(Status.PRUNED), str(Status.FAILED)), 0)
        self._best: float | None = None

    def start(self, before: Summary) -> None:
        """Start the run, or take it up where it stopped: with the counts of the trials that there are."""
        self._open()
        for trial in before.trials:
            if trial.state.is_finished():
                self._count(trial)

    def go_offline(self) -> None:
        """Go on in a second part of the run, offline; what its server has not taken of the first is on the disk."""
        (Path(self._lifeline.directory) / UNSENT).touch()
        self._lifeline.cut()
        self._arguments["mode"] = "offline"
        self._open()

    def _open(self) -> None:
        self._run = self._init()
        self._lifeline = Lifeline(self._run, lambda: self._init(mode="offline"))

    def touch(self) -> None:
        """Find out whether the service lives."""
        self._run.summary.update({"status": str(Status.RUNNING)})

    def told(self, trial: FrozenTrial, counts: bool) -> None:
        """Add a trial that has ended to the history."""
        if not counts:
            return
        self._count(trial)
        row: dict[str, Any] = {TRIALS: sum(self._counts.values()), "number": trial.number, **self._counts}
        if trial.state is TrialState.COMPLETE:
            row["objective"] = trial.values[0]
        if self._best is not None:
            row[BEST] = self._best
        self._run.log(row)

    def end(self, summary: Summary) -> None:
        """Write what the sweep came to, and end the run; one that was stopped before its budget ends as failed."""
        ours = stage_artifacts(self.plan.folder)
        try:
            self._run.log({TRIALS: sum(self._counts.values()), "table": self._table(summary), **self._plots(summary)})
            self._run.summary.update(self._result(summary))
            if self.checkpoint and summary.best:
                self._keep_checkpoint(summary.best[0])
        finally:
            if ours:
                del os.environ[DATA_DIR]
            self._run.tags = (str(Status.INTERRUPTED),) if summary.stopped == "interrupted" else ()
            self._lifeline.finish(exit_code=1 if summary.stopped else 0)

    def _init(self, **more: Any) -> Any:
        run = wandb.init(**{**self._arguments, **more}, settings=settings(files=self.checkpoint, requirements=True))
        run.define_metric(TRIALS)
        run.define_metric("*", step_metric=TRIALS, step_sync=True)
        return run

    def _config(self) -> dict[str, Any]:
        plan = self.plan
        return {
            "study": plan.name,
            "folder": str(plan.folder),
            "command": plan.again,
            "fixed": list(plan.fixed),
            "space": plan.space.describe(),
            "objectives": [{"name": one.name, "direction": one.word} for one in plan.objectives],
            "sampler": _target(plan.settings.sampler),
            "pruner": _target(plan.settings.pruner),
            "n_trials": plan.settings.n_trials,
        }

    def _count(self, trial: FrozenTrial) -> None:
        status = ending(trial)
        if status is Status.INTERRUPTED:
            return
        self._counts[str(status if status in (Status.COMPLETE, Status.PRUNED) else Status.FAILED)] += 1
        if trial.state is TrialState.COMPLETE:
            rank = self.plan.objectives[0].rank
            best = [trial.values[0], *([self._best] if self._best is not None else [])]
            self._best = min(best, key=rank)

    def _table(self, summary: Summary) -> Any:
        names = [objective.name for objective in self.plan.objectives]
        best = {trial.number for trial in summary.best}
        columns: list[str | int] = [
            "trial",
            "status",
            *names,
            *self._short.values(),
            "best",
            "steps",
            "seconds",
            "reason",
            "run",
        ]
        rows = []
        for trial in summary.trials[-ROWS:]:
            values = self.plan.space.values(trial.params)
            seconds = trial.duration and round(trial.duration.total_seconds(), 3)
            rows.append(
                [
                    trial.number,
                    str(ending(trial)),
                    *(trial.values or [None] * len(names)),
                    *(_cell(values.get(key)) for key in self._short),
                    trial.number in best,
                    trial.last_step,
                    seconds,
                    trial.user_attrs.get("reason"),
                    run_id(f"{self.plan.id}-{trial.number:04d}"),
                ]
            )
        return wandb.Table(columns=columns, data=rows, allow_mixed_types=True)

    def _result(self, summary: Summary) -> dict[str, Any]:
        result: dict[str, Any] = {f"{TRIALS}/{status}": number for status, number in sorted(summary.endings.items())}
        result |= {"stopped": summary.stopped or "no", "slots used": summary.use}
        result["status"] = str(Status.FAILED if summary.stopped else Status.COMPLETE)
        if not summary.best:
            return result
        first = summary.best[0]
        values = self.plan.space.values(first.params)
        result |= {"objective": first.values[0], f"{BEST}/trial": first.number}
        result |= {f"{BEST}/{self._short.get(key, key)}": _cell(value) for key, value in values.items()}
        if len(self.plan.objectives) > 1:
            result["pareto"] = [trial.number for trial in summary.best]
        return result | {f"importance/{key}": share for key, share in self._importances(summary).items()}

    def _importances(self, summary: Summary) -> dict[str, float]:
        study = _study(self.plan, summary)
        try:
            found = optuna.importance.get_param_importances(
                study,
                evaluator=optuna.importance.PedAnovaImportanceEvaluator(),
                target=(lambda trial: float(trial.values[0])) if len(self.plan.objectives) > 1 else None,
            )
        except (ValueError, RuntimeError) as error:  # too few trials, or all of them alike
            log.info("W&B: no importances: %s", error)
            return {}
        keys = {parameter.name: parameter.key for parameter in self.plan.space.parameters}
        shares = {self._short.get(keys.get(name, name), name): float(share) for name, share in found.items()}
        return {name: share for name, share in shares.items() if math.isfinite(share)}

    def _plots(self, summary: Summary) -> dict[str, Any]:
        return {f"plots/{name}": wandb.Plotly(figure) for name, figure in figures(self.plan, summary)}

    def _keep_checkpoint(self, trial: FrozenTrial) -> None:
        folder = folder_of(self.plan, trial) / ("0" if self.plan.settings.repeats > 1 else "")
        facts = record.read(folder) if record.is_run(folder) else {}
        path = folder / str(facts.get("checkpoint"))
        if not path.is_file():
            return
        known = {"trial": trial.number, "objective": trial.values[0], "params": self.plan.space.values(trial.params)}
        artifact = wandb.Artifact(f"{run_id(self.plan.name)}-{BEST}", type="model", metadata=known)
        for file in (path, folder / "config.yaml", folder / record.FILE):
            if file.is_file():
                artifact.add_file(str(file))
        self._run.log_artifact(artifact, aliases=["latest", BEST, f"trial-{trial.number}"])


def figures(plan: Plan, summary: Summary) -> Iterator[tuple[str, Any]]:
    """Return Optuna's plots of a study, by name; those that its trials are too few for are left out."""
    from optuna import visualization

    study = _study(plan, summary)
    names = [objective.name for objective in plan.objectives]
    many = len(names) > 1
    target: dict[str, Any] = {"target_name": names[0]}
    if many:
        target["target"] = lambda trial: trial.values[0]
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    plots: dict[str, Callable[[], Any]] = {
        "history": lambda: visualization.plot_optimization_history(study, **target),
        "importance": lambda: visualization.plot_param_importances(study, evaluator=evaluator, **target),
        "parallel coordinates": lambda: visualization.plot_parallel_coordinate(study, **target),
        "slices": lambda: visualization.plot_slice(study, **target),
    }
    if many:
        plots["pareto front"] = lambda: visualization.plot_pareto_front(study, target_names=names)
    if not any(trial.state is TrialState.COMPLETE for trial in study.trials) or not plan.space.keys:
        return
    for name, plot in plots.items():
        try:
            yield name, plot()
        except (ValueError, RuntimeError) as error:
            log.info("W&B: no plot of %s: %s", name, error)


def _study(plan: Plan, summary: Summary) -> optuna.Study:
    """Return a copy of the study that is ours alone, without what is under way."""
    study = optuna.create_study(directions=[objective.direction for objective in plan.objectives])
    study.add_trials([trial for trial in summary.trials if trial.state.is_finished()])
    return study


def _target(config: Any) -> str | None:
    return None if not config else str(config.get("_target_") or "auto").rpartition(".")[2]


def _cell(value: Any) -> Any:
    return value if isinstance(value, int | float | str | None) else json.dumps(value, default=str)
