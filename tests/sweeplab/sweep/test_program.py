"""Programs as people write them, each as a script of its own: trials have all that the program has."""

import multiprocessing
from pathlib import Path

import pytest

from sweeplab.sweep.program import is_imported_elsewhere, task_of
from tests.sweeplab.sweep.app import app
from tests.sweeplab.sweep.programs import SWEEP, run, values, write

pytestmark = pytest.mark.slow

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
def test_what_only_a_fork_can_run_is_refused_where_there_is_none(folder: Path) -> None:
    write(folder / "app.py", PROGRAMS["a bound method"])
    said = run("app.py", *SWEEP, "hydra.sweeper.executor=spawn")
    assert said.startswith("Error: no other process can import run; ")
    assert len(said.splitlines()) == 1
    assert not Path("sweep").exists()
    assert "2 complete" in run("app.py", *SWEEP, "hydra.sweeper.executor=inline")


@pytest.mark.parametrize("name", ["importer", "sampler process", "trial-3"])
def test_a_program_without_a_guard_sweeps_in_no_process_that_imports_it(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert not is_imported_elsewhere()
    monkeypatch.setattr(multiprocessing.current_process(), "name", name)
    assert is_imported_elsewhere()


def test_a_task_that_can_be_imported_is_found_with_its_layers() -> None:
    task = task_of(app.app.__wrapped__)
    assert (task.module, task.name, task.layers) == (app.__name__, "app", 1)
    assert task.function() is app.app.__wrapped__
    assert task_of(app.nothing).layers == 0
    assert task_of(lambda config: 1.0).module == ""
