"""Programs as people write them, each as a script of its own: trials have all that the program has."""

import csv
import multiprocessing
import os
import subprocess
import sys
from multiprocessing import forkserver, util
from pathlib import Path
from typing import Any

import pytest
from omegaconf.basecontainer import BaseContainer

from sweeplab.sweep.program import is_imported_elsewhere, task_of
from tests.sweeplab.sweep.app import app
from tests.sweeplab.sweep.conftest import IS_1_3

pytestmark = pytest.mark.slow

HEAD = """
import functools
from dataclasses import dataclass, field
import hydra
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf
main = hydra.main(version_base="1.3", config_path=None, config_name="config")
ConfigStore.instance().store(name="config", node={"x": 1, "y": 0})
"""
# What x=2 y=3 comes to is 5, if the trial has everything.
PROGRAMS = {
    "a dataclass and a resolver of the program's own": """
        @dataclass
        class Part:
            y: int = 0
        @dataclass
        class Config:
            x: int = 1
            y: int = 0
            part: Part = field(default_factory=lambda: Part("${add:${..y},0}"))
        ConfigStore.instance().store(name="config", node=Config)
        OmegaConf.register_new_resolver("add", lambda a, b: a + b)
        @main
        def app(config):
            assert OmegaConf.get_type(config) is Config
            return config.x + config.part.y
        if __name__ == "__main__":
            app()
    """,
    "values set before the task": """
        ONE, PARTS = 0, {}
        class Settings:
            two = 0
        @main
        def app(config):
            return config.x + config.y + ONE + NEW + Settings.two - PARTS["three"]
        if __name__ == "__main__":
            ONE, NEW, Settings.two, PARTS["three"] = 1, 1, 1, 3
            app()
    """,
    "one value in an object": """
        class Settings:
            def __init__(self):
                self.one = 0
        settings = Settings()
        @main
        def app(config):
            return config.x + config.y + settings.one - 1
        if __name__ == "__main__":
            settings.one = 1
            app()
    """,
    "a resolver that a function registers": """
        @main
        def app(config):
            return OmegaConf.create("sum: ${add:%d,%d}" % (config.x, config.y)).sum
        def start():
            OmegaConf.register_new_resolver("add", lambda a, b: a + b)
            app()
        if __name__ == "__main__":
            start()
    """,
    "a value in another module": """
        import beside
        @main
        def app(config):
            return config.x + config.y + beside.ONE - 1
        if __name__ == "__main__":
            beside.ONE = 1
            app()
    """,
    "a task under the guard": """
        if __name__ == "__main__":
            @main
            def app(config):
                return config.x + config.y
            app()
    """,
    "a function in a function": """
        def start(more):
            main(lambda config: config.x + config.y + more)()
        if __name__ == "__main__":
            start(0)
    """,
    "a dataclass in a function": """
        @main
        def app(config):
            return config.x + config.y
        def start():
            @dataclass
            class Config:
                x: int = 1
                y: int = 0
            ConfigStore.instance().store(name="config", node=Config)
            app()
        if __name__ == "__main__":
            start()
    """,
    "a bound method": """
        class Tool:
            more = 0
            def run(self, config):
                return config.x + config.y + self.more
        if __name__ == "__main__":
            main(Tool().run)()
    """,
    "an object that can be called": """
        class Tool:
            def __call__(self, config):
                return config.x + config.y
        if __name__ == "__main__":
            main(Tool())()
    """,
    "no guard": """
        @main
        def app(config):
            return config.x + config.y
        app()
    """,
    "decorators, one of them not in its place": """
        def careful(task):
            @functools.wraps(task)
            def inner(config):
                return task(config) + 1
            return inner
        def careless(task):
            return lambda config: task(config) - 1
        @main
        @careful
        @careless
        def app(config):
            return config.x + config.y
        if __name__ == "__main__":
            app()
    """,
}
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


FEW = ("values set before the task", "a bound method", "no guard")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in FEW else pytest.mark.slow) for name in PROGRAMS]
)
def test_a_trial_has_what_the_program_has(folder: Path, name: str) -> None:
    write(folder / "app.py", PROGRAMS[name])
    (folder / "beside.py").write_text("ONE = 0\n")
    said = run("app.py", *SWEEP)
    assert "2 complete" in said
    assert "Error" not in said
    assert values() == [4.0, 5.0]


@pytest.mark.parametrize("name", ["package", "package.app"])
def test_a_program_in_a_package_is_run_and_told_by_its_name(folder: Path, name: str) -> None:
    write(folder / "package" / "app.py", PROGRAMS["a value in another module"].replace("import", "import package as"))
    write(folder / "package" / "__main__.py", PROGRAMS["no guard"])
    (folder / "package" / "__init__.py").write_text("ONE = 0\n")
    said = run("-m", name, *SWEEP)
    assert values() == [4.0, 5.0]
    assert f"to run it again python -m {name} " in said


