"""What a sweep is, worked out from the configuration before anything runs."""

import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from hydra.core.utils import JobRuntime
from hydra.errors import HydraException
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, SCMode
from omegaconf.errors import OmegaConfBaseException

from sweeplab.errors import UserError
from sweeplab.hydra_errors import sentence
from sweeplab.records import provenance
from sweeplab.records.links import select
from sweeplab.records.objective import Objective
from sweeplab.secrets import masked_words
from sweeplab.sweep.config.folder_names import FolderNames
from sweeplab.sweep.config.hydra_job import hydra_context
from sweeplab.sweep.config.objectives import objectives
from sweeplab.sweep.config.settings import Settings
from sweeplab.sweep.config.snapshot import ConfigSnapshot
from sweeplab.sweep.config.trial_config import parse
from sweeplab.sweep.job import Job, Task, job_id
from sweeplab.sweep.program import task_of
from sweeplab.sweep.space.one_at_a_time import around_base, variants
from sweeplab.sweep.space.space import Space
from sweeplab.sweep.space.values import Value, override

# Hydra's flags that say which configuration is meant.
CONFIG_FLAGS = ("--config-name", "-cn", "--config-path", "-cp", "--config-dir", "-cd")


@dataclass(frozen=True)
class SweepSpec:
    """A sweep: its settings, its space, the configuration that its trials share, and where it writes.

    `id` tells its study apart from every other, also from one of the same name; it has none before the study is open.
    `has_objective` says whether an objective was asked for.
    """

    settings: Settings
    space: Space
    fixed_overrides: tuple[str, ...]
    config_snapshot: ConfigSnapshot
    base: DictConfig
    objectives: tuple[Objective, ...]
    name: str
    folder: Path
    snapshot: Path
    task: Task
    program: str
    context: Mapping[str, Any]
    folder_names: FolderNames
    id: str = ""
    has_objective: bool = True

    def default_of(self, key: str) -> Any:
        """Return what the configuration has for a key, or chose for a group; None if it has neither."""
        choices = self.base.hydra.runtime.choices
        return choices[key] if key in choices else select(self.base, key)

    def config(self, point: Mapping[str, Value]) -> DictConfig:
        """Return the configuration of a point, under the seed that the configuration has.

        Raises:
            UserError: it does not compose.
        """
        try:
            return self.config_snapshot.config(self.space.overrides(point))
        except (HydraException, OmegaConfBaseException) as error:
            raise self.mistake(point, error) from error

    def mistake(self, point: Mapping[str, Value], error: Exception) -> UserError:
        """Return what to tell the user where the configuration of a point cannot be."""
        reason = sentence(error, self.config_snapshot.conf) or " ".join(str(error).split())
        return UserError(f"{reason} [in the search space, with {' '.join(self.space.overrides(point))}]")

    def points(self) -> Iterator[dict[str, Value]]:
        """Return all points that a walk through the space goes to, in order.

        Raises:
            Endless: there are infinitely many.
        """
        if self.settings.one_at_a_time:
            return variants(self.space, self.default_of, self.settings.repeat_key)
        return self.space.grid(self.default_of)

    def size(self) -> int | None:
        """Return the number of points of that walk, None if there is no end to them."""
        if self.settings.one_at_a_time:
            return sum(1 for _ in self.points())
        return self.space.size(self.default_of)

    def overrides(self, values: Mapping[str, Any], repeat: int = 0) -> list[str]:
        """Return the overrides that make one run of a point."""
        overrides, key = self.space.overrides(values), self.settings.repeat_key
        if self.settings.repeats > 1:
            overrides.append(override(key, int(OmegaConf.select(self.base, key) or 0) + repeat))
        return overrides

    def folder_of(self, number: int, repeat: int = 0) -> Path:
        """Return the folder of a run."""
        return self.folder / self.folder_names.name_of(number) / (str(repeat) if self.settings.repeats > 1 else "")

    def name_folder(self, number: int, values: Mapping[str, Any]) -> str | None:
        """Choose the name of a trial's folder; None where that is its number."""
        if self.folder_names.are_numbers:
            return None
        return self.folder_names.choose(number, self.config_snapshot.config(self.overrides(values), number))

    def job(self, number: int, values: Mapping[str, Any], repeat: int, prunes: bool) -> Job:
        """Return one run of a trial as a process needs it."""
        trial_config = self.config_snapshot.trial_config(self.overrides(values, repeat))
        folder, is_numbered = self.folder_of(number, repeat), self.folder_names.are_numbers
        conf = ["--config-path", str(self.config_snapshot.conf)] if self.config_snapshot.conf else []
        more = ["--config-dir", str(self.config_snapshot.config_dir)] if self.config_snapshot.config_dir else []
        name = ["--config-name", str(self.base.hydra.job.config_name)] if conf else []
        return Job(
            study=self.name,
            number=number,
            params=values,
            folder=folder,
            trial_config=trial_config,
            task=self.task,
            arguments=(*conf, *more, *name, *trial_config.lines),
            rerun_command=single_run(self.rerun_overrides(values, repeat)),
            name=self.program,
            context=self.context,
            objectives=len(self.objectives),
            prunes=prunes,
            has_objective=self.has_objective,
            repeat=repeat,
            repeats=self.settings.repeats,
            id=job_id(self.id, number, repeat, self.settings.repeats),
            home=self.folder,
            subdir="" if is_numbered and self.settings.repeats == 1 else os.path.relpath(folder, self.folder),
            seed_key=self.settings.repeat_key,
            searched=self.space.keys,
        )

    def rerun_overrides(
        self, values: Mapping[str, Any], repeat: int = 0, fixed: Sequence[str] | None = None
    ) -> list[str]:
        """Return the overrides of the single run that does what a trial did; `fixed` are what all shared then."""
        parsed = _parsed(tuple(self.fixed_overrides if fixed is None else fixed))
        sweep_keys = self.settings.sweep_keys
        shared = [
            o.input_line
            for o in parsed
            if o.key_or_group.partition(".")[0] not in sweep_keys and o.input_line is not None
        ]
        return self.space.in_order([*shared, *self.overrides(values, repeat)])

    @property
    def another(self) -> str:
        """How a user names another sweep than this."""
        return "another study=" if "study" in self.base else "another hydra.sweep.dir="

    @property
    def resume_command(self) -> str:
        """The command that resumes this sweep, also if it was named by the clock; a secret in it is `***`."""
        return shlex.join([*provenance.words(), *masked_words(sys.argv[1:]), *self.naming])

    @property
    def naming(self) -> list[str]:
        """The words that name this sweep where its command leaves that to the clock."""
        if any(self.name in word for word in sys.argv):
            return []
        return [f"study={self.name}" if "study" in self.base else f"hydra.sweep.dir={self.folder}"]


