"""Imported by the fork server before it forks: what every trial would otherwise import and learn for itself.

An import that fails is left to the trials, where its error belongs to somebody. Nothing here may touch a GPU: no
process forked after that could use one.
"""

import contextlib
import gc
import importlib
import logging.handlers
import os
import string

import hydra._internal.core_plugins.basic_launcher
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

import sweeplab.sweep.settings
from sweeplab.sweep.local import VARIABLE

# What Hydra imports late, and the configuration's pickle.
EARLY = (hydra._internal.core_plugins.basic_launcher, logging.handlers, sweeplab.sweep.settings)

for _name in os.environ.get(VARIABLE, "").split():
    with contextlib.suppress(Exception):
        importlib.import_module(_name)
# ANTLR's parsers learn their grammars from what they read, which takes longer than a small trial.
_LETTERS = string.ascii_letters + string.digits + "_"
OverridesParser.create().parse_overrides(
    [
        f"a.{_LETTERS}=1e-3",
        f"+a=[1,{_LETTERS}]",
        "++a={b:1.5}",
        "a='b c'",
        "a/b=c-d_e",
        "~a",
        "a=null",
        "a=-1",
        "a=true",
    ]
)
OmegaConf.register_new_resolver("now", lambda pattern: pattern, replace=True)
_NODES = {
    "a": {"b": 1},
    "c": "${a.b}",
    "d": f"{_LETTERS}/.-${{c}}-${{oc.env:PATH,x}}",
    "e": "${now:%Y-%m-%d}/${now:%H-%M}",
}
OmegaConf.to_container(OmegaConf.create(_NODES), resolve=True)
gc.collect()
gc.freeze()  # the pages of these objects stay shared with the trials
