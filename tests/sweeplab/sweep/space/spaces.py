"""Search spaces as the tests write them, of groups that are made up."""

from collections.abc import Callable, Mapping
from typing import Any

import optuna

from sweeplab.sweep.space.parameter import Parameter
from sweeplab.sweep.space.space import Space

optuna.logging.set_verbosity(optuna.logging.WARNING)
GROUPS = {"model": ["cnn", "gru", "mlp"], "optimizer": ["adam", "sgd"]}


def options(group: str) -> list[str]:
    return GROUPS.get(group, [])


def parse(params: Mapping[str, Any] | None = None, *arguments: str) -> Space:
    space, _ = Space.parse(params or {}, arguments, options)
    return space


def one(written: str) -> Parameter:
    (parameter,) = parse({}, f"x={written}").parameters
    return parameter


def nothing(key: str) -> Any:
    raise KeyError(key)


def knows(**values: Any) -> Callable[[str], Any]:
    return values.__getitem__


def study() -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
