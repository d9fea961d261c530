"""What a sweep is, worked out from the configuration before anything runs."""

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobRuntime
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sweeplab.errors import UserError
from sweeplab.hydra_errors import sentence
from sweeplab.sweep.frozen import Frozen
from sweeplab.sweep.hydra_job import hydra_context
from sweeplab.sweep.job import Job, Task
from sweeplab.sweep.objectives import Objective, objectives
from sweeplab.sweep.settings import Settings
from sweeplab.sweep.space import Space
from sweeplab.sweep.values import override
from sweeplab.sweep.worker import find


@dataclass(frozen=True)
class Plan:
    """A sweep: its settings, its space, the configuration that its trials share, and where it writes."""

    settings: Settings
    space: Space
    fixed: tuple[str, ...]
    frozen: Frozen
    base: DictConfig
    objectives: tuple[Objective, ...]
    name: str
    folder: Path
    snapshot: Path
    task: Task
    program: str
    context: Mapping[str, Any]

    def known(self, key: str) -> Any:
        """Return what the configuration has for a key, or chose for a group; None if it has neither."""
        choices = self.base.hydra.runtime.choices
        return choices[key] if key in choices else OmegaConf.select(self.base, key)

    def overrides(self, values: Mapping[str, Any], repeat: int = 0) -> list[str]:
        """Return the overrides that make one run of a point."""
        seed = [override(self.settings.repeat_key, self.seed(repeat))] if self.settings.repeats > 1 else []
        return [*self.space.overrides(values), *seed]

    def seed(self, repeat: int) -> int:
        """Return the seed of a repeat."""
        return int(OmegaConf.select(self.base, self.settings.repeat_key) or 0) + repeat

    def folder_of(self, number: int, repeat: int = 0) -> Path:
        """Return the folder of a run."""
        return self.folder / str(number) / (str(repeat) if self.settings.repeats > 1 else "")

    def job(self, number: int, values: Mapping[str, Any], repeat: int, prunes: bool) -> Job:
        """Return one run of a trial as a process needs it."""
        overrides = self.overrides(values, repeat)
        conf = ["--config-path", str(self.frozen.conf)] if self.frozen.conf else []
        name = ["--config-name", str(self.base.hydra.job.config_name)] if conf else []
        return Job(
            study=self.name,
            number=number,
            params=values,
            folder=self.folder_of(number, repeat),
            recipe=self.frozen.recipe(overrides),
            task=self.task,
            arguments=(*conf, *name, *self.fixed, *overrides),
            alone=self.run_command(values, repeat),
            name=self.program,
            context=self.context,
            objectives=len(self.objectives),
            prunes=prunes,
            repeat=repeat,
            repeats=self.settings.repeats,
        )

    def run_command(self, values: Mapping[str, Any], repeat: int = 0) -> str:
        """Return the command that runs a trial again, for a shell."""
        return shlex.join(["python", sys.argv[0], *self.run_overrides(values, repeat)])

    def run_overrides(self, values: Mapping[str, Any], repeat: int = 0) -> list[str]:
        """Return the overrides of the single run that does what a trial did."""
        parsed = OverridesParser.create().parse_overrides(list(self.fixed))
        own = self.settings.sweep_keys
        fixed = [o.input_line for o in parsed if o.key_or_group not in own and o.input_line is not None]
        return [*fixed, *self.overrides(values, repeat)]


def make_plan(
    config: DictConfig, context: HydraContext, function: TaskFunction, arguments: list[str], snapshot: Path
) -> Plan:
    """Work out what the sweep is; `snapshot` is a folder for a copy of the configuration's files.

    Raises:
        UserError: a search space, objective or task function that cannot be.
    """
    try:
        settings = OmegaConf.to_object(config.hydra.sweeper)
    except OmegaConfBaseException as error:
        raise UserError(sentence(error) or " ".join(str(error).split())) from error
    assert isinstance(settings, Settings)
    task = find(function)
    if task is None:
        raise UserError(
            f"no other process can find {function.__name__}; define it at the top of its module, under that name."
        )
    folder = Path(str(config.hydra.sweep.dir)).absolute()
    loader = context.config_loader
    space, fixed = Space.parse(settings.params, arguments, loader.get_group_options)
    frozen = Frozen(config, loader, fixed, snapshot)
    base = frozen.config([])
    return Plan(
        settings=settings,
        space=space,
        fixed=tuple(fixed),
        frozen=frozen,
        base=base,
        objectives=objectives(base, settings.direction),
        name=settings.study_name or folder.name,
        folder=folder,
        snapshot=snapshot,
        task=task,
        program=JobRuntime.instance().get("name"),
        context=hydra_context(context),
    )
