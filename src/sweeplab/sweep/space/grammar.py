"""What the user wrote about a search space: params with conditions, and the command line, in Hydra's grammar."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import OmegaConf

from sweeplab.errors import UserError
from sweeplab.sweep.space.values import Value, override, parser, plain

Conditions = tuple[tuple[str, Value], ...]

WHEN = "when"
_SETS = {OverrideType.CHANGE: "", OverrideType.ADD: "+", OverrideType.FORCE_ADD: "++"}


class Entry(NamedTuple):
    """An override of the user, the conditions above it, and its position on the command line (0: in params)."""

    parsed: Override
    conditions: Conditions
    position: int = 0

    @property
    def key(self) -> str:
        """The key, or the group, as the configuration has it."""
        return self.parsed.get_key_element().lstrip("+~")

    @property
    def written(self) -> str:
        """The key with the signs before it."""
        return self.parsed.get_key_element()

    @property
    def prefix(self) -> str:
        """The signs before the key: `+` adds it, `++` adds it or sets it."""
        return _SETS[self.parsed.type]

    @property
    def fixed(self) -> bool:
        """Whether nothing is searched."""
        return self.parsed.is_delete() or not (self.parsed.is_sweep_override() or self.conditions)

    @property
    def line(self) -> str:
        """The override as all trials share it; a function in it is called once, not in each trial again."""
        line = self.parsed.input_line
        assert line is not None
        if "(" in line and self.parsed.type in _SETS:
            return override(self.parsed.get_key_element(), plain(self.parsed.value()))
        return line


def read(params: Mapping[str, Any], arguments: Sequence[str]) -> list[Entry]:
    """Return the overrides of `params`, then those of the command line, which replace what `params` say about a key.

    Raises:
        UserError: something cannot be read.
    """
    if OmegaConf.is_config(params):
        params = cast("dict[str, Any]", OmegaConf.to_container(params, resolve=True))
    entries: dict[str, list[Entry]] = {}
    for entry in _entries(params, (), ""):
        entries.setdefault(entry.key, []).append(entry)
    for position, argument in enumerate(arguments, start=1):
        entry = Entry(_parsed(argument), (), position)
        if entry.parsed.is_delete():
            entries.pop(entry.key, None)
        for before in entries.get(entry.key, ()):
            # Of two single values the last counts, as in a single run.
            if before.position and not (before.fixed and entry.fixed):
                raise UserError(f"{entry.key} is given twice, {before.line} and {entry.line}; write it once.")
        entries["~" * entry.parsed.is_delete() + entry.key] = [entry]
    return [entry for same_key in entries.values() for entry in same_key]


def _entries(block: Mapping[Any, Any], conditions: Conditions, above: str) -> Iterator[Entry]:
    """Walk through params, into conditions and into nested keys, which mean the same as dotted ones."""
    for name, value in block.items():
        key = f"{above}{name}"
        if key == WHEN or ("=" in key and isinstance(value, Mapping)):
            for condition, inner in (_mapping(value, WHEN) if key == WHEN else {name: value}).items():
                for alternative in _conditions(condition):
                    yield from _entries(_mapping(inner, f"{WHEN}: {condition}"), conditions + alternative, "")
        elif isinstance(value, Mapping) and value:
            yield from _entries(value, conditions, f"{key}.")
        else:
            entry = Entry(_parsed(f"{key}={value}" if isinstance(value, str) else override(key, value)), conditions)
            if conditions and entry.parsed.is_delete():
                raise UserError(f"{key} cannot be deleted under a condition; delete it everywhere, or set it to null.")
            yield entry


def _mapping(value: Any, where: str) -> Mapping[Any, Any]:
    if value is None or isinstance(value, Mapping):
        return value or {}
    raise UserError(f"{where} holds {value!r}; write parameters under conditions, as in when: {{model=cnn: {{...}}}}.")


def _conditions(written: str) -> list[Conditions]:
    """Read `model=cnn,mlp,optimizer=sgd`: every way in which it can be true."""
    alternatives = []
    for part in re.split(r",(?=[^,=]+=)", str(written)):
        parsed = _parsed(part) if "=" in part else None
        if parsed is None or parsed.type not in _SETS or parsed.is_interval_sweep() or parsed.is_range_sweep():
            raise UserError(f"{WHEN}: {written} is not a condition; write key=value, as in model=cnn,optimizer=sgd.")
        points = parsed.sweep_iterator() if parsed.is_choice_sweep() else [parsed.value()]
        alternatives.append([(parsed.get_key_element().lstrip("+"), plain(point)) for point in points])
    return list(itertools.product(*alternatives))


def _parsed(line: str) -> Override:
    try:
        return parser().parse_override(line)
    except HydraException as error:
        reason = ", ".join(str(error).strip().splitlines())
        raise UserError(f"{line} is not in Hydra's override grammar: {reason}.") from None
