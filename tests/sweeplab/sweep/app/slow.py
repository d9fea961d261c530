"""A sampler that takes long, and leaves a file for each suggestion of another process; what else it does only there."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from optuna.samplers import RandomSampler

ENOUGH = 5


class Slow(RandomSampler):
    """Suggests at random; the study is exhausted when another process has suggested enough, unless it `goes on`."""

    def __init__(self, controller: int, mode: str = "suggests", seed: int | None = None) -> None:
        super().__init__(seed)
        self._controller, self._mode = controller, mode

    def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
        """Suggest slowly, or fail."""
        time.sleep(0.2)
        if os.getpid() != self._controller:
            if self._mode == "raises":
                raise ValueError("no luck")
            if self._mode == "dies" and not Path("dead").exists():
                Path("dead").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            Path(f"apart-{trial.number}").touch()
            if self._mode != "goes on" and len(list(Path().glob("apart-*"))) >= ENOUGH:
                study.stop()
        return super().sample_independent(study, trial, name, distribution)
