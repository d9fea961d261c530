"""What can be checked before the first trial."""

import itertools
import math
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from optuna.distributions import FloatDistribution

from sweeplab.errors import UserError
from sweeplab.records.links import select
from sweeplab.records.objective import Objective
from sweeplab.secrets import masked_values
from sweeplab.sweep.config.hydra_job import current
from sweeplab.sweep.config.objectives import objectives
from sweeplab.sweep.config.settings import Settings, imported
from sweeplab.sweep.config.trial_config import local_classes
from sweeplab.sweep.limits import check_limits
from sweeplab.sweep.space.parameter import Parameter
from sweeplab.sweep.spec import SweepSpec
from sweeplab.sweep.study.search import check_searchable
from sweeplab.sweep.study.study import flat

MAX_COMBINATIONS = 64  # of group choices, that are composed; of more, each choice once


def check_spec(spec: SweepSpec) -> None:
    """Find the mistakes in the spec of a sweep that the configuration alone can tell.

    Raises:
        UserError: the first mistake.
    """
    _check_settings(spec.settings)
    check_limits(spec.settings)
    if not str(spec.base.hydra.launcher._target_).endswith(".BasicLauncher"):
        raise UserError("trials are started by hydra.sweeper.executor; for hydra/launcher choose hydra/sweeper=basic.")
    _check_task(spec)
    for key in spec.space.keys:
        check_searchable(key, spec.settings.sweep_keys)
    _check_repeats(spec)
    _check_walk(spec)
    for point in spec.points() if spec.settings.one_at_a_time else _points(spec):
        _check_point(spec, point)


def _check_settings(settings: Settings) -> None:
    """Make sure that what may be several kinds of things is one of them."""
    parts = {"sampler": settings.sampler, "pruner": settings.pruner}
    parts |= {f"listeners.{name}": listener for name, listener in settings.listeners.items()}
    for name, part in parts.items():
        if part is not None and not isinstance(part, Mapping):
            choose = f"; write hydra/sweeper/{name}={part}" if name in ("sampler", "pruner") else ""
            raise UserError(f"hydra.sweeper.{name}={part} is not a description: it has no _target_{choose}.")
    for number, point in enumerate(settings.enqueue):
        if not isinstance(point, Mapping):
            raise UserError(f"hydra.sweeper.enqueue[{number}]={point} is not a point; write {{key: value, ...}}.")
    if not isinstance(settings.storage, str | Mapping | None):
        raise UserError(f"hydra.sweeper.storage={settings.storage} is not a URL, such as sqlite:///study.db.")


def _check_task(spec: SweepSpec) -> None:
    forks = spec.settings.executor == "local" and "forkserver" in multiprocessing.get_all_start_methods()
    local = [kind.__name__ for kind in local_classes.values()]
    if not spec.task.module:
        local.insert(0, spec.task.name)
    if local and not forks and spec.settings.executor != "inline":
        raise UserError(
            f"no other process can import {local[0]}; define it at the top of its module, under that name, "
            "or run the trials in this process with hydra.sweeper.executor=inline."
        )


def _check_same_sweep(spec: SweepSpec, point: Mapping[str, Any], config: DictConfig) -> None:
    """Make sure that a point has the objective of all others, and leaves the sweep what it is."""
    chosen, master = " ".join(spec.space.overrides(point)), spec.config_snapshot.master
    if (other := objectives(config, spec.settings.direction)) != spec.objectives:
        raise UserError(
            f"with {chosen} the objective is {_named(other)}, and in other trials {_named(spec.objectives)}: "
            "a sweep has one; make a sweep of each, or give objective.metric and objective.mode for all."
        )
    settings = (OmegaConf.to_container(each.hydra.sweeper, resolve=False) for each in (config, master))
    here, elsewhere = (dict(flat(masked_values(each))) for each in settings)
    if changed := [key for key in {**here, **elsewhere} if here.get(key) != elsewhere.get(key)]:
        raise UserError(
            f"{chosen} sets hydra.sweeper.{changed[0]}, which belongs to the sweep and is not searched; "
            "set it on the command line or in a sweep=, or make a sweep of each."
        )
    if Path(str(config.hydra.sweep.dir)).absolute() != spec.folder:
        raise UserError(
            f"{chosen} sets hydra.sweep.dir={config.hydra.sweep.dir}, but all trials of a sweep are in one folder: "
            f"{spec.folder}; make a sweep of each."
        )


def _named(objectives: Sequence[Objective]) -> str:
    return " and ".join(f"{objective.metric} ({objective.mode})" for objective in objectives)


