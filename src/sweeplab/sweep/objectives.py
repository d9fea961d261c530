"""What a sweep optimises: names and directions, from the one `objective` block."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.study import StudyDirection

from sweeplab.errors import UserError, did_you_mean

DIRECTIONS = {
    "min": StudyDirection.MINIMIZE,
    "minimize": StudyDirection.MINIMIZE,
    "max": StudyDirection.MAXIMIZE,
    "maximize": StudyDirection.MAXIMIZE,
}


@dataclass(frozen=True)
class Objective:
    """A number that the task returns, and where it should go."""

    name: str
    direction: StudyDirection

    @property
    def word(self) -> str:
        """The direction as Hydra's sweepers and Optuna write it."""
        return self.direction.name.lower()

    def rank(self, value: float) -> float:
        """Return a number that is the smaller the better the value is."""
        return -value if self.direction is StudyDirection.MAXIMIZE else value

    def better(self, value: float, than: float) -> bool:
        """Say whether a value beats another."""
        return self.rank(value) < self.rank(than)


def objectives(config: Mapping[str, Any], direction: Any) -> tuple[Objective, ...]:
    """Return the objectives: those of `direction` if it is given, else those of the configuration's `objective` block.

    Where there is neither, there is one to minimize.

    Raises:
        UserError: a direction that does not exist, or does not fit the block.
    """
    block = config.get("objective")
    named: list[tuple[str, str]] = []
    if isinstance(block, Mapping) and "metric" in block:
        named = [(str(b["metric"]), str(b.get("mode", "min"))) for b in [block, *(block.get("also") or ())]]
    words = [str(direction)] if isinstance(direction, str) else [str(word) for word in direction or ()]
    if words and named and [DIRECTIONS.get(w) for w in words] != [DIRECTIONS.get(mode) for _, mode in named]:
        modes = ", ".join(mode for _, mode in named)
        raise UserError(
            f"hydra.sweeper.direction={direction} is not what objective says ({modes}); leave direction away."
        )
    if not named:
        named = [(f"objective{i}" if len(words) > 1 else "objective", w) for i, w in enumerate(words or ["minimize"])]
    return tuple(Objective(name, _direction(word)) for name, word in named)


def _direction(word: str) -> StudyDirection:
    if word not in DIRECTIONS:
        raise UserError(f"hydra.sweeper.direction={word} is not known{did_you_mean(word, ['minimize', 'maximize'])}")
    return DIRECTIONS[word]
