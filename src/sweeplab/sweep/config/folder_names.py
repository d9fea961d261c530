"""The names of trials' folders, where `hydra.sweep.subdir` gives them others than their numbers."""

import os
from functools import cached_property
from pathlib import Path

from omegaconf import DictConfig

from sweeplab.secrets import masked_config
from sweeplab.sweep.config.hydra_job import current

MAX_BYTES = 200  # of a folder's name; a file's may have 255, and temporary ones add to it


class FolderNames:
    """The names of the folders that trials have in a sweep's `folder`; `base` is the configuration that they share.

    `names` has those that were chosen, by the numbers of the trials.
    """

    def __init__(self, folder: Path, base: DictConfig) -> None:
        self._folder, self._base = folder, base
        self.names: dict[int, str] = {}

    @cached_property
    def are_numbers(self) -> bool:
        """Whether each trial's folder has its number for a name."""
        with current(self._base) as config:
            return str(config.hydra.sweep.subdir) == str(config.hydra.job.num)

    def name_of(self, number: int) -> str:
        """Return the name of a trial's folder."""
        return self.names.get(number, str(number))

    def choose(self, number: int, config: DictConfig) -> str:
        """Name the folder of a trial as its configuration says.

        A name that another trial has, or that no folder can have, gets the number.
        """
        with current(config):
            name = str(masked_config(str(config.hydra.sweep.subdir or number), "hydra.sweep.subdir"))
        if not Path(name).parts or max(len(os.fsencode(part)) for part in Path(name).parts) > MAX_BYTES:
            name = str(number)
        others = {other for key, other in self.names.items() if key != number}
        if name in others or (self._folder / name).exists():
            name = f"{name}_{number}"
        self.names[number] = name
        return name
