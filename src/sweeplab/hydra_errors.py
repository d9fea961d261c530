"""Hydra's and OmegaConf's complaints about a command line, said in one sentence with the nearest right spelling."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.errors import HydraException, InstantiationException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationKeyError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    ValidationError,
)
from yaml import YAMLError

from sweeplab.errors import UserError, did_you_mean, nearest
from sweeplab.extras import missing_extra
from sweeplab.other_templates import instead_of


def sentence(error: Exception, conf: Path | None = None) -> str | None:
    """Say in one sentence what is wrong with the command line or not installed, or None where neither is to blame."""
    if text := missing_extra(error):
        return text
    if isinstance(error, MissingConfigException) and conf is not None:
        missing = str(error.missing_cfg_file).removesuffix(".yaml")
        if missing.startswith("hydra/"):
            group, _, choice = missing.rpartition("/")
            return f"{group}={choice} is not a choice{did_you_mean(choice, error.options or ())}"
        group, _, choice = missing.partition("/")
        files = sorted((conf / group).rglob("*.yaml"))
        choices = [file.relative_to(conf / group).with_suffix("").as_posix() for file in files]
        if group == "experiment" and "/" in choice:  # perhaps a file anywhere
            choices += sorted(path.as_posix() for path in Path(choice).parent.glob("*.yaml"))
        if not choices:
            return f"there is no {group} to choose yet: write {conf.name}/{group}/{choice or '<name>'}.yaml."
        return f"{group}={choice} is not a choice{did_you_mean(choice, choices)}"
    if isinstance(error, YAMLError):  # which names the file and the line
        return f"the configuration cannot be read: {' '.join(str(error).split())}."
    if isinstance(error, UnicodeDecodeError) and conf is not None:
        path = next(_no_texts(conf), "a file of the configuration")
        return f"{path} is not text: byte {error.start} is not UTF-8."
    cause = error.__cause__ if isinstance(error, HydraException) else error
    if isinstance(cause, MissingMandatoryValue):
        return f"{cause.full_key} has no value; write {cause.full_key}=..."
    if isinstance(cause, InterpolationKeyError):
        return f"{cause.full_key} refers to a key that does not exist: {_first_line(cause)}"
    if isinstance(cause, InterpolationResolutionError):
        reason = re.sub(r"^\w+ raised while resolving interpolation: ", "", _first_line(cause)).strip("\"'")
        return f"{cause.full_key} cannot be resolved: {reason}"
    if isinstance(cause, ConfigAttributeError | ConfigKeyError):
        return _unknown_key(cause)
    if match := re.match(r"Error resolving interpolation '\$\{([\w/]+)\}', possible", str(error)):
        return (
            f"a default depends on the choice of {match[1]}, and none is made; write {match[1]}=<a choice> or, where a "
            f"sweep searches {match[1]}, choose the group that depends on it too, as in space=mlp."
        )
    if "Config group override must be" in str(error):
        return "a group takes the name of a choice, not null or a number; logger=none and callbacks=none are empty."
    if "Ambiguous value" in str(error):
        override = str(error).splitlines()[0].rpartition(" ")[2].strip("'")
        return f"{override} names several values: add -m to run each of them, or write a list as key=[1,2]."
    if isinstance(error, OverrideParseException):
        return f"'{error.override}' cannot be read: write key=value, and quote values with spaces or commas."
    if isinstance(cause, ValidationError):
        return f"{str(error).rpartition(' ')[2]} is not valid: {_first_line(cause)}"
    if isinstance(error, HydraException) and not isinstance(error, InstantiationException):
        return " ".join(str(error).split())
    return None


def _no_texts(conf: Path) -> Iterator[Path]:
    """Find the files of the configuration that are no text: Hydra does not say which it read."""
    for path in sorted(conf.rglob("*.yaml")):
        try:
            path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            yield path


def _unknown_key(error: OmegaConfBaseException) -> str:
    key = str(error.full_key or error.key)
    root = _root(error.parent_node)
    if key.partition(".")[0] not in {*root} - {"extras"} and (instead := instead_of(key)):
        return f"there is no key '{key}'; {instead}."
    group = OmegaConf.select(root, key.rpartition(".")[0]) if key.startswith("hydra.") else None
    if isinstance(group, DictConfig):
        names = {name: f"{key.rpartition('.')[0]}.{name}" for name in map(str, group) if not name.startswith("_")}
        return f"there is no key '{key}'{did_you_mean(key, names.values())}"
    sweeper = OmegaConf.select(root, "hydra.sweeper")
    if isinstance(sweeper, DictConfig) and key in sweeper:
        return f"there is no key '{key}'; did you mean 'hydra.sweeper.{key}'?"
    if text := _not_an_argument(root, key):
        return text
    if near := nearest(key, (other for other in _keys(root) if not key.startswith(f"{other}."))):
        add = f" ({_adding(key)} adds it)" if "." in key else ""
        return f"there is no key '{key}'; did you mean '{near}'?{add}"
    return f"there is no key '{key}'; the top ones are {', '.join(_keys(root, deep=False))} ({_adding(key)} adds it)."


def _not_an_argument(root: DictConfig, key: str) -> str | None:
    """Say what the class takes whose description lacks a key; None where there is no class that can be asked."""
    from sweeplab.build import arguments, located

    above, _, name = key.rpartition(".")
    try:
        node = OmegaConf.select(root, above) if above else None
        if not isinstance(node, DictConfig) or not (target := node.get("_target_")):
            return None
        taken, open_ended = arguments(located(target, above))
    except (UserError, OmegaConfBaseException):
        return None
    names = list(taken)
    if name in names:
        return f"the configuration does not set '{key}'; {target} takes it, so write {_adding(key)}"
    more = f" and others ({_adding(key)} adds it)" if open_ended else ""
    if not open_ended and _adding(key).startswith("++"):
        more = f" (if another choice of the sweep has it: {_adding(key)} adds it)"
    if near := nearest(name, names):
        meant = f"{above}.{near}" if near in node else f"+{above}.{near}"
    else:
        meant = next((other for other in _keys(root) if other.rpartition(".")[2] == name), "")
    if meant:
        listed = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        return f"there is no key '{key}'; did you mean '{meant}'? ({target} takes {listed}{more})"
    return f"there is no key '{key}'; {target} takes {', '.join(names) or 'no arguments'}{more}."


def _adding(key: str) -> str:
    """Return how a key is set that the configuration lacks: in a sweep, some of the choices may have it."""
    return f"{'++' if {'-m', '--multirun'} & set(sys.argv) else '+'}{key}=..."


def _root(node: Any) -> DictConfig:
    while node is not None and node._get_parent() is not None:
        node = node._get_parent()
    return node if isinstance(node, DictConfig) else OmegaConf.create()


def _keys(node: DictConfig, prefix: str = "", deep: bool = True) -> Iterator[str]:
    for key in map(str, node):
        if "." in key or (not prefix and key == "hydra"):  # no override can name the first kind
            continue
        yield f"{prefix}{key}"
        child = node._get_node(key)
        if deep and isinstance(child, DictConfig) and not child._is_none() and not child._is_missing():
            yield from _keys(child, f"{prefix}{key}.")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
