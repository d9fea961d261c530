"""The configuration as it was when the sweep began: what each trial's is made from, whatever is edited meanwhile."""

import copy
import hashlib
import io
import os
import pickle
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import SearchPathElement
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from sweeplab.secrets import mask

try:
    from hydra._internal.config_loader_impl import get_overrides_dirname
except ImportError:  # since Hydra 1.4, hydra.job.override_dirname is an interpolation
    get_overrides_dirname = None  # type: ignore[assignment]  # mypy sees the version that has it


# The classes in this process's pickles of configurations that stand inside functions: only its forks find them again.
local_classes: dict[str, type] = {}


@dataclass(frozen=True)
class TrialConfig:
    """What a process needs to make one trial's configuration: milliseconds, and no file.

    `base` is a pickled configuration in which all groups are chosen; `overrides` are all overrides of the task, and
    `values` those of them that are not in `base` yet. They are parsed already: that takes longer than the rest.
    """

    base: bytes
    overrides: tuple[Override, ...]
    values: tuple[Override, ...]

    def config(self, number: int) -> DictConfig:
        """Return what Hydra composes for these overrides, as the job `number` of a launcher."""
        prefetched = _prefetched.get(self.base)
        config: DictConfig = prefetched.pop() if prefetched else _loads(self.base)
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
        return _lines(self.overrides)

    def prefetch(self, count: int) -> None:
        """Unpickle the base so often in advance, in the process that trials are forked from."""
        _prefetched[self.base] = [_loads(self.base) for _ in range(count)]


# Bases that were unpickled before this process was forked.
_prefetched: dict[bytes, list[DictConfig]] = {}


class ConfigSnapshot:
    """A sweep's configuration files, copied to `folder`, and what Hydra composes from them.

    `master` and `loader` are what Hydra hands to a sweeper; `fixed` are the overrides of the task that all trials
    share; `order` are keys in the order in which overrides are recorded. `conf` is where the copy of the primary
    folder lies, if there is one.
    """

    def __init__(
        self, master: DictConfig, loader: ConfigLoader, fixed: Sequence[str], folder: Path, order: Sequence[str] = ()
    ) -> None:
        self.master = master
        self._order = {key: number for number, key in enumerate(order)}
        self._fixed = tuple(_parsed(fixed))
        local_classes.clear()
        self._bases: dict[tuple[str, ...], bytes] = {}
        self._trial_configs: dict[bytes, TrialConfig] = {}
        # What Hydra read for the master, hydra.searchpath included.
        sources = dict(enumerate(master.hydra.runtime.config_sources))
        folders = {number: Path(source.path).resolve() for number, source in sources.items() if source.schema == "file"}
        copies = _copied(folders, folder.resolve())
        mains = [copies[number] for number in copies if sources[number].provider == "main"]
        self.conf: Path | None = mains[0] if mains else None
        path = copy.deepcopy(loader.get_search_path())
        path.get_path()[:] = [
            SearchPathElement(source.provider, f"{source.schema}://{copies.get(number, source.path)}")
            for number, source in sources.items()
        ]
        self._loader = _Loader(path)

    def trial_config(self, overrides: Sequence[str]) -> TrialConfig:
        """Return how to make the configuration of a trial from its own overrides.

        Raises:
            HydraException: what they choose does not compose.
        """
        its_own = _parsed(overrides)
        task = [*self._fixed, *(override for override in its_own if not override.is_hydra_override())]
        task.sort(key=lambda override: self._order.get(override.get_key_element(), len(self._order)))
        variable = {id(override) for override in its_own if self._is_value(override)}
        # Values in front of the first one of the trial's own are the same in all trials of the same choices.
        first = next((n for n, override in enumerate(task) if id(override) in variable), len(task))
        values = [override for override in task[first:] if self._is_value(override)]
        others = [override for override in (*self._fixed, *its_own) if not any(override is value for value in values)]
        composed = _lines(others)
        if composed not in self._bases:
            self._bases[composed] = _dumps(self._compose(composed))
        trial_config = TrialConfig(self._bases[composed], tuple(task), tuple(values))
        self._trial_configs[trial_config.base] = trial_config
        return trial_config

    def config(self, overrides: Sequence[str], number: int = 0) -> DictConfig:
        """Return the configuration of a trial from its own overrides."""
        return self.trial_config(overrides).config(number)

    def trial_configs(self) -> list[TrialConfig]:
        """Return one for each combination of group choices so far."""
        return list(self._trial_configs.values())

    def options(self, group: str) -> list[str]:
        """Return the choices of a group, sorted."""
        return self._loader.get_group_options(_without_package(group))

    def is_group(self, key: str) -> bool:
        """Say whether `key`, with or without a package behind `@`, names a group."""
        return self._loader.repository.group_exists(_without_package(key))

    def _is_value(self, override: Override) -> bool:
        """Say whether Hydra applies an override after all groups are chosen, and to the task's part alone."""
        if override.is_sweep_override() or override.is_hydra_override() or override.key_or_group == "hydra":
            return False
        return isinstance(override.value(), dict) or not self.is_group(override.key_or_group)

    def _compose(self, overrides: Sequence[str]) -> DictConfig:
        config = self._loader.load_sweep_config(self.master, list(overrides))
        config.hydra.runtime.config_sources = self.master.hydra.runtime.config_sources
        for part in (config.hydra.sweeper, config.hydra.overrides):  # of which a trial needs no password
            mask(part)
        return config


