"""What a sweep leaves in its folder: `sweep.json`, `optimization_results.yaml`, `best.yaml`, `trials.csv`."""

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from sweeplab.records.files import cells, write_text
from sweeplab.records.layout import StudyFile
from sweeplab.records.record import Status
from sweeplab.records.study import Axis, Study
from sweeplab.secrets import masked, masked_command, masked_config
from sweeplab.sweep.config.trial_config import parse
from sweeplab.sweep.space.parameter import Parameter
from sweeplab.sweep.space.space import Space
from sweeplab.sweep.space.values import Value, same_type
from sweeplab.sweep.spec import SweepSpec
from sweeplab.sweep.study.client import StudyClient
from sweeplab.sweep.study.study import fixed_of
from sweeplab.sweep.study.trials import (
    NO_VALUE,
    attempts,
    beginning,
    came_to,
    counted,
    ending,
    folder_of,
    reason,
    took,
)


def describe(spec: SweepSpec, total: int | None) -> Study:
    """Return what `sweep.json` tells of a sweep; `total` is the number of trials that make it complete."""
    settings = spec.settings
    return Study(
        name=spec.name,
        command=masked_command(spec.resume_command),
        objectives=[{"metric": objective.metric, "mode": objective.mode} for objective in spec.objectives],
        axes=axes(spec.space),
        seed_key=settings.repeat_key,
        n_trials=total,
        one_at_a_time=settings.one_at_a_time,
        storage=None if settings.storage is None else masked(str(settings.storage)),
    )


def axes(space: Space) -> dict[str, Axis]:
    """Return what each key is searched in, whatever the conditions."""
    return {key: _axis([p for p in space.parameters if p.key == key]) for key in space.keys}


def _axis(parameters: Sequence[Parameter]) -> Axis:
    """Return the choices of all, or from the lowest to the highest number where one of them is a span of numbers."""
    numbers: list[float] = []
    choices: list[Value] = []
    logs: list[bool] = []
    for parameter in parameters:
        match parameter.distribution:
            case IntDistribution(low=low, high=high, log=log) | FloatDistribution(low=low, high=high, log=log):
                numbers += [low, high]
                logs.append(log)
            case CategoricalDistribution():
                for value in parameter.points or ():
                    choices += [] if any(same_type(value, other) for other in choices) else [value]
    if not numbers:
        # JSON has no infinite numbers: they are words, as on the command line.
        return Axis(choices=json.loads(json.dumps(choices), parse_constant=lambda word: str(float(word))))
    numbers += [n for n in choices if isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n)]
    return Axis(low=min(numbers), high=max(numbers), log=all(logs))


@dataclass(frozen=True)
class Summary:
    """What a sweep came to: its trials, how many ended how, and the best of them (several for several objectives).

    `rerun_overrides` are the overrides that run each of the best again.
    """

    trials: Sequence[FrozenTrial]
    endings: Counter[str]
    best: Sequence[FrozenTrial]
    rerun_overrides: Mapping[int, Sequence[str]]
    running: int
    total: int | None
    stopped: str = ""
    use: float | None = None

    @property
    def met(self) -> bool:
        """Whether the budget was met, with at least one value if there is an objective."""
        done = bool(self.best) or any(NO_VALUE in trial.user_attrs for trial in self.trials)
        return done and not self.stopped and (self.total is None or self._ended + self.running >= self.total)

    @property
    def progress(self) -> int:
        """A number that each ended trial, and each step that is reported for the first time, makes larger."""
        return self._ended + sum(len(trial.intermediate_values) for trial in self.trials)

    @property
    def _ended(self) -> int:
        return sum(self.endings.values()) - self.endings[Status.INTERRUPTED]


def summarize(spec: SweepSpec, client: StudyClient, total: int | None, stopped: str, use: float | None) -> Summary:
    """Return what the study holds now."""
    every = client.trials()
    trials = [trial for trial in every if trial.state is not TrialState.WAITING or attempts(trial)]
    endings = Counter(str(ending(trial)) for trial in counted(every) if trial.state.is_finished())
    running = sum(trial.state is TrialState.RUNNING for trial in trials)
    best = _best(spec, client)
    rerun_overrides = {
        trial.number: spec.rerun_overrides(
            spec.space.values(trial.params), fixed=fixed_of(client.study, trial.number, spec)
        )
        for trial in best
    }
    return Summary(trials, endings, best, rerun_overrides, running, total, stopped, use)


