from pathlib import Path
from typing import Any

from sweeplab.sweep.execute.runtime_state import _words


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
