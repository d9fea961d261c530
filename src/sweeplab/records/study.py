"""A study, as its folder tells of it without its storage: `sweep.json`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sweeplab.errors import UserError
from sweeplab.records.files import as_json, read_text, write_text
from sweeplab.records.layout import StudyFile
from sweeplab.records.schema import misfit


@dataclass(frozen=True)
class Axis:
    """What a key is searched in: `choices` in the user's order, or numbers from `low` to `high`."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: Sequence[Any] | None = None


@dataclass(frozen=True)
class Study:
    """What a sweep is: its command, what it optimises ({metric, mode} each), what it searches, its budget.

    `one_at_a_time` is true where each trial changes one key of the first; `storage` is null for the folder's journal.
    """

    name: str
    command: str
    objectives: Sequence[Mapping[str, str]]
    axes: Mapping[str, Axis] = field(default_factory=dict)
    seed_key: str = "seed"
    n_trials: int | None = None
    one_at_a_time: bool = False
    storage: str | None = None

    def write(self, folder: Path) -> None:
        """Write the study to its folder."""
        write_text(folder / StudyFile.DESCRIPTION, as_json(asdict(self)))

    @classmethod
    def read(cls, folder: Path) -> "Study":
        """Read the study in `folder`.

        Raises:
            UserError: there is none, or its file is broken.
        """
        path = folder / StudyFile.DESCRIPTION
        if not path.exists():
            raise UserError(
                f"{folder} is not the folder of a sweep: it has no {path.name}; name one such as multirun/cnn."
            )
        try:
            facts = json.loads(read_text(path))
            if malformed := misfit(facts, cls):
                raise ValueError(f"its {malformed} is malformed")
            if not all({"metric", "mode"} <= objective.keys() for objective in facts["objectives"]):
                raise ValueError("an objective has no metric or no mode")
            axes = {key: Axis(**axis) for key, axis in facts.pop("axes").items()}
            return cls(axes=axes, **facts)
        except UserError:
            raise
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise UserError(f"{path} is broken ({error}); the sweep's own command writes it again.") from error


def is_study(folder: Path) -> bool:
    """Say whether `folder` is that of a sweep."""
    return (folder / StudyFile.DESCRIPTION).exists()


def studies_of(folders: Iterable[Path], skipped: list[tuple[Path, str]]) -> dict[Path, Study]:
    """Return the studies that runs in these folders are trials of, by the folders of the studies.

    One whose file is broken is added to what was `skipped`.
    """
    candidates = dict.fromkeys(parent for folder in folders for parent in (folder.parent, folder.parent.parent))
    studies = {}
    for folder in candidates:
        if is_study(folder):
            try:
                studies[folder] = Study.read(folder)
            except UserError as error:
                skipped.append((folder / StudyFile.DESCRIPTION, str(error)))
    return studies
