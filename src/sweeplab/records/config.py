"""The configuration that a run keeps: resolved, complete, and right wherever its folder is moved."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sweeplab.errors import UserError
from sweeplab.records import provenance, record, trust
from sweeplab.records.earlier import upgraded
from sweeplab.records.files import read_config, read_text, write_text
from sweeplab.records.flat import interpolations
from sweeplab.records.layout import RunFile, moved
from sweeplab.records.links import LINK, kept, resolved
from sweeplab.records.overrides import apply
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
    saved = read_config(path)
    if "folder" not in saved:
        raise UserError(f"{path} is not the configuration of a run: it has no folder.")
    home = str(folder.resolve())
    saved = upgraded(moved(saved, str(saved["folder"]), home)) | {"folder": home}
    saved.pop("hydra", None)
    source = None if trusted or is_own(folder) else trust.Source(path, folder)
    if source is not None:
        saved = _checked(saved, source) if to_build else trust.inert(saved)
    config: DictConfig = OmegaConf.create(moved(saved, home, moved_to or home))
    _interpolate(config, folder, anew, is_trusted=source is None)
    OmegaConf.set_struct(config, True)
    # The signature is of config.yaml alone: what run.json claims beside it is checked, too.
    source = None if trusted else source or trust.Source(path, folder, allowed=trust.named(saved))
    apply(config, overrides, folder, conf, source)
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
        raise UserError(f"{key}={HIDDEN} is a secret that was given in plain, so it was not saved; {again}")


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


def _interpolate(config: DictConfig, folder: Path, anew: bool, is_trusted: bool) -> None:
    """Put the interpolations back that Hydra composed, where they still give what was saved.

    Those that ask Hydra, the clock, the environment or the data stay as they were answered; the last ones are put back
    for a run that begins `anew`, with data of its own.
    """
    for key, text in interpolations(folder).items():
        if not is_trusted and trust.asks(text):
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
    """Say whether what an interpolation stands for is what was saved; one that cannot be resolved yet does not."""
    try:
        return bool(node[name] == OmegaConf.create({name: saved})[name])
    except OmegaConfBaseException:
        return False
