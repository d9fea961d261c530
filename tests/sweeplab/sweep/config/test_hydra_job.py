"""The oracle is Hydra: what its own `run_job` does with a configuration, ours does in its own process."""

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, run_job
from hydra.experimental.callback import Callback
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf

from sweeplab.secrets import without_secrets
from sweeplab.sweep.config.hydra_job import hydra_context, make_hydra_job
from sweeplab.sweep.config.snapshot import ConfigSnapshot
from tests.sweeplab.sweep.conftest import APP

told: list[str] = []


class Told(Callback):
    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        told.append(f"start {config.x}")

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        told.append(f"end {config.x} {job_return.status.name} {job_return.overrides} {job_return.cfg}")


OVERRIDES = {
    "plain": [
        "x=2",
        "name='a b: c'",
        "+text='1e3'",
        "+no='no'",
        "+unicode='äöü'",
        "+none=null",
        "+list=[1,'2',{a: b}]",
    ],
    "interpolated": ["+where=${hydra:runtime.output_dir}", "+job=${hydra:job.num}-${x}", "+now=${now:%Y}"],
    "chdir": ["hydra.job.chdir=true"],
    "no output": ["hydra.output_subdir=null"],
    "environment": ["+hydra.job.env_set.GREETING=hello"],
    "logging": ["hydra/job_logging=default"],
    "callback": ["+hydra.callbacks.told._target_=tests.sweeplab.sweep.config.test_hydra_job.Told"],
}


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(before):
        handler.close()
    root.handlers[:], root.level = before, level


def tell(config: DictConfig) -> dict[str, Any]:
    """What a task sees."""
    logging.getLogger("task").warning("a word")
    return {
        "config": OmegaConf.to_container(config, resolve=True),
        "hydra": OmegaConf.to_container(HydraConfig.get().job, resolve=True),
        "output": HydraConfig.get().runtime.output_dir,
        "directory": str(Path.cwd()),
        "greeting": os.environ.get("GREETING"),
        "struct": OmegaConf.is_struct(config),
    }


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): re.sub(
            r"\[[-0-9 :,]+\]", "[TIME]", path.read_text().replace(str(folder), "FOLDER")
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("overrides", OVERRIDES.values(), ids=list(OVERRIDES))
def test_a_job_leaves_and_sees_what_it_would_in_hydra(overrides: list[str], folder: Path) -> None:
    hydra = Hydra.create_main_hydra2("app", create_config_search_path(str(APP / "conf")))
    own = [override for override in overrides if "hydra." in override or "hydra/" in override]
    master = hydra.compose_config("config", own, RunMode.MULTIRUN)
    trial_config = ConfigSnapshot(master, hydra.config_loader, [], folder / "snapshot").trial_config(
        [override for override in overrides if override not in own]
    )
    seen: list[Any] = []
    for kind in ("hydra", "ours"):
        told.clear()
        (folder / kind).mkdir()
        os.chdir(folder / kind)
        HydraConfig.instance().set_config(trial_config.config(3))
        context = HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks(trial_config.config(3)))
        if kind == "hydra":
            done = run_job(tell, trial_config.config(3), "hydra.sweep.dir", "hydra.sweep.subdir", context)
            value: dict[str, Any] = done.return_value
        else:
            value = make_hydra_job(trial_config.config(3), trial_config.config(3), "app", hydra_context(context)).run(
                tell
            )
        assert str(Path.cwd()) == str(folder / kind)
        seen.append((str(value).replace(str(folder / kind), "FOLDER"), files(folder / kind), list(told)))
        os.chdir(folder)
    theirs, ours = seen
    assert ours == theirs


def test_the_error_of_a_task_comes_through_and_callbacks_hear_of_it(folder: Path) -> None:
    hydra = Hydra.create_main_hydra2("app", create_config_search_path(str(APP / "conf")))
    master = hydra.compose_config("config", OVERRIDES["callback"], RunMode.MULTIRUN)
    trial_config = ConfigSnapshot(master, hydra.config_loader, [], folder / "snapshot").trial_config([])

    def fails(config: DictConfig) -> None:
        raise KeyError("lost")

    context = HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks())
    told.clear()
    with pytest.raises(KeyError, match="lost"):
        make_hydra_job(trial_config.config(0), trial_config.config(0), "app", hydra_context(context)).run(fails)
    assert [line.split()[:3] for line in told] == [["start", "1.0"], ["end", "1.0", "FAILED"]]


def test_secrets_are_taken_out_of_errors_also_where_no_files_are_written(folder: Path) -> None:
    hydra = Hydra.create_main_hydra2("app", create_config_search_path(str(APP / "conf")))
    words = ["hydra.output_subdir=null", "+token=only-known-here"]
    master = hydra.compose_config("config", words, RunMode.MULTIRUN)
    trial_config = ConfigSnapshot(master, hydra.config_loader, words, folder / "snapshot").trial_config([])
    context = HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks())
    make_hydra_job(trial_config.config(0), trial_config.config(0), "app", hydra_context(context))
    assert without_secrets("401 for only-known-here") == "401 for ***"
