"""What a sweep optimises, from the one `objective` block of the configuration."""

from collections.abc import Iterable, Mapping
from typing import Any

from optuna.study import StudyDirection

from sweeplab.errors import UserError, did_you_mean
from sweeplab.records.objective import Objective

MODES = {"min": "min", "minimize": "min", "max": "max", "maximize": "max"}


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
    if words and named and [MODES.get(w) for w in words] != [MODES.get(mode) for _, mode in named]:
        modes = ", ".join(mode for _, mode in named)
        raise UserError(f"hydra.sweeper.direction={direction} is not what objective says ({modes}); remove direction.")
    if not named:
        named = [(f"objective{i}" if len(words) > 1 else "objective", w) for i, w in enumerate(words or ["minimize"])]
    return tuple(Objective(name, _mode(word)) for name, word in named)


def directions(objectives: Iterable[Objective]) -> list[StudyDirection]:
    """Return the directions as Optuna's storages take them."""
    return [StudyDirection[objective.direction.upper()] for objective in objectives]


def _mode(word: str) -> str:
    if word not in MODES:
        raise UserError(f"hydra.sweeper.direction={word} is not known{did_you_mean(word, ['minimize', 'maximize'])}")
    return MODES[word]
