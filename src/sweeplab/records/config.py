"""The configuration that a run keeps: resolved, complete, and right wherever its folder is moved."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from sweeplab.errors import UserError
from sweeplab.records import provenance, record, trust
from sweeplab.records.earlier import upgraded
from sweeplab.records.files import read_text, write_text
from sweeplab.records.flat import interpolations
from sweeplab.records.layout import RunFile, moved
from sweeplab.records.links import LINK, kept, resolved
from sweeplab.secrets import HIDDEN, hidden, masked_config

_OF_HYDRA = {"config.yaml": "", "hydra.yaml": "", "overrides.yaml": "hydra.overrides"}  # and the key that each holds
_ASKS = re.compile(r"\$\{(hydra|now|data|oc\.\w+):")


def save(config: DictConfig, folder: Path, keep: bool = True) -> str | None:
    """Write the resolved configuration to `folder`; with `keep` another one that is there stays beside it, numbered.

    What asks the environment stays an interpolation, and secrets in plain are masked. Return its signature, by which
    `load` knows it again; None where this user has no key.
    """
    text = OmegaConf.to_yaml(OmegaConf.create(masked_config(kept(config))))
    path = folder / RunFile.CONFIG
    if keep and path.exists() and (before := read_text(path)) != text:
        number = 1 + len(list(folder.glob(RunFile.EARLIER_CONFIG.format("*"))))
        write_text(folder / RunFile.EARLIER_CONFIG.format(number), before)
    write_text(path, text)
    return provenance.sign(text)


def load(
    folder: Path,
    overrides: Sequence[str] = (),
    conf: Path | None = None,
    moved_to: str | None = None,
    anew: bool = False,
    *,
    to_build: bool = False,
    trusted: bool = False,
) -> DictConfig:
    """Return the configuration of the run in `folder`, with Hydra overrides on top.

    Paths inside the folder follow it when it was moved, or go to `moved_to`. An override may choose from a group of
    `conf`. What was worked out from another key follows an override of that one; what came from the data stays as it
    was, or is a link again if a run begins `anew`.

    Unless it is `trusted`, or signed by this user, it is data: what asks for more than other keys is text; and if it is
    `to_build` something from, it is refused where it names what `trust` does not let through.

    Raises:
        UserError: there is no configuration in the folder, an override that only a sweep understands, or one of these.
    """
    path = folder / RunFile.CONFIG
    if not path.is_file():
        raise UserError(f"{path} does not exist; give the folder of a run.")
    saved = _read(path)
    if "folder" not in saved:
        raise UserError(f"{path} is not the configuration of a run: it has no folder.")
    home = str(folder.resolve())
    saved = upgraded(moved(saved, str(saved["folder"]), home)) | {"folder": home}
    saved.pop("hydra", None)
    source = None if trusted or is_own(folder) else trust.Source(path, folder)
    if source is not None:
        saved = _checked(saved, source) if to_build else trust.inert(saved)
    config: DictConfig = OmegaConf.create(moved(saved, home, moved_to or home))
    _interpolate(config, folder, anew, is_known=source is None)
    OmegaConf.set_struct(config, True)
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    chosen = [override for override in parsed if _is_choice(override, conf)]
    if chosen and conf:
        # The signature is of config.yaml alone: what run.json claims beside it is judged, too.
        judge = None if trusted else source or trust.Source(path, folder, known=trust.named(saved))
        before = recorded_overrides(folder)
        _choose(chosen, config, conf, _harmless(before, judge) if judge else before, config_name(folder), judge)
    for override in parsed:
        if override not in chosen:
            _apply(override, config)
    return config


def mask_hydra_files(folder: Path) -> None:
    """Mask the secrets in Hydra's own folder: it writes what was typed, before anybody can ask."""
    for name, key in _OF_HYDRA.items():
        path = folder / name
        if path.is_file():
            content = OmegaConf.to_container(OmegaConf.create(read_text(path)), resolve=False)
            if (masked := masked_config(content, key)) != content:
                write_text(path, OmegaConf.to_yaml(OmegaConf.create(masked)))


def check_secrets(config: DictConfig, groups: Sequence[str] | None = None) -> None:
    """Make sure that no secret is needed that was given in plain, and so is not kept; in all groups, or in some.

    Raises:
        UserError: there is one, with what to write.
    """
    plain: Any = OmegaConf.to_container(config, resolve=False)
    for key in hidden({name: value for name, value in plain.items() if groups is None or name in groups}):
        again = f"write {key}=... or '{key}=${{oc.env:...}}'."
        raise UserError(f"{key}={HIDDEN} was given in plain, so it is not kept; {again}")


