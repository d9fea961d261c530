"""Overrides on top of the configuration that a run keeps, and those that the run was made with."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from sweeplab.errors import UserError
from sweeplab.records import record, trust
from sweeplab.records.files import read_config
from sweeplab.records.layout import RunFile


def parse(overrides: Sequence[str]) -> list[Override]:
    """Return overrides as Hydra reads them."""
    return OverridesParser.create().parse_overrides(list(overrides))


def choices(overrides: Sequence[str], conf: Path) -> dict[str, str]:
    """Return what overrides choose from the groups of `conf`."""
    return {override.key_or_group: str(override.value()) for override in parse(overrides) if _is_choice(override, conf)}


def recorded(folder: Path) -> list[str]:
    """Return the overrides that the run in `folder` was made with, those of all its attempts one after the other."""
    facts = record.read_partial(folder)
    return [override for part in (*(facts.get("attempts") or ()), facts) for override in part.get("overrides") or ()]


def apply(
    config: DictConfig, overrides: Sequence[str], folder: Path, conf: Path | None, source: trust.Source | None
) -> None:
    """Put overrides on top of the configuration of the run in `folder`; an override may choose from a group of `conf`.

    Raises:
        UserError: an override that only a sweep understands, or, where there is a `source` to check, a choice that
            brings along what may not be built.
    """
    parsed = parse(overrides)
    chosen = [override for override in parsed if conf and _is_choice(override, conf)]
    if chosen and conf:
        _choose(chosen, config, folder, conf, source)
    for override in parsed:
        if override not in chosen:
            _set(override, config)


def _is_choice(override: Override, conf: Path) -> bool:
    return (conf / override.key_or_group).is_dir()


def _choose(
    chosen: Sequence[Override], config: DictConfig, folder: Path, conf: Path, source: trust.Source | None
) -> None:
    """Replace whole groups, each with what the run's own overrides make of the new choice."""
    lines = [str(choice.input_line) for choice in chosen]
    before, name = recorded(folder), config_name(folder)
    if source:
        before = _harmless(before, source)
    with initialize_config_dir(str(conf.resolve()), version_base="1.3"):
        composed = compose(name, [*before, *lines])
        from_files = OmegaConf.to_container(compose(name, lines), resolve=False) if source else None
    for choice in chosen:
        key = choice.key_or_group
        if key not in config:
            raise UserError(f"{choice.input_line} is a choice for a new run; here, set the keys that it would set.")
        group = OmegaConf.to_container(composed[key])
        if source:
            trust.check({key: group}, replace(source, allowed=source.allowed | trust.named(from_files)))
        OmegaConf.update(config, key, group, merge=False)


def _harmless(overrides: Sequence[str], source: trust.Source) -> list[str]:
    """Return the overrides of the task that a run which somebody sent says it was made with.

    Raises:
        UserError: one of them names what may not be built.
    """
    of_task = [override for override in parse(overrides) if not override.is_hydra_override()]
    for override in of_task:
        if not override.is_delete():
            trust.check({override.key_or_group: override.value()}, source)
    return [str(override.input_line) for override in of_task]


def config_name(folder: Path) -> str:
    """Return the name of the primary configuration that the run in `folder` was composed from."""
    path = folder / RunFile.HYDRA_ITSELF
    name = OmegaConf.select(OmegaConf.create(read_config(path)), "hydra.job.config_name") if path.is_file() else None
    return str(name) if re.fullmatch(r"\w[\w-]*", str(name or "")) else "train"  # a name, and no way elsewhere


def _set(override: Override, config: DictConfig) -> None:
    key = override.key_or_group
    if override.is_sweep_override():
        raise UserError(f"{override.input_line} asks for several runs; give one value.")
    if override.is_delete():
        parent, _, name = key.rpartition(".")
        with open_dict(config):
            OmegaConf.select(config, parent).pop(name) if parent else config.pop(name)
    else:
        value = override.value()
        OmegaConf.update(config, key, value, merge=not isinstance(value, dict), force_add=override.is_add())
