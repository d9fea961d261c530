"""What a file that somebody sent may set as an experiment: what a run is made of, and how it is searched."""

import re
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from sweeplab.errors import UserError
from sweeplab.records.trust import Source, check, check_places

# Of Hydra's own part: how a search goes. What names code, other processes or places is left out.
SEARCH = ("params", "n_trials", "timeout", "trial_timeout", "repeats", "repeat_key", "seed", "direction", "enqueue")
# A choice that is put into Hydra's part, or taken from one of its groups but those of searches.
_HYDRA = re.compile(r"@[\w.]*hydra|^(override )?\s*/?hydra(?!/sweeper/(sampler|pruner)$)")


def check_experiment(path: Path, content: Any, package: str) -> None:
    """Make sure that a file as it was read, put into `package`, builds, asks and writes nothing it may not.

    Raises:
        UserError: the first thing that it may not.
    """
    source = Source(path, path.parent, inside="${folder}")
    plain: Any = OmegaConf.to_container(content, resolve=False)
    if not isinstance(plain, dict):
        raise UserError(f"{path} holds no keys.")
    check(plain, source)
    check_places(plain, source)
    defaults = [word for entry in plain.get("defaults") or () for word in _words(entry)]
    keys = [key for key in _hydra_keys(plain.get("hydra")) if key not in {f"hydra.sweeper.{name}" for name in SEARCH}]
    if refused := [
        *keys,
        *(word for word in defaults if _HYDRA.search(word)),
        *([package] if "hydra" in package else ()),
    ]:
        raise UserError(f"{path} sets {refused[0]}, which decides what is run and where; {source.remedy}")


def _words(entry: Any) -> list[str]:
    return list(map(str, entry)) if isinstance(entry, dict) else [str(entry)]


def _hydra_keys(hydra: Any) -> list[str]:
    """Return the keys that a file sets below `hydra`: of the sweeper each, of others the first."""
    if hydra is None:
        return []
    if not isinstance(hydra, dict):
        return ["hydra"]
    sweeper = hydra.get("sweeper")
    of_sweeper = [f"hydra.sweeper.{key}" for key in sweeper] if isinstance(sweeper, dict) else []
    return [*(f"hydra.{key}" for key in hydra if key != "sweeper" or not isinstance(sweeper, dict)), *of_sweeper]
