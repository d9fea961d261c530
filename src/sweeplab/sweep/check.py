"""What can be known to be wrong before the first trial."""

import itertools
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from optuna.distributions import CategoricalDistribution, FloatDistribution

from sweeplab.errors import UserError
from sweeplab.records.links import select
from sweeplab.records.objective import Objective
from sweeplab.secrets import masked_values
from sweeplab.sweep.config import pickled
from sweeplab.sweep.config.functions import function
from sweeplab.sweep.config.hydra_job import current
from sweeplab.sweep.config.objectives import objectives
from sweeplab.sweep.config.settings import Settings
from sweeplab.sweep.limits import check_limits
from sweeplab.sweep.space.parameter import Parameter
from sweeplab.sweep.space.space import check_searchable
from sweeplab.sweep.spec import Plan
from sweeplab.sweep.study.compatibility import flat

MOST = 64  # combinations of group choices that are composed; of more, each choice once


def check_plan(plan: Plan) -> None:
    """Find the mistakes in a plan that the configuration alone can tell.

    Raises:
        UserError: the first mistake found.
    """
    _check_settings(plan.settings)
    check_limits(plan.settings)
    if not str(plan.base.hydra.launcher._target_).endswith(".BasicLauncher"):
        raise UserError("trials are started by hydra.sweeper.executor; for hydra/launcher choose hydra/sweeper=basic.")
    _check_task(plan)
    for key in plan.space.keys:
        check_searchable(key, plan.settings.sweep_keys)
    _check_repeats(plan)
    _check_walk(plan)
    for point in plan.points() if plan.settings.one_at_a_time else _points(plan):
        _check_point(plan, point)


def _check_settings(settings: Settings) -> None:
    """Make sure that what may be several kinds of things is one of them."""
    parts = {"sampler": settings.sampler, "pruner": settings.pruner}
    parts |= {f"listeners.{name}": listener for name, listener in settings.listeners.items()}
    for name, part in parts.items():
        if part is not None and not isinstance(part, Mapping):
            choose = f"; write hydra/sweeper/{name}={part}" if name in ("sampler", "pruner") else ""
            raise UserError(f"hydra.sweeper.{name}={part} is not a description: it has no _target_{choose}.")
    for place, point in enumerate(settings.enqueue):
        if not isinstance(point, Mapping):
            raise UserError(f"hydra.sweeper.enqueue[{place}]={point} is not a point; write {{key: value, ...}}.")
    if not isinstance(settings.storage, str | Mapping | None):
        raise UserError(f"hydra.sweeper.storage={settings.storage} is not a URL, such as sqlite:///study.db.")


def _check_task(plan: Plan) -> None:
    forks = plan.settings.executor == "local" and "forkserver" in multiprocessing.get_all_start_methods()
    inside = [kind.__name__ for kind in pickled.inside.values()]
    if not plan.task.module:
        inside.insert(0, plan.task.name)
    if inside and not forks and plan.settings.executor != "inline":
        raise UserError(
            f"no other process can import {inside[0]}; define it at the top of its module, under that name, "
            "or run the trials in this process with hydra.sweeper.executor=inline."
        )


def _check_same_sweep(plan: Plan, point: Mapping[str, Any], config: DictConfig) -> None:
    """Make sure that a point is judged as all others are, and leaves the sweep what it is."""
    chosen, master = " ".join(plan.space.overrides(point)), plan.frozen.master
    if (found := objectives(config, plan.settings.direction)) != plan.objectives:
        raise UserError(
            f"with {chosen} trials are judged by {_named(found)}, and others by {_named(plan.objectives)}: "
            "all need one objective; make a sweep of each, or give objective.metric and objective.mode for all."
        )
    settings = (OmegaConf.to_container(each.hydra.sweeper, resolve=False) for each in (config, master))
    own, others = (dict(flat(masked_values(each))) for each in settings)
    if changed := [key for key in {**own, **others} if own.get(key) != others.get(key)]:
        raise UserError(
            f"{chosen} sets hydra.sweeper.{changed[0]}, which belongs to the sweep and is not searched; "
            "set it on the command line or in a sweep=, or make a sweep of each."
        )
    if Path(str(config.hydra.sweep.dir)).absolute() != plan.folder:
        raise UserError(
            f"{chosen} sets hydra.sweep.dir={config.hydra.sweep.dir}, but all trials of a sweep lie in one folder: "
            f"{plan.folder}; make a sweep of each."
        )


def _named(objectives: Sequence[Objective]) -> str:
    return " and ".join(f"{objective.metric} ({objective.mode})" for objective in objectives)