def is_own(folder: Path) -> bool:
    """Say whether the configuration in a folder is as this user's own run left it."""
    signature = record.read_partial(folder).get("signature")
    return signature is not None and provenance.is_signed(read_text(folder / RunFile.CONFIG), signature)


def _checked(saved: dict[str, Any], source: trust.Source) -> dict[str, Any]:
    """Return a configuration of which something may be built.

    Raises:
        UserError: it names what may not, or interpolations that lead nowhere.
    """
    trust.check(saved, source)
    try:
        trust.check_places(resolved(OmegaConf.create(saved)), source)
    except OmegaConfBaseException as error:
        raise UserError(f"{source.file} is broken: {' '.join(str(error).split())}.") from error
    return saved


def _harmless(overrides: Sequence[str], source: trust.Source) -> list[str]:
    """Return the overrides of the task that a run which somebody sent says it was made with.

    Raises:
        UserError: one of them names what may not be built.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    own = [override for override in parsed if not override.is_hydra_override()]
    for override in own:
        if not override.is_delete():
            trust.check({override.key_or_group: override.value()}, source)
    return [str(override.input_line) for override in own]


def _read(path: Path) -> dict[str, Any]:
    try:
        content = OmegaConf.to_container(OmegaConf.create(read_text(path)))
    except UserError:
        raise
    except (ValueError, YAMLError, OmegaConfBaseException, RecursionError) as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())}.") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is not the configuration of a run.")
    return {str(key): value for key, value in content.items()}


def _interpolate(config: DictConfig, folder: Path, anew: bool, is_known: bool) -> None:
    """Put the interpolations back that Hydra composed, where they still give what was saved.

    Those that ask Hydra, the clock, the environment or the data stay as they were answered; the last ones are put back
    for a run that begins `anew`, with data of its own.
    """
    for key, text in interpolations(folder).items():
        if not is_known and trust.asks(text):
            continue
        *above, name = key.split(".")
        node = OmegaConf.select(config, ".".join(above)) if above else config
        if not isinstance(node, DictConfig) or name not in node:
            continue
        if anew and LINK.search(text):
            node[name] = text
        if _ASKS.search(text):
            continue
        saved = OmegaConf.to_container(node)[name]  # type: ignore[index,call-overload]  # a dict, as its node is one
        node[name] = text
        if not _gives(node, name, saved):
            node[name] = saved


def _gives(node: DictConfig, name: str, saved: Any) -> bool:
    """Say whether what an interpolation stands for is what was saved; a path that is not known yet is never."""
    try:
        return bool(node[name] == OmegaConf.create({name: saved})[name])
    except OmegaConfBaseException:
        return False


def choices(overrides: Sequence[str], conf: Path) -> dict[str, str]:
    """Return what overrides choose from the groups of `conf`."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return {override.key_or_group: str(override.value()) for override in parsed if _is_choice(override, conf)}


def config_name(folder: Path) -> str:
    """Return the name of the primary configuration that the run in `folder` was composed from."""
    path = folder / RunFile.HYDRA_ITSELF
    found = OmegaConf.select(OmegaConf.create(_read(path)), "hydra.job.config_name") if path.is_file() else None
    return str(found) if re.fullmatch(r"\w[\w-]*", str(found or "")) else "train"  # a name, and no way elsewhere


def recorded_overrides(folder: Path) -> list[str]:
    """Return the overrides that the run in `folder` was made with, those of all its attempts one after the other."""
    facts = record.read_partial(folder)
    return [override for part in (*(facts.get("attempts") or ()), facts) for override in part.get("overrides") or ()]


def _is_choice(override: Override, conf: Path | None) -> bool:
    return conf is not None and (conf / override.key_or_group).is_dir()


def _choose(
    choices: list[Override], config: DictConfig, conf: Path, before: list[str], name: str, judge: trust.Source | None
) -> None:
    """Replace whole groups, each with what the run's own overrides make of the new choice.

    Raises:
        UserError: these overrides bring something along that the program's files do not name and `judge` refuses.
    """
    lines = [str(choice.input_line) for choice in choices]
    with initialize_config_dir(str(conf.resolve()), version_base="1.3"):
        composed = compose(name, [*before, *lines])
        alone = compose(name, lines) if judge else None
    for choice in choices:
        key = choice.key_or_group
        if key not in config:
            raise UserError(f"{choice.input_line} is a choice for a new run; here, set the keys that it would set.")
        found = OmegaConf.to_container(composed[key])
        if judge and alone is not None:
            files = trust.named(OmegaConf.to_container(alone, resolve=False))
            trust.check({key: found}, replace(judge, known=judge.known | files))
        OmegaConf.update(config, key, found, merge=False)


def _apply(override: Override, config: DictConfig) -> None:
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
