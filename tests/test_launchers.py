"""Hydra's own sweeper with other people's launchers: who has them keeps them."""

import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tests.conftest import Command, small


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_plain_hydra_sweeps_with_other_launchers(command: Command, tmp_path: Path, launcher: str) -> None:
    choices = ("hydra/sweeper=basic", f"hydra/launcher={launcher}", "hydra.sweep.dir=sweep")
    command("train.py", "-m", *choices, *small("data=digits", "seed=0,1"))
    for number in (0, 1):
        folder = tmp_path / "sweep" / str(number)
        run = json.loads((folder / "run.json").read_text())
        assert (run["status"], run["seed"]) == ("complete", number)
        assert (folder / run["checkpoint"]).is_file()
        # Hydra's own launcher would have named the job by its number.
        assert OmegaConf.load(folder / ".hydra" / "hydra.yaml").hydra.job.id != str(number)
