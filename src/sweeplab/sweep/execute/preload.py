"""Imported by the fork server before it forks: what every trial would otherwise import and learn for itself.

First, signals meant for the controller, or for everybody, no longer end this process. It ends with the controller, by
the pipe between them, and clears what a killed one leaves behind; until then it has to tell how the trials ended.

Then the program and modules are imported, configurations unpickled, and a job of each is run with a task that does
nothing: the parsers of Hydra and OmegaConf learn their grammars from what they read, which takes longer than a small
trial. What fails here is left to the trials, where it belongs to somebody. Nothing may touch a GPU: no process forked
after that could use one.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import pickle
import pkgutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sweeplab.streams import open_closed_streams
from sweeplab.sweep.execute import signals
from sweeplab.sweep.execute.temporary import remove_left_behind

if TYPE_CHECKING:
    from omegaconf import DictConfig


def import_program() -> None:
    """Import the program and the modules that the configuration and the listeners name."""
    from sweeplab.sweep.execute.fork_server import MAIN, MODULES, PATH
    from sweeplab.sweep.program import import_main

    sys.path[:] = json.loads(os.environ.get(PATH, "null")) or sys.path
    import_main(json.loads(os.environ.get(MAIN, "{}")))
    for name in os.environ.get(MODULES, "").split():
        with contextlib.suppress(Exception):
            pkgutil.resolve_name(name)


def warm_up() -> None:
    """Run a job of each combination of choices with a task that only looks at its configuration."""
    from omegaconf import open_dict

    from sweeplab.records import provenance
    from sweeplab.sweep.config.hydra_job import make_hydra_job
    from sweeplab.sweep.execute.fork_server import WARM_UP

    if not (path := os.environ.get(WARM_UP)):
        return
    try:
        jobs = Path(path).read_bytes()
    except FileNotFoundError:  # the sweep has ended before it began
        return
    trial_configs, program, context, script = pickle.loads(jobs)
    provenance.versions()
    provenance.code(Path(script).parent)  # what is imported here is what the trials run
    for trial_config in trial_configs:
        with contextlib.suppress(Exception), tempfile.TemporaryDirectory(dir=Path(path).parent) as folder:
            config, for_task = trial_config.config(0), trial_config.config(0)
            with open_dict(config):
                config.hydra.callbacks = {}
                config.hydra.sweep.dir = folder
            make_hydra_job(config, for_task, program, context).run(_look)
            trial_config.prefetch(2)  # a job needs two


def _look(config: "DictConfig") -> None:
    from omegaconf import OmegaConf

    OmegaConf.to_container(config, resolve=True)


signals.ignore()
open_closed_streams()
atexit.register(remove_left_behind)
importlib.import_module("sweeplab.sweep.execute.worker")  # where trials begin
import_program()
warm_up()
gc.collect()
gc.freeze()  # the pages of these objects stay shared with the trials
