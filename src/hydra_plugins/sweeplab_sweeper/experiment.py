"""Experiments that lie anywhere: `experiment=multirun/cnn/best.yaml` is that file, below where the program is started.

Every Hydra app imports this module at its start, so nothing heavy may be imported at its top.
"""

from typing import Any

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.config_source import ConfigResult
from hydra.plugins.search_path_plugin import SearchPathPlugin

GROUP = "experiment/"


class ExperimentFiles(FileConfigSource):
    """Has every file that is named with its `.yaml` as a choice of the group `experiment`, behind the group's own."""

    @staticmethod
    def scheme() -> str:
        """Return what stands before `://` in a search path."""
        return "experiment"

    def load_config(self, config_path: str) -> ConfigResult:
        """Load the file."""
        return super().load_config(config_path.removeprefix(GROUP))

    def is_config(self, config_path: str) -> bool:
        """Say whether a choice is such a file."""
        named = config_path.startswith(GROUP) and config_path.endswith(".yaml")
        return named and super().is_config(config_path.removeprefix(GROUP))

    def is_group(self, config_path: str) -> bool:
        """Say that there are no groups beside the root, whatever folders there are."""
        return config_path == ""

    def list(self, config_path: str, results_filter: Any) -> list[str]:
        """List nothing: help and completion show the group's own choices."""
        return []


class ExperimentPath(SearchPathPlugin):
    """Puts these files at the end of the search path."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append them."""
        search_path.append(provider="sweeplab", path="experiment://.")
