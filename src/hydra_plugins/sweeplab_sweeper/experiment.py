"""Experiments that lie anywhere: `experiment=multirun/cnn/best.yaml` is that file, below where the program is started.

Such a file may be somebody else's: without `trust=true` on the command line it sets only what a run is made of.

Every Hydra app imports this module at its start, so nothing heavy may be imported at its top.
"""

import sys
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.config_search_path import ConfigSearchPath
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigResult
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

GROUP = "experiment/"


class RefusedExperimentError(HydraException):
    """A file names what is not built from files of unknown origin."""


class ExperimentFiles(FileConfigSource):
    """Has every file that is named with its `.yaml` as a choice of the group `experiment`, behind the group's own."""

    @staticmethod
    def scheme() -> str:
        """Return what stands before `://` in a search path."""
        return "experiment"

    def load_config(self, config_path: str) -> ConfigResult:
        """Load the file.

        Raises:
            RefusedExperimentError: it names what may not be built, or where nothing may be written.
        """
        from sweeplab.errors import UserError
        from sweeplab.records.experiment_file import check_experiment
        from sweeplab.records.files import read_text
        from sweeplab.records.trust import is_given

        name = config_path.removeprefix(GROUP)
        path = Path(self.path, name)
        try:
            read_text(path)
            result = super().load_config(name)
            if not is_given(sys.argv[1:]):
                check_experiment(path, result.config, result.header.get("package") or "")
        except UserError as error:
            raise RefusedExperimentError(str(error)) from error
        except (YAMLError, OmegaConfBaseException, RecursionError) as error:
            raise RefusedExperimentError(f"{path} cannot be read: {' '.join(str(error).split())}.") from error
        return result

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
