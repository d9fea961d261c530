"""A run trained again: its own configuration in a new folder, started as Hydra starts any run."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import run_job
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, open_dict, read_write

from sweeplab.errors import UserError
from sweeplab.records import config as run_config
from sweeplab.records import overrides, record
from sweeplab.records.layout import RunFile
from sweeplab.records.run import SWEEP_GROUPS

NEW = "${hydra:runtime.output_dir}"  # what the former folder is called in the configuration, until the new one is there
# Libraries that share out a sum over threads, and round by their number, read these when they are imported.
NUMERIC = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_COUNT = re.compile(r"\d{1,6}(,\d{1,6})*")  # threads of nested loops are a list


def environment(variables: Mapping[str, Any] = os.environ) -> dict[str, str]:
    """Return the variables that decide a run's numbers, as far as they are set: known names, with numbers only.

    Whatever else stands in the record of a run that somebody sent is no business of this process.
    """
    return {name: value for name in NUMERIC if _COUNT.fullmatch(value := str(variables.get(name, "")))}


@dataclass(frozen=True)
class Rerun:
    """A run to be: `config` is that of the run in `origin`, with overrides on top and Hydra's own part beside it."""

    origin: Path
    config: DictConfig
    loader: ConfigLoader
    environment: Mapping[str, str]

    @classmethod
    def of(cls, origin: Path, words: Sequence[str], conf: Path, name: str, trusted: bool = False) -> "Rerun":
        """Prepare to train again what the run in `origin` trained; `conf` and `name` are the program's.

        Of `conf` Hydra's own part is taken, such as where runs are written, and what overrides choose from groups.

        Raises:
            UserError: there is no such run, an override that makes no single run, or a configuration that is not
                `trusted` and would build or write what `trust` does not let through.
        """
        if not record.is_run(origin) and (inside := sorted(origin.glob(f"*/{RunFile.RECORD}"))):
            raise UserError(f"{origin} holds several runs; name one, as in rerun={inside[0].parent}.")
        facts = record.read(origin)
        parsed = overrides.parse(words)
        of_task = [str(one.input_line) for one in parsed if not one.is_hydra_override()]
        config = run_config.load(origin, of_task, conf, NEW, anew=True, to_build=True, trusted=trusted)
        run_config.check_secrets(config)
        with initialize_config_dir(str(conf.resolve()), job_name=name, version_base="1.3"):
            hydras = [str(one.input_line) for one in parsed if one.is_hydra_override()]
            hydra = compose(name, hydras, return_hydra_config=True).hydra
            loader = GlobalHydra.instance().config_loader()
        chosen = {key: value for key, value in (facts.get("choices") or {}).items() if key not in SWEEP_GROUPS}
        with read_write(hydra), open_dict(hydra):
            hydra.mode = RunMode.RUN
            hydra.run.dir = str(hydra.run.dir)  # once: the clock goes on
            hydra.overrides.task = [*overrides.recorded(origin), *of_task]
            hydra.runtime.choices = {
                **{key: value for key, value in hydra.runtime.choices.items() if str(key).startswith("hydra/")},
                **chosen,
                **overrides.choices(of_task, conf),
            }
        with open_dict(config):
            config.hydra = hydra
        return cls(origin.resolve(), config, loader, environment(facts.get("environment") or {}))

    def start(self, task: Callable[[DictConfig], Any]) -> Any:
        """Run the task in the new folder; what decided the numbers of the former run is in its environment before."""
        for name, value in self.environment.items():
            os.environ.setdefault(name, value)
        callbacks = Callbacks(self.config)
        callbacks.on_run_start(config=self.config, config_name=None)
        context = HydraContext(config_loader=self.loader, callbacks=callbacks)
        done = run_job(task, self.config, "hydra.run.dir", None, context)
        callbacks.on_run_end(config=self.config, config_name=None, job_return=done)
        return done.return_value


def differences(before: Path, now: Path) -> list[str]:
    """Return what is not as it was, of all that is known to decide a run's numbers: nothing promises the same ones."""
    old, new = record.read(before), record.read(now)
    lines = _changed("the commit", _commit(old), _commit(new))
    if not lines and _patch(before, old) != _patch(now, new):
        lines = ["the uncommitted changes are others"]
    versions = old.get("versions") or {}, new["versions"]
    for package in sorted(versions[0].keys() | versions[1].keys()):
        lines += _changed(package, versions[0].get(package), versions[1].get(package))
    lines += _changed("the machine", old["process"]["host"], new["process"]["host"])
    return lines + _changed("the number of threads", old.get("threads"), new.get("threads"))


def _changed(what: str, old: Any, new: Any) -> list[str]:
    return [] if old == new else [f"{what} was {old or 'unknown'}, is {new or 'unknown'}"]


def _commit(facts: Mapping[str, Any]) -> str | None:
    return facts["git"]["commit"][:9] if facts.get("git") else None


def _patch(folder: Path, facts: Mapping[str, Any]) -> bytes:
    name = (facts.get("git") or {}).get("patch")
    path = folder / Path(str(name)).name
    return path.read_bytes() if name and path.is_file() else b""
