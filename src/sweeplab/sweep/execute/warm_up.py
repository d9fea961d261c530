"""Imported by the fork server before it forks: what every trial would otherwise import and learn for itself.

The program and modules are imported, configurations unpickled, and a job of each is rehearsed with a task that does
nothing: the parsers of Hydra and OmegaConf learn their grammars from what they read, which takes longer than a small
trial. What fails here is left to the trials, where it belongs to somebody. Nothing may touch a GPU: no process forked
after that could use one.
"""

import contextlib
import gc
import json
import os
import pickle
import pkgutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from sweeplab.records import provenance
from sweeplab.sweep.config.hydra_job import make_hydra_job
from sweeplab.sweep.config.snapshot import TrialConfig
from sweeplab.sweep.execute.fork_server import MAIN, MODULES, REHEARSAL
from sweeplab.sweep.program import import_main


def rehearse(trial_config: TrialConfig, name: str, context: Mapping[str, Any], folder: str) -> None:
    """Launch a job that does nothing but look at its configuration."""
    config, for_task = trial_config.config(0), trial_config.config(0)
    with open_dict(config):
        config.hydra.callbacks = {}
        config.hydra.sweep.dir = folder
    make_hydra_job(config, for_task, name, context).run(_look)


def _look(config: DictConfig) -> None:
    OmegaConf.to_container(config, resolve=True)


import_main(json.loads(os.environ.get(MAIN, "{}")))
for _name in os.environ.get(MODULES, "").split():
    with contextlib.suppress(Exception):
        pkgutil.resolve_name(_name)
if _path := os.environ.get(REHEARSAL):
    _trial_configs, _program, _context, _script = pickle.loads(Path(_path).read_bytes())
    provenance.versions()
    provenance.code(Path(_script).parent)  # what is imported here is what the trials run
    for _trial_config in _trial_configs:
        with contextlib.suppress(Exception), tempfile.TemporaryDirectory(dir=Path(_path).parent) as _folder:
            rehearse(_trial_config, _program, _context, _folder)
            _trial_config.prefetch(2)  # a job needs two
gc.collect()
gc.freeze()  # the pages of these objects stay shared with the trials
