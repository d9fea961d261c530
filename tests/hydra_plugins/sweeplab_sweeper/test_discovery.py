"""What Hydra and its users find of the plugin, in this environment and from an installed wheel."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

APP = """
import hydra
@hydra.main(version_base="1.3", config_path=None)
def app(config):
    return 1.0
if __name__ == "__main__":
    app()
"""


def run(folder: Path, *arguments: str, path: Path | None = None) -> str:
    (folder / "app.py").write_text(APP)
    environment = {"PYTHONPATH": str(path)} if path else {}
    command = [sys.executable, *(["-S"] if path else []), "app.py", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment or None)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_hydra_lists_the_sweeper(tmp_path: Path) -> None:
    assert "SweeplabSweeper" in run(tmp_path, "--info", "plugins")


@pytest.mark.slow
def test_an_app_without_a_word_about_us_can_use_it(tmp_path: Path) -> None:
    said = run(tmp_path, "-m", "hydra/sweeper=sweeplab", "+x=1,2", "hydra/sweeper/pruner=median")
    assert "2 complete" in said


def test_nothing_heavy_is_imported_by_apps_that_do_not_sweep(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "app.py", "--info", "plugins"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "sweeplab" in imported
    assert not imported & {"torch", "lightning", "optuna", "wandb", "rich", "numpy", "psutil"}


@pytest.mark.slow
def test_an_installed_wheel_brings_the_plugin(tmp_path: Path) -> None:
    """The wheel is laid beside this environment's packages; our own sources are not in sight of the program."""
    wheels, site = tmp_path / "wheels", tmp_path / "site"
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(wheels), str(ROOT)]
    subprocess.run(build, check=True)
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
        (points,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert "[hydra.plugins]" in archive.read(points).decode()
    installed = [entry for entry in sys.path if entry.endswith("site-packages")]
    said = run(tmp_path, "--info", "plugins", path=Path(f"{site}:{':'.join(installed)}"))
    assert "SweeplabSweeper" in said
