"""What is asked of an engine, and what it came to, as the trials themselves wrote it down (see peers/task.py)."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Search:
    """What every engine is asked for; `prune` is successive halving by thirds, from the first epoch on."""

    task: str
    trials: int
    slots: int = 2
    sampler: str = "random"
    prune: bool = False
    epochs: int = 1
    seed: int = 0
    lengths: str = "uniform"
    mean: float = 1.0


@dataclass
class Trial:
    """A trial as its task saw it, in the process of that number; `end` is None where it was cut, or failed."""

    start: float
    config: dict[str, Any]
    process: int
    values: list[tuple[float, float]] = field(default_factory=list)
    end: float | None = None
    error: str = ""


@dataclass
class Found:
    """What a search came to: its trials in order of their start, and the command's own beginning and end."""

    trials: list[Trial]
    begin: float
    finish: float
    error: str = ""

    @property
    def seconds(self) -> float:
        """The command's wall time."""
        return self.finish - self.begin

    def each(self, slots: int) -> float:
        """Return the wall milliseconds a trial, from when the first processes have ended their first one each.

        So what a process that stays imports for its first trial does not count; nan where no trial ended later.
        """
        firsts: dict[int, float] = {}
        ended = [(trial.process, trial.end) for trial in self.trials if trial.end is not None]
        for process, end in ended:
            if len(firsts) < slots:
                firsts.setdefault(process, end)
        begin = max(firsts.values(), default=0.0)
        later = [end for _, end in ended if end > begin]
        return 1000 * (max(later) - begin) / len(later) if later else float("nan")

    @property
    def said(self) -> str:
        """The last line of the error."""
        return self.error.strip().splitlines()[-1] if self.error else ""


def task_records(folder: Path) -> list[Trial]:
    """Return what the trials of the shared task wrote down."""
    files = [path.read_text().splitlines() for path in folder.glob("records/*.jsonl")]
    return [_recorded([json.loads(line) for line in lines if line.endswith("}")]) for lines in files if lines]


def _recorded(lines: list[dict[str, Any]]) -> Trial:
    trial = Trial(lines[0]["time"], lines[0]["config"], lines[0]["process"])
    for line in lines[1:]:
        if "value" in line:
            trial.values.append((line["time"], line["value"]))
        trial.end = line["time"] if "end" in line else trial.end
        trial.error = line.get("error", trial.error)
    return trial
