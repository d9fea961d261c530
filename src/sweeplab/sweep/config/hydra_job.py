"""What Hydra's `run_job` does for a launcher, in a process that has the configuration to itself.

Hydra copies the configuration seven times and writes YAML in Python, because many jobs may share a process; that takes
longer than starting the process. A test holds the files, the configuration and the order of events to Hydra's own.
"""

import importlib
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, chdir, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobRuntime, JobStatus, configure_log, env_override, setup_globals
from hydra.types import HydraContext
from hydra.version import VersionBase
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf._utils import get_omega_conf_dumper

from sweeplab.secrets import masked_config


def hydra_context(context: HydraContext) -> dict[str, Any]:
    """Return what a job must know of the process that composed it, whatever the version of Hydra has there."""
    more = {key: value for key, value in vars(context).items() if key not in ("config_loader", "callbacks")}
    return {**more, "version_base": VersionBase.instance().getbase()}


@contextmanager
def current(config: DictConfig) -> Iterator[DictConfig]:
    """Let `${hydra:...}` refer to a configuration."""
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)
    try:
        yield config
    finally:
        HydraConfig.instance().cfg = before


@dataclass(frozen=True)
class HydraJob:
    """A job that could start: its configuration, the part of it that is the task's, and the files to leave."""

    config: DictConfig
    for_task: DictConfig
    context: Mapping[str, Any]
    folder: Path
    files: Mapping[str, str]

    def run(self, task: Callable[[DictConfig], Any]) -> Any:
        """Run a task in its folder, logging and recording as a launcher does; return what it returns."""
        hydra = self.config.hydra
        self.folder.mkdir(parents=True, exist_ok=True)
        with _whitelisted(self.context), chdir(self.folder if _changes_folder(hydra) else Path.cwd()):
            more = {key: self.context[key] for key in ("execution_whitelist",) if key in self.context}
            configure_log(hydra.job_logging, hydra.verbose, **more)
            for name, text in self.files.items():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / name).write_text(text, encoding="utf-8")
            with env_override({name: str(value) for name, value in hydra.job.env_set.items()}):
                return _call(task, self.config, self.for_task)


def make_hydra_job(config: DictConfig, for_task: DictConfig, name: str, context: Mapping[str, Any]) -> HydraJob:
    """Make this process ready for a job; nothing is written yet.

    `config` and `for_task` are two copies of the job's configuration; `name` is the program's, `context` what
    `hydra_context` found in the process that composed it.
    """
    setup_globals()
    JobRuntime.instance().set("name", name)
    VersionBase.instance().setbase(context["version_base"])
    hydra = config.hydra
    HydraConfig.instance().cfg = config  # type: ignore[assignment]  # the real thing, where Hydra keeps a copy
    folder = Path(str(hydra.sweep.dir), str(hydra.sweep.subdir)).absolute()
    with read_write(config), open_dict(config):
        hydra.runtime.output_dir = str(folder)
    OmegaConf.set_readonly(hydra, True)
    with read_write(for_task), open_dict(for_task):
        del for_task["hydra"]
    return HydraJob(config, for_task, context, folder, dict(_files(config, for_task)))


def _call(task: Callable[[DictConfig], Any], config: DictConfig, for_task: DictConfig) -> Any:
    callbacks = Callbacks(config)
    result = JobReturn()
    result.cfg, result.hydra_cfg, result.overrides = for_task, config, list(config.hydra.overrides.task)
    result.working_dir, result.task_name = str(Path.cwd()), JobRuntime.instance().get("name")
    callbacks.on_job_start(config=config, task_function=task)
    try:
        result.return_value = value = task(for_task)
        result.status = JobStatus.COMPLETED
    except Exception as error:
        result.return_value, result.status = error, JobStatus.FAILED
        raise
    finally:
        for handler in logging.getLogger().handlers:
            handler.flush()
        callbacks.on_job_end(config=config, job_return=result)
    return value


def _changes_folder(hydra: DictConfig) -> bool:
    if hydra.job.chdir is None:
        return str(VersionBase.instance().getbase()) in ("1.0", "1.1")
    return bool(hydra.job.chdir)


def _whitelisted(context: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """Allow what the program allowed, from Hydra 1.4 on."""
    try:
        policy = importlib.import_module("hydra._internal.execution_policy")
    except ModuleNotFoundError:
        return nullcontext()
    allowed: AbstractContextManager[Any] = policy.execution_whitelist(context.get("execution_whitelist"), reset=True)
    return allowed


def _files(config: DictConfig, for_task: DictConfig) -> Iterator[tuple[str, str]]:
    """Return the name in the job's folder and the content of each file that describes its configuration."""
    task = OmegaConf.to_container(for_task, resolve=False, enum_to_str=True)
    if config.hydra.output_subdir is None:
        masked_config(task)  # from now on its secrets are taken out of errors
        return
    hydra = OmegaConf.to_container(config.hydra, resolve=False, enum_to_str=True)
    overrides = OmegaConf.to_container(config.hydra.overrides.task)
    parts = (("config", "", task), ("hydra", "hydra", hydra), ("overrides", "hydra.overrides", overrides))
    for name, key, content in parts:
        masked = masked_config(content, key)
        yield f"{config.hydra.output_subdir}/{name}.yaml", _yaml({"hydra": masked} if key == "hydra" else masked)


class _Dumper(getattr(yaml, "CDumper", yaml.Dumper)):  # type: ignore[misc]  # the one in C, where it was built
    """Writes as OmegaConf does."""


_Dumper.yaml_representers = get_omega_conf_dumper().yaml_representers


def _yaml(content: Any) -> str:
    written: str = yaml.dump(content, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, sort_keys=False)
    return written
