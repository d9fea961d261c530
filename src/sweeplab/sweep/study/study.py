"""The Optuna study behind a sweep, and what must not change under it: space, objectives, what all trials share."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import optuna
from omegaconf import OmegaConf
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState

from sweeplab.errors import UserError
from sweeplab.records.earlier import upgraded_settings
from sweeplab.secrets import masked_config, masked_words
from sweeplab.sweep.space.space import differences
from sweeplab.sweep.spec import SweepSpec

REVISIONS = "fixed overrides"

optuna.logging.set_verbosity(optuna.logging.WARNING)  # the sweep has words of its own


class Study(optuna.Study):
    """An Optuna study that samplers may stop although nobody called `optimize`."""

    _is_stopped = False

    def stop(self) -> None:
        """Note that the sampler has nothing left to suggest."""
        self._is_stopped = True

    @property
    def exhausted(self) -> bool:
        """Whether no trial is left: none that the sampler would suggest, and none that waits."""
        return self._is_stopped and not self.get_trials(deepcopy=False, states=(TrialState.WAITING,))

    @exhausted.setter
    def exhausted(self, is_stopped: bool) -> None:
        self._is_stopped = is_stopped


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
        raise UserError(f"study {name} was created to {was}, but this sweep is to {now}; choose another study=.")
    return study


def check_compatible(study: Study, spec: SweepSpec) -> list[str]:
    """Note in a new study what its trials share, or compare with what an old one has; return what was extended.

    Raises:
        UserError: something changed that may not, or that the user did not agree to.
    """
    now = shared(spec)
    before = {part: study.user_attrs[part] for part in now if part in study.user_attrs}
    if "configuration" in before:
        masked = masked_config(before["configuration"])  # a version before may have masked less
        before["configuration"] = upgraded_settings(masked, now["configuration"])
    changes = [line for part in before for line in differences(before[part], now[part])]
    if "space" not in before:
        changes += _other_kinds(study, spec)
    if changes:
        _refuse(spec, before, now, changes)
    if not before or changes:
        for part, entries in now.items():
            study.set_user_attr(part, entries)
        trials = study.get_trials(deepcopy=False)
        waiting = [trial.number for trial in trials if trial.state is TrialState.WAITING]
        revision = {"from": len(trials), "waiting": waiting, "overrides": masked_words(spec.fixed_overrides)}
        study.set_user_attr(REVISIONS, [*study.user_attrs.get(REVISIONS, ()), revision])
    return changes


def searched_before(study: Study) -> dict[str, BaseDistribution]:
    """Return the last distribution of each parameter that the trials have, by Optuna's names."""
    trials = study.get_trials(deepcopy=False)
    return {name: distribution for trial in trials for name, distribution in trial.distributions.items()}


def _other_kinds(study: Study, spec: SweepSpec) -> list[str]:
    """Return a line for each parameter that a study of another program has of a kind that does not fit."""
    before = searched_before(study)
    renamed = [p for p in spec.space.parameters if p.name != p.first_name and p.first_name in before]
    return [f"{p.first_name} was {before[p.first_name]}, is {p.describe()}" for p in renamed]


def fixed_of(study: Study, number: int, spec: SweepSpec) -> list[str]:
    """Return the overrides that a trial shared with all others of its time: an extended study has had several."""
    revisions = study.user_attrs.get(REVISIONS, ())
    overrides = [
        revision["overrides"]
        for revision in revisions
        if revision["from"] <= number or number in revision.get("waiting", ())
    ]
    return overrides[-1] if overrides else list(spec.fixed_overrides)


def shared(spec: SweepSpec) -> dict[str, dict[str, str]]:
    """Return what the trials of a study have in common, as flat words."""
    task = OmegaConf.to_container(spec.base, resolve=False)
    assert isinstance(task, dict)
    not_compared = {"hydra", *spec.settings.sweep_keys}
    settings = masked_config({str(key): value for key, value in task.items() if key not in not_compared})
    return {
        "objective": {objective.metric: objective.direction for objective in spec.objectives},
        "space": spec.space.describe() | ({"one_at_a_time": "true"} if spec.settings.one_at_a_time else {}),
        "configuration": masked_config(dict(flat(settings))),
    }


def _refuse(spec: SweepSpec, before: Mapping[str, Any], now: Mapping[str, Any], changes: list[str]) -> None:
    words = "; ".join(changes[:8]) + (f"; and {len(changes) - 8} more" if len(changes) > 8 else "")
    if before.get("objective", now["objective"]) != now["objective"]:
        raise UserError(f"the study {spec.name} has another objective: {words}; choose {spec.another}.")
    if spec.settings.on_change != "extend":
        raise UserError(
            f"the study {spec.name} was begun with other settings: {words}; "
            f"choose {spec.another}, or continue anyway with hydra.sweeper.on_change=extend."
        )


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Return the values of nested mappings as text, by dotted keys."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from flat(item, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, str(value)
