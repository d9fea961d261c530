"""Optuna's samplers and pruners, from the configuration."""

import hashlib
import importlib.util
import warnings
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import BaseSampler, BruteForceSampler, GridSampler, QMCSampler

from sweeplab.build import check_target, located
from sweeplab.errors import UserError
from sweeplab.sweep.space.space import Space

SAMPLER, PRUNER = "hydra.sweeper.sampler", "hydra.sweeper.pruner"
# What Optuna imports when they suggest or judge, in the middle of a sweep.
NEEDS = {
    "CmaEsSampler": ("cmaes",),
    "GPSampler": ("scipy", "torch"),
    "QMCSampler": ("scipy",),
    "WilcoxonPruner": ("scipy",),
}
# They go through a sequence or a grid that their seed defines, and must find their place in it again.
ORDERED = (GridSampler, BruteForceSampler, QMCSampler)


def build_sampler(config: Mapping[str, Any] | None, space: Space, salt: str = "") -> BaseSampler | None:
    """Return the sampler, None for `auto`; a salt changes its seed, or it would repeat what it suggested before.

    Raises:
        UserError: there is no such sampler or argument.
    """
    plain = dict(config or {})
    if plain.get("_target_") is None:
        if unused := sorted(plain.keys() - {"_target_", "seed"}):
            raise UserError(f"{SAMPLER}.{unused[0]} needs a sampler; choose one, as in hydra/sweeper/sampler=tpe.")
        return None
    kind = located(plain["_target_"], SAMPLER)
    if kind is GridSampler and "search_space" not in plain:
        plain["search_space"] = {p.name: [p.stored(v) for v in p.points or ()] for p in space.parameters}
    if kind not in ORDERED and plain.get("seed") is not None:
        plain["seed"] = salted(int(plain["seed"]), salt)
    if "seed" in plain and plain["seed"] is None:
        del plain["seed"]
    sampler = build(plain, SAMPLER)
    if not isinstance(sampler, BaseSampler):
        raise UserError(f"{SAMPLER}._target_={plain['_target_']} is not an Optuna sampler.")
    return sampler


def build_pruner(config: Mapping[str, Any] | None, objectives: int) -> BasePruner:
    """Return the pruner.

    Raises:
        UserError: there is no such pruner or argument, or there are several objectives.
    """
    pruner = build(dict(config), PRUNER) if config and config.get("_target_") else NopPruner()
    if not isinstance(pruner, BasePruner):
        raise UserError(f"{PRUNER}._target_={(config or {})['_target_']} is not an Optuna pruner.")
    if objectives > 1 and not isinstance(pruner, NopPruner):
        raise UserError("Optuna prunes by one objective only; choose hydra/sweeper/pruner=none, or a single objective.")
    return pruner


def default_sampler(seed: int | None, salt: str) -> BaseSampler:
    """Return the sampler that Optuna takes where nobody chose one."""
    return optuna.samplers.TPESampler(seed=None if seed is None else salted(seed, salt))


def salted(seed: int, salt: str) -> int:
    """Return the seed itself without a salt, another one for each salt."""
    return int.from_bytes(hashlib.sha256(f"{seed} {salt}".encode()).digest()[:4]) if salt else seed


def build(config: Mapping[str, Any], where: str) -> Any:
    """Return the object that a configuration with `_target_` describes; `where` names it in errors.

    Hydra's `instantiate` is not asked: from 1.4 on it wants to be told what a program may build.

    Raises:
        UserError: there is no such class or argument, or the class refuses.
    """
    check_target(config, where)
    kind = located(config["_target_"], where)
    if lacking := [package for package in NEEDS.get(kind.__name__, ()) if importlib.util.find_spec(package) is None]:
        raise UserError(f"{where}: {kind.__name__} needs more than is installed; run: pip install {' '.join(lacking)}")
    arguments = {
        str(key): _value(value, f"{where}.{key}") for key, value in config.items() if not str(key).startswith("_")
    }
    try:
        with warnings.catch_warnings():
            # Whoever names an experimental class has decided for it.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return kind(**arguments)
    except (TypeError, ValueError, ImportError) as error:
        raise UserError(f"{where}: {kind.__name__} says: {' '.join(str(error).split())}") from error


def _value(value: Any, where: str) -> Any:
    if isinstance(value, Mapping):
        return build(value, where) if "_target_" in value else {k: _value(v, f"{where}.{k}") for k, v in value.items()}
    return [_value(item, where) for item in value] if isinstance(value, list) else value
