"""The runs of a study, as its folder tells of them: which there are, and which are best."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from sweeplab.errors import UserError
from sweeplab.records.columns import varying
from sweeplab.records.found import find
from sweeplab.records.layout import RunFile
from sweeplab.records.objective import Objective
from sweeplab.records.record import Status, is_run
from sweeplab.records.run import Run
from sweeplab.records.study import is_study


@dataclass(frozen=True)
class Trials:
    """The runs of the study in `folder`, in the order of their numbers: one a trial, with repeats several.

    `skipped` are folders that could not be read, each with the reason.
    """

    folder: Path
    runs: Sequence[Run]
    skipped: Sequence[tuple[Path, str]] = ()

    @classmethod
    def read(cls, folder: Path, trusted: bool = False) -> "Trials":
        """Read the runs in `folder`; if they are `trusted`, they build whatever they name.

        Raises:
            UserError: it does not exist, or is not the folder of a study.
        """
        found = find([folder])
        for run in found.runs:
            if not (_is_trial(run.folder, folder) or (is_study(folder) and run.number is not None)):
                raise UserError(
                    f"{folder} is neither the folder of a run nor that of a study: it holds {run.folder}; "
                    "name one such as outputs/2026-01-31/12-00-00-000000 or multirun/cnn."
                )
        return cls(folder, [replace(run, trusted=trusted) for run in found.runs], found.skipped)

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    @cached_property
    def by_number(self) -> Mapping[int, Sequence[Run]]:
        """The runs of each trial."""
        runs: dict[int, list[Run]] = {}
        for run in self.runs:
            name = run.folder.relative_to(self.folder).parts[0]
            number = int(name) if name.isdigit() else run.number
            assert number is not None, "read takes no other run"
            runs.setdefault(number, []).append(run)
        return runs

    def trial(self, number: int) -> Run:
        """Return the run of a trial; of several repeats the best.

        Raises:
            UserError: there is no such trial.
        """
        if number not in self.by_number:
            raise UserError(f"{self.folder} has no trial {number}; there are {_spans(sorted(self.by_number))}.")
        return min(self.by_number[number], key=_rank)

    @property
    def best(self) -> Run:
        """The run of the best trial, as `ranked` has it.

        Raises:
            UserError: no trial is complete, or they have different objectives.
        """
        return self.ranked[0]

    @cached_property
    def ranked(self) -> Sequence[Run]:
        """The runs of the trials that are complete, the best one first.

        A trial counts with the mean of its repeats, and is here with the best of them. One that lacks repeats which
        others have is not complete; one that breaks a constraint is left out.

        Raises:
            UserError: no trial is complete, or they have different objectives.
        """
        repeats = max(map(len, self.by_number.values()))
        complete = [
            runs for runs in self.by_number.values() if len(runs) == repeats and all(_counts(run) for run in runs)
        ]
        if not complete:
            raise UserError(f"no trial of {self.folder} is complete yet.")
        objectives = sorted({f"{run.metric} ({run.mode})" for runs in complete for run in runs})
        if len(objectives) > 1:
            raise UserError(
                f"the trials of {self.folder} have different objectives, so none is best: {', '.join(objectives)}."
            )
        return [min(runs, key=_rank) for runs in sorted(complete, key=_mean_rank)]

    @cached_property
    def table(self) -> dict[str, list[Any]]:
        """A row a run: name, status, what was searched, seed, objectives, metrics of the test, seconds.

        None stands where a run has nothing.
        """
        values = [run.values() for run in self.runs]
        columns: dict[str, list[Any]] = {
            "name": [run.name for run in self.runs],
            "status": [str(run.status) for run in self.runs],
        }
        columns |= {key: [run.params.get(key, run.settings.get(key)) for run in self.runs] for key in self.searched}
        columns["seed"] = [run.seed for run in self.runs]
        objectives = [metric for run in self.runs for metric in run.judged_by]
        tests = [name for run in self.runs for name in run.tests]
        columns |= {name: [each.get(name) for each in values] for name in dict.fromkeys([*objectives, *tests])}
        columns["seconds"] = [run.seconds for run in self.runs]
        return columns

    @property
    def searched(self) -> Sequence[str]:
        """The keys that the study searches; where it does not say, those by which its runs differ."""
        return list(dict.fromkeys(key for run in self.runs for key in run.params)) or varying(self.runs)


def holds_trials(folder: Path) -> bool:
    """Say whether folders of trials lie in `folder`, and it is itself the folder of no run."""
    records = (path for depth in ("*", "*/*") for path in folder.glob(f"{depth}/{RunFile.RECORD}"))
    return not is_run(folder) and any(_is_trial(path.parent, folder) or is_study(folder) for path in records)


def _is_trial(run: Path, study: Path) -> bool:
    parts = run.relative_to(study).parts
    return 1 <= len(parts) <= 2 and all(part.isdigit() for part in parts)


def _counts(run: Run) -> bool:
    return run.keeps_constraints and run.status is Status.COMPLETE and run.objective is not None


def _rank(run: Run) -> float:
    """The lower, the better; a run without an objective comes last."""
    return float("inf") if run.objective is None else Objective(str(run.metric), str(run.mode)).rank(run.objective)


def _mean_rank(runs: Sequence[Run]) -> float:
    return sum(map(_rank, runs)) / len(runs)


def _spans(numbers: Sequence[int]) -> str:
    """Return `0 to 4, 6, 8 to 9`."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][-1] == number - 1:
            spans[-1][1:] = [number]
        else:
            spans.append([number])
    return ", ".join(" to ".join(map(str, span)) for span in spans)
