"""The controller as a job; a program of a few lines stands in for SLURM's sbatch."""

import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sweeplab.errors import UserError
from sweeplab.sweep.config.settings import ClusterSettings
from sweeplab.sweep.execute.controller_job import RETRIES_OVER, TURN, run_controller
from sweeplab.sweep.spec import SweepSpec
from tests.sweeplab.sweep.specs import spec_of

# It keeps the script and the arguments of the last job, whose number is 7.
SBATCH = """#!/bin/sh
if [ "$1" = --test-only ]; then
    if grep -q nowhere; then echo "sbatch: error: no such partition" >&2; exit 1; fi
    exit 0
fi
cat > script
echo "$*" > arguments
echo 7
"""
pytest.importorskip("dask_jobqueue")
Control = Callable[..., int]


@pytest.fixture
def control(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Control:
    """Do what the command of a sweep with some overrides does."""
    program = folder / "bin" / "sbatch"
    program.parent.mkdir()
    program.write_text(SBATCH)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}/bin:/usr/bin:/bin")

    def run(
        *words: str,
        spec: SweepSpec | None = None,
        run: Callable[[], tuple[int, bool]] = lambda: (0, True),
        partition: str = "main",
    ) -> int:
        monkeypatch.setattr(sys, "orig_argv", ["python", "app.py", "-m", *words])
        monkeypatch.setattr(sys, "argv", ["app.py", "study=study"])  # no word is needed that names it
        start = {"_target_": "sweeplab.sweep.execute.slurm.SLURMCluster", "partition": partition}
        return run_controller(spec or spec_of(*words)[0], ClusterSettings(submit_controller=True, start=start), run)

    return run


@pytest.fixture
def turn(control: Control, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    """Be a job whose time is over after a second; return the words of the next one."""

    def run(*words: str, turns: int = 0, came_further: bool = True) -> list[str]:
        def over() -> tuple[int, bool]:
            time.sleep(1.0)
            signal.raise_signal(signal.SIGUSR1)
            return 143, came_further

        monkeypatch.setenv(TURN, str(turns))
        monkeypatch.setenv("SLURM_JOB_ID", "6")
        assert control(*words, run=over) == 0
        assert "--dependency=afterany:6" in Path("arguments").read_text()
        return shlex.split(script().splitlines()[-1])[4:]

    before = signal.getsignal(signal.SIGUSR1)
    yield run
    signal.signal(signal.SIGUSR1, before)


def script() -> str:
    return Path("script").read_text()


def test_the_command_itself_is_the_script_of_the_job(control: Control, capsys: pytest.CaptureFixture[str]) -> None:
    assert control("x=1,2", "name='a b'") == 0
    assert script().splitlines()[-1].startswith(f"""exec {sys.executable} app.py -m x=1,2 'name='"'"'a b'""")
    assert "--parsable --job-name=study" in Path("arguments").read_text()
    assert "exec" not in Path("arguments").read_text()
    assert "tail -F " in capsys.readouterr().out


def test_a_command_with_a_password_is_no_job(control: Control) -> None:
    spec = spec_of("x=1,2")[0]
    with pytest.raises(UserError, match=r"password in .*u:\*\*\*@h/db; .* 'hydra.sweeper.storage=\$\{oc.env:NAME\}'"):
        control("x=1,2", "hydra.sweeper.storage=postgresql://u:pw@h/db", spec=spec)
    assert not Path("script").exists()
    control("x=1,2", "hydra.sweeper.storage=${oc.env:SWEEPS}", spec=spec)
    assert "${oc.env:SWEEPS}" in script()


def test_the_next_job_has_what_is_left_of_the_timeout(turn: Callable[..., list[str]]) -> None:
    words = turn("x=1,2", "hydra.sweeper.timeout=100")
    assert words == ["x=1,2", "hydra.sweeper.timeout=99"]
    assert turn(*words) == ["x=1,2", "hydra.sweeper.timeout=98"]
    assert turn("x=1,2") == ["x=1,2"]


@pytest.mark.parametrize("word", ["hydra.sweeper.retry_failed=true", "hydra.sweeper.retry=[1,2]"])
def test_only_the_first_job_runs_failures_again(turn: Callable[..., list[str]], word: str) -> None:
    words = turn("x=1,2", word)
    assert words[:4] == ["x=1,2", word, *RETRIES_OVER]
    again = turn(*words[:4])
    assert again == words[:4]
    settings = spec_of(*words[:4])[0].settings
    assert (settings.retry_failed, settings.retry) == (False, None)


def test_neither_does_a_job_that_slurm_requeues(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    control("x=1,2", "hydra.sweeper.retry_failed=true")
    echo = script().replace("exec ", "exec echo ")
    first = subprocess.run(["sh"], input=echo, text=True, capture_output=True, check=True).stdout.split()
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    requeued = subprocess.run(["sh"], input=echo, text=True, capture_output=True, check=True).stdout.split()
    assert requeued == [*first, *RETRIES_OVER]


def test_jobs_in_a_row_in_which_no_trial_came_further_end_the_chain(turn: Callable[..., list[str]]) -> None:
    turn("x=1,2", turns=8, came_further=False)
    assert f"{TURN}=9\n" in script()
    with pytest.raises(UserError, match="in 10 jobs of the controller in a row no trial has ended, or reported"):
        turn("x=1,2", turns=9, came_further=False)
    turn("x=1,2", turns=9)
    assert f"{TURN}=0\n" in script()


def test_the_job_of_a_node_is_looked_at_before_the_controller_is_submitted(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"cluster.start: SLURMCluster says: .* no such partition"):
        control("x=1,2", partition="nowhere")
    assert not Path("script").exists()
    control("x=1,2")
    assert Path("script").exists()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="sbatch is not on the PATH"):
        control("x=1,2")
