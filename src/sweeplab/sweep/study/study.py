"""The Optuna study behind a sweep."""

from collections.abc import Sequence

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection

from sweeplab.errors import UserError

optuna.logging.set_verbosity(optuna.logging.WARNING)  # the sweep has words of its own


class Study(optuna.Study):
    """An Optuna study that samplers may stop although nobody called `optimize`."""

    exhausted = False

    def stop(self) -> None:
        """Note that the sampler has nothing left to suggest."""
        self.exhausted = True


def open_study(storage: BaseStorage, name: str, directions: Sequence[StudyDirection]) -> Study:
    """Open the study of this name, or make it.

    Raises:
        UserError: it exists with other directions.
    """
    optuna.create_study(
        storage=storage,
        study_name=name,
        directions=list(directions),
        load_if_exists=True,
        sampler=optuna.samplers.RandomSampler(),
    )
    study = Study(name, storage)
    if study.directions != list(directions):
        was, now = (", ".join(d.name.lower() for d in ds) for ds in (study.directions, directions))
        raise UserError(f"study {name} was to {was}, and this sweep is to {now}; choose another study=.")
    return study
