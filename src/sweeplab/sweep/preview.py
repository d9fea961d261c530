"""What a sweep would do, without doing it."""

from collections.abc import Callable, Mapping
from typing import Any

import optuna

from sweeplab.sweep.spec import SweepSpec, single_run
from sweeplab.sweep.study.client import Points

SAMPLES = 3


def preview(
    spec: SweepSpec,
    study: optuna.Study,
    suggest: Callable[[optuna.Trial], Mapping[str, Any]],
    points: Points | None,
    facts: Mapping[str, Any],
) -> str:
    """Return the space, the budget, and three trials with the commands that would run them alone."""
    size = spec.size()
    lines = [f"study {spec.name} in {spec.folder}", "", "space"]
    lines += [f"  {_line(parameter)}" for parameter in spec.space.parameters] or ["  nothing is searched"]
    lines += [f"  {'no end' if size is None else f'{size} points'} in all", "", "budget"]
    lines += [f"  {name}: {value}" for name, value in facts.items()]
    lines += ["", "trials" if points is not None else "trials, as the sampler draws them at the start"]
    for _ in range(SAMPLES):
        if points is not None:
            following = points.following(study.get_trials(deepcopy=False))
            if following is None:
                break
            study.enqueue_trial(dict(following))
        lines.append(f"  {single_run(spec.rerun_overrides(suggest(study.ask())))}")
    return "\n".join(lines)


def _line(parameter: Any) -> str:
    when = ", ".join(f"{key}={value}" for key, value in parameter.conditions)
    return f"{parameter.key}: {parameter.text}" + (f"  (when {when})" if when else "")
