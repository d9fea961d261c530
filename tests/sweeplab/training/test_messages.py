"""What a run says on a machine where SLURM is installed."""

from pathlib import Path

import pytest

from tests.conftest import ROOT, SMALL, Command


@pytest.mark.slow
def test_a_run_beside_an_idle_slurm_says_nothing_of_srun(command: Command, tmp_path: Path) -> None:
    srun = tmp_path / "bin" / "srun"
    srun.parent.mkdir()
    srun.touch(0o755)
    path = f"{srun.parent}:/usr/bin:/bin"
    done = command(str(ROOT / "train.py"), *SMALL, "model=linear", "hydra.run.dir=run", PATH=path)
    assert done.returncode == 0, done.stderr
    assert "srun" not in done.stdout + done.stderr
