"""The configuration of a trial, as its process makes it: in milliseconds, and from no file."""

import io
import pickle
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

try:
    from hydra._internal.config_loader_impl import get_overrides_dirname
except ImportError:  # since Hydra 1.4, hydra.job.override_dirname is an interpolation
    get_overrides_dirname = None  # type: ignore[assignment]  # mypy sees the version that has it

# A number set to a key, as Python writes it.
NUMBER = re.compile(
    r"(?P<key>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*)=(?P<number>-?(0|[1-9]\d*)(?P<fraction>\.\d+)?(?P<exponent>e[+-]?\d+)?)"
)

# The classes in this process's pickles of configurations that stand inside functions: only its forks find them again.
local_classes: dict[str, type] = {}


@dataclass(frozen=True)
class TrialConfig:
    """What makes one trial's configuration.

    `base` is a pickled configuration in which all groups are chosen; `overrides` are all overrides of the task, and
    `values` those of them that are not in `base` yet. They are parsed already: that takes longer than the rest.
    """

    base: bytes
    overrides: tuple[Override, ...]
    values: tuple[Override, ...]

    def config(self, number: int) -> DictConfig:
        """Return what Hydra composes for these overrides, as the job `number` of a launcher."""
        prefetched = _prefetched.get(self.base)
        config: DictConfig = prefetched.pop() if prefetched else _unpickled(self.base)
        ConfigLoaderImpl._apply_overrides_to_config(list(self.values), config)
        job = config.hydra.job
        config.hydra.overrides.task = list(self.lines)
        if get_overrides_dirname is not None:
            style = job.config.override_dirname
            job.override_dirname = get_overrides_dirname(
                list(self.overrides), style.exclude_keys, style.item_sep, style.kv_sep
            )
        job.id, job.num = str(number), number
        return config

    @property
    def lines(self) -> tuple[str, ...]:
        """All overrides of the task, as they are recorded."""
        return lines_of(self.overrides)

    def prefetch(self, count: int) -> None:
        """Unpickle the base so often in advance, in the process that trials are forked from."""
        _prefetched[self.base] = [_unpickled(self.base) for _ in range(count)]


# Bases that were unpickled before this process was forked.
_prefetched: dict[bytes, list[DictConfig]] = {}


def parse(lines: Sequence[str]) -> list[Override]:
    """Return overrides as Hydra's parser reads them."""
    return [_parsed_number(line) or _parsed(line) for line in lines]


def _parsed_number(line: str) -> Override | None:
    """Return the override that sets a number, without the parser: for each trial it would take longer than all else."""
    if (match := NUMBER.fullmatch(line)) is None:
        return None
    key, number, is_float = match["key"], match["number"], match["fraction"] or match["exponent"]
    return replace(_parsed(f"{key}=0"), _value=float(number) if is_float else int(number), input_line=line)


@lru_cache
def _parsed(line: str) -> Override:
    override: Override = OverridesParser.create().parse_overrides([line])[0]
    return override


def lines_of(overrides: Iterable[Override]) -> tuple[str, ...]:
    """Return overrides as they were written."""
    return tuple(str(override.input_line) for override in overrides)


def pickled(config: DictConfig) -> bytes:
    """Return the pickle of a configuration, which may have classes that stand inside functions."""
    out = io.BytesIO()
    _Pickler(out).dump(config)
    return out.getvalue()


def _unpickled(content: bytes) -> DictConfig:
    config: DictConfig = _Unpickler(io.BytesIO(content)).load()
    return config


class _Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> str | None:
        if not isinstance(value, type) or "<locals>" not in value.__qualname__:
            return None
        name = f"{value.__module__}.{value.__qualname__} {id(value)}"
        local_classes[name] = value
        return name


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, name: str) -> type:
        return local_classes[name]
