"""One factor at a time: a base configuration, and what becomes of it when a single key has another value."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from optuna.distributions import CategoricalDistribution

from sweeplab.errors import UserError
from sweeplab.sweep.space.domain import labels
from sweeplab.sweep.space.parameter import Parameter
from sweeplab.sweep.space.space import DefaultOf, Space
from sweeplab.sweep.space.values import Value, index_of, override, text


def around_base(space: Space, default_of: DefaultOf, seed_key: str) -> Space:
    """Return the part of a space that lies around the base, which is `default_of` each key.

    A base value that the user did not list is the first of its key's; the seed is no factor, and keeps its own. What
    is searched under conditions that do not hold at the base stays as the configuration has it.

    Raises:
        UserError: a parameter that has no end, or no value to begin with.
    """
    parameters = space.active({}, default_of)
    for parameter in parameters:
        if parameter.points is None:
            raise UserError(
                f"{parameter.key}={parameter.text} is infinite, and one_at_a_time tries every value; "
                "list them with choice() or range()."
            )
    return replace(space, parameters=tuple(p if p.key == seed_key else _with(p, default_of(p.key)) for p in parameters))


def variants(space: Space, default_of: DefaultOf, seed_key: str) -> Iterator[dict[str, Value]]:
    """Return the points of a space around the base: the base, then each other value by itself, each under all seeds."""
    base = {parameter.key: default_of(parameter.key) for parameter in space.parameters if parameter.key != seed_key}
    seeds = [seed for parameter in space.parameters if parameter.key == seed_key for seed in parameter.points or ()]
    for point in (base, *_changed(space.parameters, base)):
        for seed in seeds or (None,):
            whole = point if seed is None else {**point, seed_key: seed}
            yield {parameter.key: whole[parameter.key] for parameter in space.active(whole, default_of)}


def _changed(parameters: Sequence[Parameter], base: dict[str, Value]) -> Iterator[dict[str, Value]]:
    for parameter in parameters:
        points = (parameter.points or ()) if parameter.key in base else ()
        unchanged = index_of(base.get(parameter.key), points)
        for number, value in enumerate(points):
            if number != unchanged:
                yield {**base, parameter.key: value}


def _with(parameter: Parameter, base: Any) -> Parameter:
    """Return a parameter that has its base value among its points."""
    points = parameter.points or ()
    if base is None and parameter.prefix:
        raise UserError(
            f"{override(parameter.key, points[0])} has no base value, and one_at_a_time needs one; "
            f"give {parameter.key} a value in the configuration."
        )
    if index_of(base, points) is not None:
        return parameter
    wider = [base, *points]
    words = f"choice({','.join(map(text, wider))})"
    return replace(parameter, distribution=CategoricalDistribution(labels(wider)), points=wider, text=words)