class _Loader(ConfigLoaderImpl):
    """Hydra's loader, with a search path that is complete already."""

    def _process_config_searchpath(self, *given: Any) -> None:
        """Leave the search path alone, where Hydra adds what hydra.searchpath names: the user's own folders."""


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


def _dumps(value: Any) -> bytes:
    out = io.BytesIO()
    _Pickler(out).dump(value)
    return out.getvalue()


def _loads(content: bytes) -> Any:
    return _Unpickler(io.BytesIO(content)).load()


def _parsed(overrides: Sequence[str]) -> list[Override]:
    return OverridesParser.create().parse_overrides(list(overrides))


def _lines(overrides: Iterable[Override]) -> tuple[str, ...]:
    return tuple(str(override.input_line) for override in overrides)


def _without_package(key: str) -> str:
    return key.partition("@")[0]


def _copied(sources: Mapping[int, Path], folder: Path) -> dict[int, Path]:
    """Copy the YAML files of `sources` into `folder`, unless the same are there; return where each source lies."""
    files = {
        f"{number}/{path.relative_to(source)}": path.read_bytes()
        for number, source in sources.items()
        for path in _yaml_files(source, folder)
    }
    digest = hashlib.sha256(repr((sorted(sources), sorted(files.items()))).encode()).hexdigest()
    target = folder / f"conf-{digest[:12]}"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".conf-", dir=folder) as temporary:
            whole = Path(temporary, target.name)
            for number in ("", *sources):  # also one without a file: a configuration may lie in the ConfigStore alone
                (whole / str(number)).mkdir()
            for name, content in files.items():
                (whole / name).parent.mkdir(parents=True, exist_ok=True)
                (whole / name).write_bytes(content)
            try:
                whole.rename(target)
            except OSError:
                if not target.is_dir():  # or else another controller was first
                    raise
    return {number: target / str(number) for number in sources}


def _yaml_files(source: Path, folder: Path) -> Iterator[Path]:
    """Find what Hydra can choose from; in a source as wide as a project, not what git and sweeps keep there."""
    for parent, names, files in os.walk(source, followlinks=True):
        inner = [Path(parent, name) for name in names if name[0] != "."]
        names[:] = [path.name for path in inner if not folder.is_relative_to(path) and not _leads_back(path)]
        yield from (Path(parent, name) for name in files if name.endswith(".yaml"))


def _leads_back(path: Path) -> bool:
    """Say whether a folder is a link to one that it lies in."""
    return path.is_symlink() and path.parent.resolve().is_relative_to(path.resolve())