def _check_repeats(spec: SweepSpec) -> None:
    key = spec.settings.repeat_key
    if spec.settings.repeats == 1:
        return
    if any(parameter.key == key for parameter in spec.space.parameters):
        raise UserError(
            f"{key} is searched, and hydra.sweeper.repeats={spec.settings.repeats} sets it; do one or the other "
            "(hydra.sweeper.repeats=1 turns the second off)."
        )
    value = OmegaConf.select(spec.base, key, default="")
    if value is not None and not isinstance(value, int):
        raise UserError(
            f"hydra.sweeper.repeat_key={key} is not a whole number in the configuration; name the key of the seed."
        )


def _check_walk(spec: SweepSpec) -> None:
    settings = spec.settings
    if not settings.one_at_a_time:
        return
    other = {
        "hydra/sweeper/sampler": (settings.sampler or {}).get("_target_"),
        "hydra.sweeper.custom_search_space": settings.custom_search_space,
        "hydra.sweeper.enqueue": settings.enqueue,
    }
    for key, chosen in other.items():
        if chosen:
            raise UserError(f"hydra.sweeper.one_at_a_time already determines the trials; remove {key}.")


def _points(spec: SweepSpec) -> Iterator[dict[str, Any]]:
    """Go through the group choices and, at each, through both ends of everything else."""
    groups = [p for p in spec.space.parameters if spec.config_snapshot.is_group(p.key)]
    choices = [parameter.points or () for parameter in groups]
    is_small = math.prod(map(len, choices)) <= MAX_COMBINATIONS
    combinations = itertools.product(*choices) if is_small else _each_once(choices)
    for chosen in combinations:
        group = dict(zip((parameter.key for parameter in groups), chosen, strict=True))
        for end in (0, -1):
            point: dict[str, Any] = {}
            for parameter in spec.space.parameters:
                if parameter in spec.space.active({**group, **point}, spec.default_of):
                    point[parameter.key] = group.get(parameter.key, _ends(parameter)[end])
            yield point


def _each_once(choices: Sequence[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    longest = max(map(len, choices))
    return zip(*(itertools.islice(itertools.cycle(values), longest) for values in choices), strict=True)


def _ends(parameter: Parameter) -> tuple[Any, Any]:
    if parameter.points:
        return parameter.points[0], parameter.points[-1]
    distribution: Any = parameter.distribution
    return parameter.value(distribution.low), parameter.value(distribution.high)


def _check_point(spec: SweepSpec, point: Mapping[str, Any]) -> None:
    config = spec.config(point)
    _check_same_sweep(spec, point, config)
    try:
        with current(config):
            _check_types(spec, point, config)
            if spec.settings.check:
                imported(spec.settings.check, "check")(config)
    except (HydraException, OmegaConfBaseException) as error:
        raise spec.mistake(point, error) from error


def _check_types(spec: SweepSpec, point: Mapping[str, Any], config: DictConfig) -> None:
    """Compare each value with what the configuration has in its place, where that is a number or a boolean."""
    groups = {key for key in point if spec.config_snapshot.is_group(key)}
    chosen = {key: value for key, value in point.items() if key in groups}
    original = spec.config_snapshot.config(spec.overrides(chosen)) if len(chosen) < len(point) else config
    for parameter in spec.space.active(point, spec.default_of):
        if parameter.key in groups or parameter.prefix:
            continue
        default, value = select(original, parameter.key), point[parameter.key]
        if not _fits(parameter, default, value):
            raise UserError(_misfit(parameter, default, value))


def _fits(parameter: Parameter, default: Any, value: Any) -> bool:
    if value is None or default is None:
        return True
    if isinstance(default, bool):
        return isinstance(value, bool)
    if not isinstance(default, int | float):
        return True
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # 0 and 1 are written for 0.0 and 1.0 often enough.
    fractions = isinstance(parameter.distribution, FloatDistribution) and parameter.distribution.step is None
    return not (isinstance(default, int) and default not in (-1, 0, 1) and fractions)


def _misfit(parameter: Parameter, default: Any, value: Any) -> str:
    if isinstance(default, int) and isinstance(value, float):
        return (
            f"{parameter.key} is a whole number ({default}) in the configuration, and {parameter.text} gives "
            f"fractions; write int({parameter.text}), or {default}.0 in the configuration."
        )
    kind = "true or false" if isinstance(default, bool) else "a number"
    return f"{parameter.key}={value} is not {kind}, as the configuration has there ({str(default).lower()})."