_parsed = cache(parse)


def single_run(overrides: Sequence[str]) -> str:
    """Return the command of a single run, for a shell."""
    words = sys.argv[1:]
    flags = [word for pair in pairwise(words) if pair[0] in CONFIG_FLAGS for word in pair]
    return shlex.join([*provenance.words(), *flags, *overrides])


def make_spec(
    config: DictConfig, context: HydraContext, function: TaskFunction, arguments: list[str], snapshot: Path
) -> SweepSpec:
    """Work out what the sweep is; `snapshot` is a folder for a copy of the configuration's files.

    Raises:
        UserError: a search space, objective or task function that cannot be.
    """
    try:
        given: Any = OmegaConf.to_container(
            config.hydra.sweeper, resolve=True, enum_to_str=True, structured_config_mode=SCMode.DICT
        )
    except OmegaConfBaseException as error:
        raise UserError(sentence(error) or " ".join(str(error).split())) from error
    settings = Settings(**{key: value for key, value in given.items() if key in Settings.__dataclass_fields__})
    folder = Path(str(config.hydra.sweep.dir)).absolute()
    loader = context.config_loader
    space, fixed = Space.parse(settings.params, arguments, loader.get_group_options)
    config_snapshot = ConfigSnapshot(config, loader, fixed, snapshot, space.order)
    base = _base(config_snapshot, space)
    spec = SweepSpec(
        settings=settings,
        space=space,
        fixed_overrides=tuple(fixed),
        config_snapshot=config_snapshot,
        base=base,
        objectives=(),
        name=settings.study_name or folder.name,
        folder=folder,
        snapshot=snapshot,
        task=task_of(function),
        program=JobRuntime.instance().get("name"),
        context=hydra_context(context),
        folder_names=FolderNames(folder, base),
        has_objective=bool(settings.direction) or "objective" in base,
    )
    if settings.one_at_a_time:
        spec, first = replace(spec, space=around_base(space, spec.default_of, settings.repeat_key)), base
    else:
        first = spec.config(_first_choices(config_snapshot, space))
    return replace(spec, objectives=objectives(first, settings.direction))


def _base(config_snapshot: ConfigSnapshot, space: Space) -> DictConfig:
    """Compose what all trials share; where that needs a choice that is searched, with the first of each."""
    try:
        return config_snapshot.config([])
    except (HydraException, OmegaConfBaseException):
        if not (first := _first_choices(config_snapshot, space)):
            raise
        return config_snapshot.config(space.overrides(first))


def _first_choices(config_snapshot: ConfigSnapshot, space: Space) -> dict[str, Value]:
    """Return the first choice of each group that is searched everywhere."""
    groups = [parameter for parameter in space.parameters if config_snapshot.is_group(parameter.key)]
    return {group.key: group.points[0] for group in groups if group.points and not group.conditions}
