"""Objects from configuration, with errors that a user can act on."""

import functools
import importlib
import inspect
import sys
import sysconfig
import traceback
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import hydra.utils
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from sweeplab.errors import UserError, did_you_mean
from sweeplab.extras import missing_extra

SCALARS = (int, float, bool, str)
CONTAINERS = (list, tuple, dict, set, frozenset)


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
    parameters, open_ended = arguments(located(target, name))
    given = {key: value for key, value in config.items() if not key.startswith("_")}
    for key, value in given.items():
        if value == "???":
            raise UserError(f"{name}.{key} has no value; write {name}.{key}=...")
        if key not in parameters and not open_ended:
            raise UserError(f"{target} has no argument '{name}.{key}'{did_you_mean(key, parameters)}")
        if key in parameters and (hint := parameters[key]) is not None and not _fits(value, hint):
            raise UserError(f"{name}.{key}={value!r} is of the wrong type: {target} wants {spelled(hint)}.")
        check_within(value, f"{name}.{key}")


def check_within(value: Any, name: str) -> None:
    """Check each description in a value, however deep.

    Raises:
        UserError: as `build` does.
    """
    if isinstance(value, Mapping) and "_target_" in value:
        check_target(value, name)
    elif isinstance(value, Mapping | list):
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            check_within(item, f"{name}.{key}")


def located(target: Any, name: str) -> Any:
    """Return what a `_target_` names; `name` is the place of its configuration.

    Raises:
        UserError: it cannot be imported, or does not exist.
    """
    if not isinstance(target, str):
        return target
    label = f"{name}._target_={target}"
    parts = target.split(".")
    if not all(part.isidentifier() for part in parts):
        raise UserError(f"{label} is not the name of a class or function; write <package.module.Name>.")
    value, depth = _module(parts, label)
    for number, part in enumerate(parts[depth:], start=depth):
        try:
            value = getattr(value, part)
        except AttributeError:
            above = ".".join(parts[:number])
            choices = [f"{above}.{n}" for n in dir(value) if not n.startswith("_")]
            near = did_you_mean(target, choices)
            raise UserError(f"{label} does not exist: {above} has no '{part}'{near}") from None
        except Exception as error:
            raise UserError(f"{label} cannot be imported: {_where(error)}.") from error
    if not callable(value):
        raise UserError(f"{label} is a {type(value).__name__}, not a class or function.")
    return value


def _module(parts: Sequence[str], label: str) -> tuple[Any, int]:
    """Return the innermost module that a dotted name leads through, and how many of its parts that takes."""
    module: Any = None
    for number in range(1, len(parts) + 1):
        path = ".".join(parts[:number])
        try:
            module = importlib.import_module(path)
        except ModuleNotFoundError as error:
            if error.name != path:
                raise UserError(f"{label} cannot be imported: {_where(error)}.") from error
            if module is None:
                raise UserError(f"{label} cannot be imported: there is no module '{path}'.") from error
            return module, number - 1
        except (Exception, SystemExit) as error:
            raise UserError(f"{label} cannot be imported: {_where(error)}.") from error
    return module, len(parts)


def _where(error: BaseException) -> str:
    """Say what went wrong while a module was imported, and in which line of whose file."""
    if text := missing_extra(error):
        return text
    message = " ".join(str(error).split()).removesuffix(".")
    file: str | None = None
    line: int | None = None
    if isinstance(error, SyntaxError):
        file, line, message = error.filename, error.lineno, error.msg
    else:
        calls = [(call.filename, call.lineno) for call in traceback.extract_tb(error.__traceback__)]
        files = [call for call in calls if not call[0].startswith("<") and call[0] != __file__]
        others = [sysconfig.get_path(name) for name in ("stdlib", "purelib")]
        theirs = [call for call in files if not any(map(Path(call[0]).is_relative_to, others))]
        if files:
            file, line = [*files, *theirs][-1]
    return f"{file}, line {line}: {type(error).__name__}: {message}" if file else f"{type(error).__name__}: {message}"


def _refusals() -> tuple[type[Exception], ...]:
    """Return the exceptions by which a target refuses what it is given; Lightning's own, if it is there."""
    lightning = sys.modules.get("lightning.fabric.utilities.exceptions")
    return ValueError, ModuleNotFoundError, *((lightning.MisconfigurationException,) if lightning else ())


def arguments(function: Callable[..., Any]) -> tuple[dict[str, Any], bool]:
    """Return the arguments of a function or class with their type hints, and whether it takes others as well."""
    parameters, open_ended = signature(function)
    return {name: parameter.annotation for name, parameter in parameters.items()}, open_ended


@functools.cache
def signature(function: Callable[..., Any]) -> tuple[dict[str, inspect.Parameter], bool]:
    """Return the parameters of a function or class, hints resolved, and whether it takes others as well.

    `**kwargs` of a class are followed to its parents.
    """
    accepted: dict[str, inspect.Parameter] = {}
    classes = function.__mro__ if inspect.isclass(function) else ()
    layers = [vars(layer)["__init__"] for layer in classes if "__init__" in vars(layer)] or [function]
    for layer in layers:
        try:
            parameters = inspect.signature(layer).parameters.values()
        except (ValueError, TypeError):  # built in C
            return accepted, True
        try:
            hints = get_type_hints(layer)
        except (TypeError, NameError):  # that only a type checker can read
            hints = {}
        for parameter in parameters:
            is_named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            if is_named and not (classes and parameter.name == "self"):
                accepted.setdefault(parameter.name, parameter.replace(annotation=hints.get(parameter.name)))
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return accepted, False
    return accepted, True


def options_of(hint: Any) -> tuple[Any, ...]:
    """Return the types that a hint lets through."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _fits(value: Any, hint: Any) -> bool:
    """Judge a plain value against classes, literals and containers; anything richer is the target's own business."""
    options = options_of(hint)
    if isinstance(value, list | Mapping) and "_target_" not in value:
        return not all(option in (*SCALARS, type(None)) for option in options)
    if not isinstance(value, (*SCALARS, type(None))) or (isinstance(value, str) and "${" in value):
        return True  # the second is not resolved yet
    classes = [option for option in options if isinstance(option, type) and get_origin(option) is None]
    literals = [option for option in options if get_origin(option) is Literal]
    if any(value in get_args(option) for option in literals) or (float in classes and type(value) is int):
        return True
    if isinstance(value, str) and Path in classes:
        return True  # what YAML has of a path is text
    plain = [*classes, *literals, *(option for option in options if get_origin(option) in CONTAINERS)]
    return len(plain) < len(options) or object in classes or type(value) in classes


def spelled(hint: Any) -> str:
    """Return a type hint in words: int or null."""
    return " or ".join(dict.fromkeys(name for option in options_of(hint) for name in _names(option)))


def _names(option: Any) -> list[str]:
    if get_origin(option) is Literal:
        return [str(value) for value in get_args(option)]
    return ["null" if option is type(None) else str(getattr(get_origin(option) or option, "__name__", option))]
