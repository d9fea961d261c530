"""A sampler that takes so long that a process of its own draws."""

import time
from typing import Any

from optuna.samplers import RandomSampler


class Slow(RandomSampler):
    """Suggests at random, and waits."""

    def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
        """Draw a value."""
        time.sleep(0.15)
        return super().sample_independent(study, trial, name, distribution)