def _best(spec: SweepSpec, client: StudyClient) -> list[FrozenTrial]:
    done = [t for t in client.trials() if t.state is TrialState.COMPLETE and NO_VALUE not in t.user_attrs]
    feasible = [trial for trial in done if all(value <= 0 for value in trial.constraints.values())]
    if len(spec.objectives) > 1:
        front = client.study.best_trials if feasible else []
        return sorted(front, key=lambda trial: spec.objectives[0].rank(trial.values[0]))
    return sorted(feasible, key=lambda trial: spec.objectives[0].rank(trial.values[0]))[:1]


def write_results(spec: SweepSpec, summary: Summary) -> None:
    """Write the files; each is whole or not there."""
    write_text(spec.folder / StudyFile.TRIALS, _table(spec, summary.trials))
    if not summary.best:
        return
    results = OmegaConf.create(masked_config(_results(spec, summary.best)))
    write_text(spec.folder / StudyFile.RESULTS, OmegaConf.to_yaml(results))
    write_text(spec.folder / StudyFile.BEST, _experiment(spec, summary))


def _results(spec: SweepSpec, best: Sequence[FrozenTrial]) -> dict[str, Any]:
    """The format of hydra-optuna-sweeper."""
    if len(spec.objectives) == 1:
        return {"name": "optuna", "best_params": spec.space.values(best[0].params), "best_value": best[0].value}
    solutions = [{"params": spec.space.values(trial.params), "values": list(trial.values)} for trial in best]
    return {"name": "optuna", "solutions": solutions}


def _experiment(spec: SweepSpec, summary: Summary) -> str:
    """The winning configuration as a file that `experiment=` loads: its choices, and its values."""
    trial = summary.best[0]
    parsed = parse(summary.rerun_overrides[trial.number])
    choices = [o for o in parsed if spec.config_snapshot.is_group(o.key_or_group) and isinstance(o.value(), str | list)]
    values = OmegaConf.create()
    for override in parsed:
        if override not in choices and not override.is_delete():
            OmegaConf.update(values, override.key_or_group, override.value(), force_add=True)
    defaults = [{f"override /{choice.key_or_group}": choice.value()} for choice in choices]
    head = f"# @package _global_\n# Trial {trial.number} of {spec.name}: {_values(spec, trial)}\n"
    text = OmegaConf.to_yaml(OmegaConf.create({"defaults": defaults})) if defaults else ""
    plain = masked_config(OmegaConf.to_container(values, resolve=False))
    return head + text + (OmegaConf.to_yaml(OmegaConf.create(plain)) if plain else "")


def _values(spec: SweepSpec, trial: FrozenTrial) -> str:
    return ", ".join(f"{o.metric} {value:.6g}" for o, value in zip(spec.objectives, trial.values, strict=True))


def _table(spec: SweepSpec, trials: Sequence[FrozenTrial]) -> str:
    keys = spec.space.keys
    extra = list(dict.fromkeys(k for t in trials for k in spec.space.values(t.params) if k not in keys))
    names = [objective.metric for objective in spec.objectives]
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(
        cells(["number", "status", "counts", *names, *keys, *extra, "steps", "seconds", "started", "folder", "reason"])
    )
    of_the_budget = {trial.number for trial in counted(trials)}
    for trial in trials:
        values = spec.space.values(trial.params)
        given = came_to(trial) or [None] * len(names)
        began = beginning(trial)
        row = [
            trial.number,
            ending(trial),
            trial.number in of_the_budget,
            *given,
            *(values.get(key) for key in (*keys, *extra)),
            trial.last_step,
            took(trial),
            began and began.isoformat(timespec="seconds"),
            str(folder_of(trial, spec.folder) or ""),
            reason(trial),
        ]
        rows.writerow(cells(row))
    return out.getvalue()
