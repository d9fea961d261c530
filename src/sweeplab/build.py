"""Objects from configuration, with errors that a user can act on."""

import inspect
import pkgutil
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints

import hydra.utils
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from sweeplab.errors import UserError, did_you_mean

SCALARS = (int, float, bool, str)


def build(config: Any, name: str, **more: Any) -> Any:
    """Return what `config` describes with its `_target_`; anything that is not a mapping is returned as it is.

    Arguments: `name` is the configuration's place, for messages; `more` are further arguments of the target.

    Raises:
        UserError: no `_target_`, an unknown argument, a value of the wrong type, or one that the target refuses.
    """
    if not isinstance(config, Mapping | DictConfig):
        return config
    plain: Any = OmegaConf.to_container(config, resolve=True) if isinstance(config, DictConfig) else config
    check_target(plain, name)
    try:
        return hydra.utils.instantiate(plain, _convert_="all", **more)
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, UserError):
            raise cause from None
        if isinstance(cause, _refusals()):
            raise UserError(f"{name}: {' '.join(str(cause).split())}") from cause
        raise cause or error from None


def check_target(config: Mapping[str, Any], name: str) -> None:
    """Find what is wrong with a description before anything is built from it.

    Raises:
        UserError: as `build` does.
    """
    if config.get("_target_") is None:
        raise UserError(f"{name} has no _target_, so nothing can be built from it; choose {name}=... or remove it.")
    target = config["_target_"]
    known, open_ended = arguments(located(target, name))
    given = {key: value for key, value in config.items() if not key.startswith("_")}
    for key, value in given.items():
        if value == "???":
            raise UserError(f"{name}.{key} has no value; write {name}.{key}=...")
        if key not in known and not open_ended:
            raise UserError(f"{target} has no argument '{name}.{key}'{_near(key, known)}")
        if key in known and (hint := known[key]) is not None and not _fits(value, hint):
            raise UserError(f"{name}.{key}={value!r} is of the wrong type: {target} wants {_spelled(hint)}.")
        _check_within(value, f"{name}.{key}")


def _check_within(value: Any, name: str) -> None:
    if isinstance(value, Mapping) and "_target_" in value:
        check_target(value, name)
    elif isinstance(value, Mapping | list):
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            _check_within(item, f"{name}.{key}")


def located(target: Any, name: str) -> Any:
    """Return what a `_target_` names; `name` is the place of its configuration.

    Raises:
        UserError: it cannot be imported, or does not exist.
    """
    if not isinstance(target, str):
        return target
    try:
        return pkgutil.resolve_name(target)
    except AttributeError:
        module = target.rpartition(".")[0]
        choices = [f"{module}.{n}" for n in dir(pkgutil.resolve_name(module)) if not n.startswith("_")]
        raise UserError(f"{name}._target_={target} does not exist{did_you_mean(target, choices)}") from None
    except (ImportError, ValueError) as error:
        raise UserError(f"{name}._target_={target} cannot be imported: {error}.") from error


def _refusals() -> tuple[type[Exception], ...]:
    """Return the exceptions by which a target refuses what it is given; Lightning's own, if it is there."""
    lightning = sys.modules.get("lightning.fabric.utilities.exceptions")
    return ValueError, ModuleNotFoundError, *((lightning.MisconfigurationException,) if lightning else ())


def _near(key: str, known: Mapping[str, Any]) -> str:
    return did_you_mean(key, [name for name in known if name != "self"])


def arguments(function: Callable[..., Any]) -> tuple[dict[str, Any], bool]:
    """Return the arguments of a function or class with their type hints, and whether it takes others as well.

    `**kwargs` of a class are followed to its parents.
    """
    known: dict[str, Any] = {}
    classes = function.__mro__ if inspect.isclass(function) else ()
    layers = [vars(layer)["__init__"] for layer in classes if "__init__" in vars(layer)] or [function]
    for layer in layers:
        try:
            parameters = inspect.signature(layer).parameters.values()
        except (ValueError, TypeError):  # built in C
            return known, True
        try:
            hints = get_type_hints(layer)
        except (TypeError, NameError):  # that only a type checker can read
            hints = {}
        for parameter in parameters:
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                known.setdefault(parameter.name, hints.get(parameter.name))
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return known, False
    return known, True


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _fits(value: Any, hint: Any) -> bool:
    """Judge a plain value against a class or several; anything richer is the target's own business."""
    options = _options(hint)
    if not all(isinstance(option, type) for option in options) or not isinstance(value, (*SCALARS, type(None))):
        return True
    if float in options and type(value) is int:
        return True
    return object in options or type(value) in options


def _spelled(hint: Any) -> str:
    names = ["null" if option is type(None) else option.__name__ for option in _options(hint)]
    return " or ".join(names)
