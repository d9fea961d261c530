"""Sweeps on a real Ray cluster, whose nodes are added, stopped and killed meanwhile."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from sweeplab.errors import UserError
from sweeplab.sweep.config.settings import Settings
from sweeplab.sweep.execute import connect
from sweeplab.sweep.execute.ray import Ray
from tests.sweeplab.sweep.conftest import Start, output, processes_in, states, trials
from tests.sweeplab.sweep.ray_cluster import RayCluster, halt, kill

LEASE = "+hydra.sweeper.cluster.lease=5"
Sweep = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def ray() -> Iterator[RayCluster]:
    """A head without CPUs, and the node that is left of each test."""
    pytest.importorskip("ray")
    cluster = RayCluster()
    cluster.add()
    yield cluster
    cluster.close()


@pytest.fixture
def sweep_on(start: Start, ray: RayCluster) -> Sweep:
    """Start a sweep of the app on the cluster."""

    def run(*overrides: str, address: str = ray.address) -> "subprocess.Popen[str]":
        log = ("hydra/hydra_logging=default", "hydra/job_logging=default")
        where = ("+hydra.sweeper.cluster.engine=ray", f"+hydra.sweeper.cluster.address={address}")
        return start(*where, *log, *overrides)

    return run


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def began(*numbers: int) -> bool:
    return all(Path(f"multirun/study/{number}/output.log").exists() for number in numbers)


@pytest.mark.slow
def test_a_sweep_uses_the_nodes_of_ray_and_ray_says_nothing(sweep_on: Sweep) -> None:
    sweep = sweep_on("x=1,2,3")
    text = output(sweep)
    assert (sweep.returncode, states()) == (0, ["COMPLETE"] * 3), text
    assert text.count("has joined: 1 slot.") == 1
    assert "ray" not in text.lower().replace("+hydra.sweeper.cluster.engine=ray", ""), text
    until(lambda: not processes_in(Path.cwd()))


@pytest.mark.slow
def test_a_sweep_from_a_machine_outside_of_the_cluster(sweep_on: Sweep, ray: RayCluster) -> None:
    sweep = sweep_on("x=1,2", address=ray.client)
    text = output(sweep)
    assert (sweep.returncode, states()) == (0, ["COMPLETE"] * 2), text


@pytest.mark.slow
def test_the_trial_of_a_killed_node_runs_again_on_one_that_joins_late(sweep_on: Sweep, ray: RayCluster) -> None:
    sweep = sweep_on("x=1,2", "sleep=0.5", "steps=60")
    until(lambda: began(0))
    late = ray.add()
    until(lambda: began(1))
    kill(late)
    text = output(sweep)
    assert (sweep.returncode, states()) == (0, ["COMPLETE"] * 2), text
    assert text.count("has joined: 1 slot.") == 2
    (attempt,) = trials()[1].user_attrs["attempts"]
    assert attempt["status"] == "killed"


@pytest.mark.slow
def test_a_silent_node_is_noticed_and_its_trial_runs_elsewhere(sweep_on: Sweep, ray: RayCluster) -> None:
    silent = ray.add()
    sweep = sweep_on("x=1,2", "sleep=0.5", "steps=12", LEASE)
    until(lambda: began(0, 1))
    halt(silent)
    text = output(sweep)
    kill(silent)
    assert (sweep.returncode, states()) == (0, ["COMPLETE"] * 2), text
    assert "is gone; trials that ran there: #" in text


@pytest.mark.slow
def test_what_a_killed_controller_leaves_ends_and_the_same_command_goes_on(sweep_on: Sweep) -> None:
    sweep = sweep_on("x=1,2", "sleep=0.3", "steps=6")
    until(lambda: began(0))
    sweep.kill()
    sweep.wait()
    until(lambda: not processes_in(Path.cwd()))
    again = sweep_on("x=1,2", "sleep=0.3", "steps=6")
    text = output(again)
    assert (again.returncode, states()) == (0, ["COMPLETE"] * 2), text
    assert trials()[0].user_attrs["attempts"][0]["reason"] == "its controller was killed"


@pytest.mark.slow
def test_a_controller_that_dies_with_its_driver_leaves_nothing_that_runs(sweep_on: Sweep) -> None:
    sweep = sweep_on("x=1", "sleep=0.3", "steps=600")
    until(lambda: began(0))
    driver = [one for one in psutil.Process(sweep.pid).children() if "ray_driver" in " ".join(one.cmdline())]
    assert driver
    for process in [psutil.Process(sweep.pid), *driver]:
        process.kill()
    sweep.wait()
    until(lambda: not processes_in(Path.cwd()))


@pytest.mark.slow
def test_ctrl_c_ends_trials_as_on_one_machine_and_leaves_ray_to_others(sweep_on: Sweep) -> None:
    sweep = sweep_on("x=1,2", "sleep=0.5", "steps=100")
    until(lambda: began(0))
    sweep.send_signal(signal.SIGINT)
    time.sleep(0.5)
    sweep.send_signal(signal.SIGINT)
    text = output(sweep)
    assert sweep.returncode == 130, text
    assert "INTERRUPTED: the sweep was interrupted" in text
    until(lambda: not processes_in(Path.cwd()))


@pytest.mark.slow
def test_a_slot_for_each_gpu_and_where_others_use_them_the_sweep_says_that_it_waits(
    sweep_on: Sweep, ray: RayCluster
) -> None:
    node = ray.add("--num-cpus=3", "--num-gpus=2")
    first = sweep_on("x=range(3)", "sleep=0.5", "steps=400", "study=first", "hydra.sweeper.n_jobs=auto")
    until(lambda: Path("multirun/first/2").exists())  # a slot of the other node, and two here
    second = sweep_on("x=1", "study=second")
    assert second.stdout is not None
    assert any("(CPUs: 3, GPUs: 2)" in line for line in second.stdout)  # as soon as it is printed
    first.kill()
    assert "has joined: 2 slots." in output(first)
    text = output(second)
    kill(node)
    assert (second.returncode, states("second")) == (0, ["COMPLETE"]), text


@pytest.mark.slow
def test_that_ray_is_not_running_is_told_in_a_sentence(start: Start) -> None:
    pytest.importorskip("ray")
    where = ("+hydra.sweeper.cluster.engine=ray", "+hydra.sweeper.cluster.address=127.0.0.1:1")
    sweep = start("x=1,2", *where)
    text = output(sweep)
    assert sweep.returncode == 1
    assert "the Ray cluster at 127.0.0.1:1 cannot be used: [Errno 111] Connection refused." in text
    assert "Traceback" not in text


@pytest.mark.slow
def test_a_cluster_that_goes_ends_the_sweep_with_a_sentence(sweep_on: Sweep, ray: RayCluster) -> None:
    sweep = sweep_on("x=1,2", "sleep=0.5", "steps=600", LEASE)
    until(lambda: began(0))
    kill(ray.head)  # no other test can use it after this one
    text = output(sweep)
    assert sweep.returncode == 1
    assert f"the Ray cluster at {ray.address} cannot be used" in text
    assert "Traceback" not in text


def test_a_driver_that_ends_as_it_starts_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    setup = bytes(10_000_000)  # more than a socket takes before somebody reads
    with pytest.raises(UserError, match=r"the Ray cluster at auto cannot be used: .* 'import ray' may say why\."):
        Ray("auto", setup, 5.0)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"engine": "rayy", "address": "auto"}, "engine=rayy is no engine; did you mean 'ray'?"),
        ({"engine": "ray"}, "cluster.address=auto, or ray://"),
        ({"engine": "ray", "address": "auto", "start": {"_target_": "a.B"}}, "cluster.start does not go with Ray"),
        ({"engine": "ray", "address": "auto", "security": {"a": 1}}, "cluster.security does not go with Ray"),
        ({"engine": "ray", "address": "auto", "nodes": 2}, "cluster.nodes does not go with Ray"),
    ],
)
def test_settings_that_do_not_go_with_ray(given: dict[str, object], words: str) -> None:
    with pytest.raises(UserError) as caught:
        connect.cluster_of(Settings(cluster=given))
    assert words in str(caught.value)


@pytest.mark.parametrize(("engine", "package"), [("ray", "ray"), ("dask", "distributed")])
def test_a_missing_package_is_told_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, engine: str, package: str
) -> None:
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == package else pytest.fail(f"{name} is not needed")
    )
    with pytest.raises(UserError, match=rf"pip install 'sweeplab\[{engine}\]'"):
        connect.cluster_of(Settings(cluster={"engine": engine, "address": "auto"}))


def test_no_engine_is_imported_unless_it_is_chosen() -> None:
    code = "import sys, sweeplab.sweep.execute.connect as c; print({'ray', 'distributed', 'dask'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
