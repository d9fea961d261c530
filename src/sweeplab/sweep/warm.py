"""Imported by the fork server before it forks: what a trial will need, so that no trial has to import it.

An import that fails is left to the trials, where its error belongs to somebody. Nothing here may touch a GPU: no
process forked after that could use one.
"""

import contextlib
import gc
import importlib
import os

from sweeplab.sweep.local import VARIABLE

for _name in os.environ.get(VARIABLE, "").split():
    with contextlib.suppress(Exception):
        importlib.import_module(_name)
gc.collect()
gc.freeze()  # the pages of these objects stay shared with the trials
