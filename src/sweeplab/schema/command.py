"""What `sweeplab schema` writes, and what `sweeplab check` finds."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sweeplab.build import located
from sweeplab.errors import UserError, did_you_mean
from sweeplab.records.files import write_text
from sweeplab.schema.configuration import ConfigFile, schema, targets

FOLDER = ".schemas"  # beside conf/
NAMES_IT = "# yaml-language-server: $schema="


def write(conf: Path) -> str:
    """Write the schemas beside `conf`; say where they are, and of each file that names none which line would do it.

    Raises:
        UserError: there is no such `conf`.
    """
    files, _ = read(conf)
    folder = conf.parent / FOLDER
    folder.mkdir(exist_ok=True)
    lines = [f"{folder} has the schemas of {len(files)} files."]
    for file in files:
        if file.package:
            pointer = "".join(f"/properties/{key}" for key in file.package)
            write_text(folder / file.schema_name, json.dumps({"$ref": f"config.json#{pointer}"}) + "\n")
        if NAMES_IT not in file.path.read_text(encoding="utf-8"):
            schema_of = Path(os.path.relpath(folder, file.path.parent), file.schema_name).as_posix()
            lines.append(f"{file.path} names none, so editors do not check it; add the line: {NAMES_IT}{schema_of}")
    write_text(folder / "config.json", json.dumps(schema(files), indent=1, default=str) + "\n")
    return "\n".join(lines)


def check(conf: Path) -> str:
    """Compare the files of `conf` with the schemas, and say how many they are.

    Raises:
        UserError: there is no such `conf`.
        SystemExit: something is wrong with them; each is told in a sentence.
    """
    if found := faults(conf):
        sys.exit("\n".join(found))
    return f"{conf}: {len(read(conf)[0])} files agree with what they name."


def faults(conf: Path) -> list[str]:
    """Return what is wrong with the files of `conf`, a sentence for each.

    Raises:
        UserError: there is no such `conf`.
    """
    try:
        from jsonschema import Draft7Validator
    except ModuleNotFoundError as error:
        raise UserError("jsonschema is not installed; run: pip install jsonschema") from error
    files, found = read(conf)
    validator = Draft7Validator(schema(files))
    for file in files:
        for key, target in targets(file.whole):
            try:
                located(target, key)
            except UserError as error:
                found.append(f"{file.path}: {error}")
        for fault in sorted(validator.iter_errors(file.whole), key=lambda fault: list(map(str, fault.path))):
            found.extend(f"{file.path}: {sentence}" for sentence in _sentences(fault))
    return list(dict.fromkeys(found))


def read(conf: Path) -> tuple[list[ConfigFile], list[str]]:
    """Return the files of a `conf/`, and what is wrong with those that cannot be read.

    Raises:
        UserError: there is no such folder.
    """
    paths = sorted(conf.rglob("*.yaml"))
    if not paths:
        raise UserError(f"{conf} has no configuration; run this in the folder that has conf/, or name another.")
    sys.path.insert(0, str(Path.cwd()))  # where `python train.py` finds modules too
    files, unreadable = [], []
    for path in paths:
        try:
            files.append(ConfigFile.read(path, conf))
        except UserError as error:
            unreadable.append(f"{path}: {error}")
    return files, unreadable


def _sentences(fault: Any) -> Iterator[str]:
    above = ".".join(map(str, fault.absolute_path))
    title = fault.schema.get("title", f"no choice of {above}")
    if fault.validator == "additionalProperties":
        names = fault.schema["properties"]
        for key in fault.instance:
            if key not in names:
                near = did_you_mean(key, [name for name in names if not name.startswith("_") and name != "defaults"])
                yield f"{title} has {'an' if title.startswith('no ') else 'no'} argument '{above}.{key}'{near}"
    else:
        value, choices = fault.instance, list(_choices(fault.schema))
        near = did_you_mean(value, choices) if choices and isinstance(value, str) else f": it wants {title}."
        yield f"{above}={json.dumps(value)} is not valid{near}"


def _choices(part: Mapping[str, Any]) -> Iterator[str]:
    options: Sequence[Mapping[str, Any]] = part.get("anyOf", ())
    yield from (str(value) for option in options for value in option.get("enum", ()))
