from pathlib import Path
from typing import Any

import pytest
from omegaconf.basecontainer import BaseContainer

from sweeplab.sweep.execute.runtime_state import _words
from tests.sweeplab.sweep.programs import SWEEP, run, values, write


def test_values_are_compared_by_what_they_are() -> None:
    class Own:
        def __init__(self, held: Any) -> None:
            self.held = held

    def words(value: Any) -> str:
        return _words(value, {__name__})

    for one, other in ((1, 2), (1, True), ([1], [2]), ({"a": {1}}, {"a": {2}}), (Own([1]), Own([2])), (Own, Path)):
        assert words(one) != words(other)
        assert words(one) == words(one)
    assert words(object()) == words(object())
    endless: list[Any] = []
    endless.append(endless)
    assert words(endless)


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


def test_what_is_private_in_omegaconf_is_there() -> None:
    assert "oc.env" in BaseContainer._resolvers