def _check_repeats(plan: Plan) -> None:
    key = plan.settings.repeat_key
    if plan.settings.repeats == 1:
        return
    if any(parameter.key == key for parameter in plan.space.parameters):
        raise UserError(
            f"{key} is searched, and hydra.sweeper.repeats={plan.settings.repeats} sets it; do one or the other "
            "(hydra.sweeper.repeats=1 turns the second off)."
        )
    value = OmegaConf.select(plan.base, key, default="")
    if value is not None and not isinstance(value, int):
        raise UserError(
            f"hydra.sweeper.repeat_key={key} is no whole number in the configuration; name the key of the seed."
        )


def _check_walk(plan: Plan) -> None:
    settings = plan.settings
    if not settings.one_at_a_time:
        return
    other = {
        "hydra/sweeper/sampler": (settings.sampler or {}).get("_target_"),
        "hydra.sweeper.custom_search_space": settings.custom_search_space,
        "hydra.sweeper.enqueue": settings.enqueue,
    }
    for key, chosen in other.items():
        if chosen:
            raise UserError(f"hydra.sweeper.one_at_a_time knows which trials there are; remove {key}.")


def _points(plan: Plan) -> Iterator[dict[str, Any]]:
    """Go through the group choices and, at each, through both ends of everything else."""
    groups = [p for p in plan.space.parameters if plan.frozen.is_group(p.key)]
    choices = [parameter.values() or [] for parameter in groups]
    size = 1
    for values in choices:
        size *= len(values)
    combinations = itertools.product(*choices) if size <= MOST else _each_once(choices)
    for chosen in combinations:
        group = dict(zip((parameter.key for parameter in groups), chosen, strict=True))
        for end in (0, -1):
            point: dict[str, Any] = {}
            for parameter in plan.space.parameters:
                if parameter in plan.space.active({**group, **point}, plan.known):
                    point[parameter.key] = group.get(parameter.key, _ends(parameter)[end])
            yield point


def _each_once(choices: list[list[Any]]) -> Iterator[tuple[Any, ...]]:
    longest = max(map(len, choices))
    return zip(*(itertools.islice(itertools.cycle(values), longest) for values in choices), strict=True)


def _ends(parameter: Parameter) -> tuple[Any, Any]:
    distribution: Any = parameter.distribution
    if isinstance(distribution, CategoricalDistribution):
        values = parameter.values() or []
        return values[0], values[-1]
    return parameter.value(distribution.low), parameter.value(distribution.high)


def _check_point(plan: Plan, point: Mapping[str, Any]) -> None:
    config = plan.config(point)
    _check_same_sweep(plan, point, config)
    try:
        with current(config):
            _check_types(plan, point, config)
            if plan.settings.check:
                function(plan.settings.check, "check")(config)
    except (HydraException, OmegaConfBaseException) as error:
        raise plan.mistake(point, error) from error


def _check_types(plan: Plan, point: Mapping[str, Any], config: DictConfig) -> None:
    """Compare each value with what the configuration has in its place, where that is a number or a boolean."""
    groups = {key for key in point if plan.frozen.is_group(key)}
    chosen = {key: value for key, value in point.items() if key in groups}
    original = plan.frozen.config(plan.overrides(chosen)) if len(chosen) < len(point) else config
    for parameter in plan.space.active(point, plan.known):
        if parameter.key in groups or parameter.prefix:
            continue
        there, value = select(original, parameter.key), point[parameter.key]
        if not _fits(parameter, there, value):
            raise UserError(_misfit(parameter, there, value))


def _fits(parameter: Parameter, there: Any, value: Any) -> bool:
    if value is None or there is None:
        return True
    if isinstance(there, bool):
        return isinstance(value, bool)
    if not isinstance(there, int | float):
        return True
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # 0 and 1 are written for 0.0 and 1.0 often enough.
    fractions = isinstance(parameter.distribution, FloatDistribution) and parameter.distribution.step is None
    return not (isinstance(there, int) and there not in (-1, 0, 1) and fractions)


def _misfit(parameter: Parameter, there: Any, value: Any) -> str:
    if isinstance(there, int) and isinstance(value, float):
        return (
            f"{parameter.key} is a whole number ({there}) in the configuration, and {parameter.text} gives fractions; "
            f"write int({parameter.text}), or {there}.0 in the configuration."
        )
    kind = "true or false" if isinstance(there, bool) else "a number"
    return f"{parameter.key}={value} is not {kind}, as the configuration has there ({str(there).lower()})."
