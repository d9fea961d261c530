"""The JSON schema of a whole configuration, from the files of a `conf/` and what they name."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from sweeplab.build import located
from sweeplab.errors import UserError
from sweeplab.schema.target import schema_of

TARGET = "_target_"
ITEM = "[]"  # in a path: each item of a list
SETTINGS = "sweeplab.sweep.config.settings.Settings"
DESCRIBED = {"$ref": "#/definitions/described"}  # by the target that it has
Keys = tuple[str, ...]
FURTHER: dict[Keys, Keys] = {("task",): ("callbacks",)}  # keys that no class takes


@dataclass(frozen=True)
class ConfigFile:
    """A file of a `conf/`, the part of the configuration that it sets, and what is in it."""

    path: Path
    package: Keys
    content: Any

    @classmethod
    def read(cls, path: Path, conf: Path) -> "ConfigFile":
        """Read it.

        Raises:
            UserError: it cannot be read.
        """
        try:
            text = path.read_text(encoding="utf-8")
            content = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
        except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
            raise UserError(f"it cannot be read: {' '.join(str(error).split())}") from error
        header = re.match(r"(?:\s*#\s*@.*\n)*?\s*#\s*@package\s+(\S+)", text)
        group = path.parent.relative_to(conf).parts
        package = header[1].replace("_group_", ".".join(group)) if header else ".".join(group)
        return cls(path, tuple(part for part in package.split(".") if part not in ("", "_global_")), content)

    @property
    def whole(self) -> Any:
        """What is in it, where it belongs in the configuration."""
        content = self.content
        for key in reversed(self.package):
            content = {key: content}
        return content

    @property
    def schema_name(self) -> str:
        """The name of the file with its schema."""
        return f"{'.'.join(self.package) or 'config'}.json"


@dataclass
class Node:
    """A place in the configuration: what the files describe there, and what they have below."""

    targets: set[str] = field(default_factory=set)
    below: dict[str, "Node"] = field(default_factory=dict)

    def add(self, content: Any) -> None:
        """Take in what a file has here."""
        for key, value in _items(content):
            if key == TARGET and is_name(value):
                self.targets.add(value)
            self.below.setdefault(key, Node()).add(value)

    def schema(self, definitions: Mapping[str, Any]) -> dict[str, Any]:
        """Return the schema of this place; `definitions` has those of the targets that are there."""
        schema: dict[str, Any] = {}
        if properties := {key: node.schema(definitions) for key, node in self.below.items() if key != ITEM}:
            schema |= {"properties": properties, "allOf": [DESCRIBED]}
        if ITEM in self.below:
            schema["items"] = self.below[ITEM].schema(definitions)
        if (named := sorted(self.targets)) and self.targets <= definitions.keys():
            properties = {key: inner for key, inner in properties.items() if inner}  # the others are arguments
            properties[TARGET] = {"anyOf": [{"enum": named}, {"type": "string"}]}
            schema |= {"properties": properties, "allOf": [DESCRIBED, _without_target(named, definitions)]}
        elif properties:
            schema["additionalProperties"] = DESCRIBED
        return schema


def schema(files: Iterable[ConfigFile]) -> dict[str, Any]:
    """Return the schema of the configuration that the files make up; a target that does not exist is left out."""
    root, definitions = Node(), dict[str, Any]()
    for file in files:
        root.add(file.whole)
    root.below.setdefault("hydra", Node()).below.setdefault("sweeper", Node()).targets.add(SETTINGS)
    for path, node in _walk(root):
        for target in sorted(node.targets):
            try:
                definitions[target] = schema_of(target, located(target, ".".join(path)), FURTHER.get(path, ()))
            except UserError:  # `check` tells it
                continue
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **root.schema(definitions),
        "definitions": {"described": {"allOf": [_where(target) for target in sorted(definitions)]}, **definitions},
    }


def is_name(target: Any) -> bool:
    """Say whether a `_target_` is a name, and no interpolation."""
    return isinstance(target, str) and "${" not in target and target != "???"


def targets(content: Any, above: str = "") -> Iterator[tuple[str, str]]:
    """Return each target in a configuration, and the dotted key of what it describes."""
    for key, value in _items(content):
        if key == TARGET and is_name(value):
            yield above, value
        yield from targets(value, f"{above}.{key}" if above else key)


def _items(content: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(content, Mapping):
        yield from ((str(key), value) for key, value in content.items())
    elif isinstance(content, list):
        yield from ((ITEM, item) for item in content)


def _walk(node: Node, path: Keys = ()) -> Iterator[tuple[Keys, Node]]:
    yield path, node
    for key, child in node.below.items():
        yield from _walk(child, (*path, key))


def _where(target: str) -> dict[str, Any]:
    has_it = {"properties": {TARGET: {"const": target}}, "required": [TARGET]}
    return {"if": has_it, "then": {"$ref": f"#/definitions/{target}"}}


def _without_target(named: Sequence[str], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a file that sets keys of what other files describe: any of their arguments."""
    names = dict.fromkeys(name for target in named for name in definitions[target]["properties"])
    either = {
        **({"title": named[0]} if len(named) == 1 else {}),
        "properties": {
            name: {"anyOf": [_ref(target, name) for target in named if name in definitions[target]["properties"]]}
            for name in names
        },
        "additionalProperties": any(definitions[target]["additionalProperties"] for target in named),
    }
    return {"if": {"required": [TARGET]}, "else": either}


def _ref(target: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/definitions/{target}/properties/{name}"}
