from multiprocessing import forkserver, util
from pathlib import Path
from typing import Any

import pytest

from tests.sweeplab.sweep.programs import SWEEP, run, values, write


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


@pytest.mark.slow
def test_a_trial_imports_no_package_that_the_server_could_have(folder: Path) -> None:
    write(
        folder / "app.py",
        """
        import os, sys
        @main
        def app(config):
            packages = {name.partition(".")[0] for name in set(sys.modules) - sys.forked_with}
            print("imported", sorted(packages - sys.stdlib_module_names))
            return config.x + config.y
        os.register_at_fork(after_in_child=lambda: setattr(sys, "forked_with", set(sys.modules)))
        if __name__ == "__main__":
            app()
        """,
    )
    run("app.py", *SWEEP)
    for number in (0, 1):
        assert "imported []" in Path(f"sweep/{number}/output.log").read_text()


def test_what_is_private_in_libraries_is_there() -> None:
    assert callable(util.spawnv_passfds)
    server: Any = forkserver._forkserver
    assert server._forkserver_pid is None or server._forkserver_pid > 0
    assert callable(server._stop)
