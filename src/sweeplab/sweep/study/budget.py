"""How much of a study's budget is spent."""

from collections.abc import Sequence

from optuna.trial import FrozenTrial

from sweeplab.sweep.study.trials import REPLACES, counts


class Budget:
    """Counts the trials of a study that are part of its budget, as `counted` does, of long studies many times over.

    It looks at the new trials and at those that had not ended the last time: the others stay as they are.
    """

    def __init__(self) -> None:
        self._read = 0
        self._open: list[int] = []
        self._ended: set[int] = set()
        self._replaced: set[int] = set()

    def spent(self, trials: Sequence[FrozenTrial]) -> int:
        """Return how many of all trials of the study count."""
        looked_at = [trials[number] for number in (*self._open, *range(self._read, len(trials)))]
        self._read = len(trials)
        self._open = [trial.number for trial in looked_at if not trial.state.is_finished()]
        self._replaced |= {trial.user_attrs[REPLACES] for trial in looked_at if REPLACES in trial.user_attrs}
        counting = {trial.number for trial in looked_at if counts(trial)} - self._replaced
        running = counting.intersection(self._open)
        self._ended |= counting
        self._ended -= self._replaced.union(running)
        return len(self._ended) + len(running)
