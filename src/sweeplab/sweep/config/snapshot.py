"""The configuration as it was when the sweep began: what each trial's is made from, whatever is edited meanwhile."""

import copy
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import SearchPathElement
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from sweeplab.secrets import mask
from sweeplab.sweep.config.config_files import copy_config_files
from sweeplab.sweep.config.trial_config import TrialConfig, lines_of, local_classes, parse, pickled


class ConfigSnapshot:
    """A sweep's configuration files, copied to `folder`, and what Hydra composes from them.

    `master` and `loader` are what Hydra hands to a sweeper; `fixed` are the overrides of the task that all trials
    share; `order` are keys in the order in which overrides are recorded. `conf` is where the copy of the primary
    folder lies, if there is one, and `config_dir` that of the folder that the command line adds.
    """

    def __init__(
        self, master: DictConfig, loader: ConfigLoader, fixed: Sequence[str], folder: Path, order: Sequence[str] = ()
    ) -> None:
        self.master = master
        self._order = {key: number for number, key in enumerate(order)}
        self._fixed = parse(fixed)
        self._is_group: dict[str, bool] = {}
        local_classes.clear()
        # The last trial's, by the overrides that its base was composed from: others have the same base.
        self._trial_configs: dict[tuple[str, ...], TrialConfig] = {}
        # What Hydra read for the master, hydra.searchpath included.
        sources = dict(enumerate(master.hydra.runtime.config_sources))
        folders = {number: Path(source.path).resolve() for number, source in sources.items() if source.schema == "file"}
        copies = copy_config_files(folders, folder.resolve())
        by_provider = {sources[number].provider: copies[number] for number in reversed(copies)}
        self.conf: Path | None = by_provider.get("main")
        self.config_dir: Path | None = by_provider.get("command-line")
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
        own = parse(overrides)
        task = [*self._fixed, *(override for override in own if not override.is_hydra_override())]
        task.sort(key=lambda override: self._order.get(override.get_key_element(), len(self._order)))
        # Values in front of the first one of the trial's own are the same in all trials of the same choices.
        own_values = [override for override in own if self._is_value(override)]
        rest = itertools.dropwhile(lambda override: override not in own_values, task)
        values = tuple(override for override in rest if self._is_value(override))
        composed = lines_of(override for override in (*self._fixed, *own) if override not in values)
        earlier = self._trial_configs.get(composed)
        base = earlier.base if earlier else pickled(self._compose(composed))
        self._trial_configs[composed] = trial_config = TrialConfig(base, tuple(task), values)
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
        if key not in self._is_group:  # to look for it takes Hydra longer than all else
            self._is_group[key] = self._loader.repository.group_exists(_without_package(key))
        return self._is_group[key]

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


def _without_package(key: str) -> str:
    return key.partition("@")[0]
