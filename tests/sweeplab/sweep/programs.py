"""Programs as people write them, each as a script of its own, and what their sweeps came to."""

import csv
import os
import subprocess
import sys
from pathlib import Path

from tests.sweeplab.sweep.conftest import IS_1_3

HEAD = """
import functools
from dataclasses import dataclass, field
import hydra
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf
main = hydra.main(version_base="1.3", config_path=None, config_name="config")
ConfigStore.instance().store(name="config", node={"x": 1, "y": 0})
"""
SWEEP = ("-m", "hydra/sweeper=sweeplab", "hydra.sweep.dir=sweep", "x=1,2", "y=3")


def write(path: Path, program: str) -> None:
    path.parent.mkdir(exist_ok=True)
    lines = program.strip("\n").splitlines()
    indent = len(lines[0]) - len(lines[0].lstrip())
    path.write_text("\n".join([HEAD, *(line[indent:] for line in lines)]) + "\n")


def run(*command: str) -> str:
    warnings = "error" if IS_1_3 else "ignore"  # Hydra 1.4 warns of version_base, which 1.3 wants
    environment = {**os.environ, "PYTHONWARNINGS": warnings}
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, env=environment)
    return done.stdout + done.stderr


def values() -> list[float | None]:
    rows = csv.DictReader(Path("sweep/trials.csv").read_text().splitlines())
    return [float(row["objective"]) if row["objective"] else None for row in rows]
