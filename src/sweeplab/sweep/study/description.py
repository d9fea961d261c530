"""What a sweep is, in the words of the study's `sweep.json`."""

from collections.abc import Sequence

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from sweeplab.records.study import Axis, Study
from sweeplab.secrets import masked, masked_command
from sweeplab.sweep.space.parameter import Parameter
from sweeplab.sweep.space.space import Space
from sweeplab.sweep.space.values import Value, same_type
from sweeplab.sweep.spec import SweepSpec


def describe(spec: SweepSpec, total: int | None) -> Study:
    """Return what the folder of a sweep tells of it; `total` is the number of trials that make it complete."""
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
                for value in parameter.values() or ():
                    choices += [] if any(same_type(value, known) for known in choices) else [value]
    if not numbers:
        return Axis(choices=choices)
    numbers += [value for value in choices if isinstance(value, int | float) and not isinstance(value, bool)]
    return Axis(low=min(numbers), high=max(numbers), log=all(logs))