@pytest.mark.slow
def test_a_second_sweep_of_a_process_has_what_the_program_has_by_then(folder: Path) -> None:
    write(
        folder / "app.py",
        """
        import sys
        MORE = -1
        @main
        def app(config):
            return config.x + config.y + MORE
        if __name__ == "__main__":
            arguments = sys.argv[1:]
            for MORE in (-1, 10, 0):
                sys.argv[1:] = [*arguments, f"hydra.sweep.dir=sweep{MORE}"]
                app()
        """,
    )
    run("app.py", *(word for word in SWEEP if "dir" not in word))
    for more, expected in ((-1, [3.0, 4.0]), (10, [14.0, 15.0]), (0, [4.0, 5.0])):
        Path(f"sweep{more}").rename("sweep")
        assert values() == expected
        Path("sweep").rename(f"was{more}")


@pytest.mark.slow
def test_what_only_a_fork_can_run_is_refused_where_there_is_none(folder: Path) -> None:
    write(folder / "app.py", PROGRAMS["a bound method"])
    said = run("app.py", *SWEEP, "hydra.sweeper.executor=spawn")
    assert said.startswith("Error: no other process can import run; ")
    assert len(said.splitlines()) == 1
    assert not Path("sweep").exists()
    assert "2 complete" in run("app.py", *SWEEP, "hydra.sweeper.executor=inline")


STATE = """
    import sys
    from sweeplab.sweep.execute import fork_server
    ONE = 0
    @main
    def app(config):
        return config.x + config.y + ONE
    if __name__ == "__main__":
        ONE = 1
        fork_server._uses_gpu = lambda: True  # there is none here: what says so is taken from /proc
        app()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("executor", "why"),
    [("spawn", "executor=local would keep them."), ("local", "the program has already used a GPU")],
)
def test_what_trials_lack_is_told_where_they_cannot_be_forks_of_the_program(
    folder: Path, executor: str, why: str
) -> None:
    write(folder / "app.py", STATE)
    said = run("app.py", *SWEEP, f"hydra.sweeper.executor={executor}")
    assert f"without what was set at run time, __main__.ONE: {why}" in said
    assert values() == [4.0, 5.0]


@pytest.mark.slow
def test_no_other_process_draws_for_what_only_a_fork_of_the_program_has(folder: Path) -> None:
    write(
        folder / "app.py",
        """
        import time
        from optuna.samplers import RandomSampler
        from sweeplab.sweep.study import suggestions
        ONE = 0
        class Slow(RandomSampler):
            def infer_relative_search_space(self, study, trial):
                time.sleep(0.3)
                return {}
        @main
        def app(config):
            assert ONE
            return config.x + config.y
        if __name__ == "__main__":
            ONE, suggestions.SamplerProcess = 1, None
            app()
        """,
    )
    sampler = ("hydra.sweeper.sampler={_target_: __main__.Slow}", "hydra.sweeper.n_trials=8", "hydra.sweeper.n_jobs=2")
    assert "8 complete" in run("app.py", *SWEEP[:-2], "x=interval(0,1)", *sampler)


@pytest.mark.parametrize("name", ["importer", "sampler process", "trial-3"])
def test_a_program_without_a_guard_sweeps_in_no_process_that_imports_it(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert not is_imported_elsewhere()
    monkeypatch.setattr(multiprocessing.current_process(), "name", name)
    assert is_imported_elsewhere()


def test_a_crash_in_a_fork_of_the_program_is_one_trials_own(folder: Path) -> None:
    write(
        folder / "app.py",
        """
        import os, signal
        if __name__ == "__main__":
            def app(config):
                if config.x == 1:
                    os.kill(os.getpid(), signal.SIGKILL)
                return config.x + config.y
            main(app)()
        """,
    )
    assert "1 complete, 1 killed" in run("app.py", *SWEEP, "hydra.sweeper.retries=0")


@pytest.mark.slow
def test_threads_that_computed_before_the_sweep_hold_no_trial_up(folder: Path) -> None:
    pytest.importorskip("torch")
    write(
        folder / "app.py",
        """
        import torch
        @main
        def app(config):
            return config.x + config.y + float((torch.ones(1000, 1000) @ SOME).mean())
        if __name__ == "__main__":
            torch.set_num_threads(2)
            SOME = torch.ones(1000, 1000) @ torch.zeros(1000, 1000)
            app()
        """,
    )
    assert "2 complete" in run("app.py", *SWEEP, "hydra.sweeper.trial_timeout=60")


def test_a_task_that_can_be_imported_is_found_with_its_layers() -> None:
    task = task_of(app.app.__wrapped__)
    assert (task.module, task.name, task.layers) == (app.__name__, "app", 1)
    assert task.function() is app.app.__wrapped__
    assert task_of(app.nothing).layers == 0
    assert task_of(lambda config: 1.0).module == ""


def test_what_is_private_in_libraries_is_there() -> None:
    assert callable(util.spawnv_passfds)
    server: Any = forkserver._forkserver
    assert server._forkserver_pid is None or server._forkserver_pid > 0
    assert callable(server._stop)
    assert "oc.env" in BaseContainer._resolvers
