"""The JSON schema of what one `_target_` takes: names, types, defaults, and what the docstrings say."""

import enum
import inspect
import json
import math
import re
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from sweeplab.build import options_of, signature, spelled

# What Hydra reads beside arguments, and a file beside what it describes.
ALWAYS: Mapping[str, Any] = {
    "_target_": {"type": "string", "title": "what is built: <package.module.Name>"},
    "_partial_": {"title": "true: build a function that takes the remaining arguments"},
    "_args_": {"title": "positional arguments"},
    "_recursive_": {"title": "false: hand descriptions below on as they are"},
    "_convert_": {"title": "what lists and mappings become: none, partial, object or all"},
    "defaults": {"type": "array"},
}
# What every value may be instead: an interpolation, a value that is still missing, a description of an object.
INSTEAD: Sequence[Mapping[str, Any]] = (
    {"type": "string", "pattern": r"\$\{|^\?\?\?$"},
    {"type": "object", "required": ["_target_"]},
)
SCALARS = {int: "integer", float: "number", bool: "boolean", str: "string", Path: "string", type(None): "null"}
_ARGUMENT = re.compile(r"\s*(\w+)\s*(?:\([^:]*\))?\s*:\s*(.*)")


def schema_of(target: str, function: Callable[..., Any], further: Collection[str] = ()) -> dict[str, Any]:
    """Return the schema of a description of `function`; `further` are keys that it may have besides arguments."""
    parameters, open_ended = signature(function)
    texts = _texts(function)
    own = {name: _argument(parameter, texts.get(name)) for name, parameter in parameters.items()}
    properties: dict[str, Any] = {**ALWAYS, **{key: {} for key in further}, **own}
    about = (inspect.getdoc(function) or "").partition("\n\n")[0]
    return {"title": target, "description": about, "properties": properties, "additionalProperties": open_ended}


def _argument(parameter: inspect.Parameter, text: str | None) -> dict[str, Any]:
    hint, default = parameter.annotation, parameter.default
    kinds = _kinds(hint)
    schema: dict[str, Any] = {"title": spelled(hint)} if hint is not None else {}
    if isinstance(default, int | str | None) or (isinstance(default, float) and math.isfinite(default)):
        schema["default"] = default
        text = f"{text or ''} Default: {json.dumps(default)}".strip()  # an editor shows no other
    if text:
        schema["description"] = text
    return {**schema, "anyOf": [*kinds, *INSTEAD]} if kinds else schema


def _kinds(hint: Any) -> list[dict[str, Any]]:
    """Return the schemas of the values that a type hint lets through; none where it lets others through as well."""
    kinds = [_kind(option) for option in options_of(hint)]
    return [] if None in kinds else [kind for kind in kinds if kind is not None]


def _kind(option: Any) -> dict[str, Any] | None:
    origin, inner = get_origin(option) or option, get_args(option)
    if origin is Literal:
        return {"enum": list(inner)}
    if origin in SCALARS:
        return {"type": SCALARS[origin]}
    if not inspect.isclass(origin):
        return None
    if issubclass(origin, enum.Enum):
        return {"enum": [*origin.__members__, *(member.value for member in origin)]}
    if issubclass(origin, Mapping):
        return {"type": "object"}
    if issubclass(origin, Collection) and origin.__module__ in ("builtins", "collections.abc"):
        items = _kinds(inner[0]) if len(inner) == 1 or inner[1:] == (...,) else []
        return {"type": "array", **({"items": {"anyOf": [*items, *INSTEAD]}} if items else {})}
    return None


def _texts(function: Callable[..., Any]) -> dict[str, str]:
    """Return what docstrings say of arguments, in the sections `Args:` that Google's style has."""
    texts: dict[str, str] = {}
    parents = function.__mro__[:-1] if inspect.isclass(function) else ()
    for described in (function, *(part for parent in parents for part in (parent, vars(parent).get("__init__")))):
        for name, text in _sections(inspect.getdoc(described) or ""):
            texts.setdefault(name, text)
    return texts


def _sections(doc: str) -> Iterator[tuple[str, str]]:
    for section in re.findall(r"^Arg(?:ument)?s:\s*\n((?:[ \t]+.*\n?|\n)*)", doc, re.MULTILINE):
        for entry in re.split(r"\n(?=\S)", textwrap.dedent(section)):
            if match := _ARGUMENT.match(entry):
                yield match[1], " ".join(f"{match[2]} {entry[match.end() :]}".split())
