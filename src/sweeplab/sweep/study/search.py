"""How a sweep finds its points: by walking a grid in order, or by a sampler; and how many it needs."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum, auto
from typing import Any

import optuna
from optuna.pruners import NopPruner
from optuna.trial import FrozenTrial, TrialState

from sweeplab.errors import UserError
from sweeplab.sweep.config.settings import imported
from sweeplab.sweep.config.trial_config import local_classes
from sweeplab.sweep.spec import SweepSpec
from sweeplab.sweep.study.algorithms import build_pruner, build_sampler, default_sampler
from sweeplab.sweep.study.trials import counted, counts, params_of, point_key


class Points:
    """The points of a grid, in order; `key` returns what two of them share only if they are the same."""

    def __init__(
        self, points: Iterable[Mapping[str, Any]], key: Callable[[Mapping[str, Any]], str] = point_key
    ) -> None:
        self._points, self.key = iter(points), key
        self._taken: set[str] = set()
        self._read = 0

    def following(self, trials: Sequence[FrozenTrial]) -> Mapping[str, Any] | None:
        """Return the first point that no trial has, or has had and was not dropped; None when all were tried."""
        new = [trial for trial in trials[self._read :] if trial.state is TrialState.WAITING or counts(trial)]
        self._taken |= {self.key(params_of(trial)) for trial in new}
        self._read = len(trials)
        return next((point for point in self._points if self.key(point) not in self._taken), None)


class Method(Enum):
    """How the points of a sweep are found."""

    WALK = auto()  # all of them in order: nobody chose a sampler, and the budget, if there is one, covers them
    EXHAUSTIVE = auto()  # by one of Optuna's samplers that try each point once
    SAMPLER = auto()  # by one that never ends by itself


class Search:
    """The way through the space of a sweep; `total` is how many trials make it complete, None without an end.

    `walks` says whether its points are tried in order, `can_be_shared` whether another process may suggest trials.

    Raises:
        UserError: there is no end, or no such sampler or pruner.
    """

    def __init__(self, spec: SweepSpec) -> None:
        settings, self._spec = spec.settings, spec
        hook = settings.custom_search_space
        self._hook: Any = imported(hook, "custom_search_space") if hook else None
        self._size = size = None if hook else spec.size()
        method = _method(spec, size)
        self.walks = method is Method.WALK
        if size == 1 and not self.walks and settings.n_trials != 1:
            raise UserError(_nothing_searched(spec))
        points = (spec.space.stored(point, spec.default_of) for point in spec.points()) if self.walks else ()
        self.points = Points(points, spec.space.point_key) if self.walks else None
        self.total = settings.n_trials
        if size is not None and method is not Method.SAMPLER:
            self.total = min(size, settings.n_trials or size)
        in_memory = settings.storage in ("sqlite://", "sqlite:///:memory:") or "InMemory" in str(settings.storage)
        self.can_be_shared = method is Method.SAMPLER and not in_memory and not local_classes
        self._pruner = build_pruner(settings.pruner, len(spec.objectives))
        self.prunes = not isinstance(self._pruner, NopPruner)
        self.first = self._enqueued()
        self._sampler = build_sampler(settings.sampler, spec.space)

    def equip(self, study: optuna.Study, controller: str = "") -> None:
        """Give a study its sampler and pruner; a `controller` beside others gets other points than they."""
        settings, count = self._spec.settings, len(study.get_trials(deepcopy=False))
        salt = f"{count or ''}{controller}"
        sampler = build_sampler(settings.sampler, self._spec.space, salt) if salt else self._sampler
        study.sampler = sampler or default_sampler((settings.sampler or {}).get("seed", settings.seed), salt)
        study.pruner = self._pruner

    def total_in(self, trials: Sequence[FrozenTrial]) -> int | None:
        """Return how many trials make a study complete that has these already."""
        if self._size is None or self.points is None:
            return self.total
        space, default_of = self._spec.space, self._spec.default_of
        ended = [trial for trial in counted(trials) if trial.state.is_finished()]
        total = self._size + sum(not space.covers(trial.params, default_of) for trial in ended)
        return min(total, self._spec.settings.n_trials or total)

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Have the sampler choose a point."""
        values = self._spec.space.suggest(trial, self._spec.default_of)
        return values | self._suggest_more(trial, values) if self._hook else values

    def _suggest_more(self, trial: optuna.Trial, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the user's function suggests besides."""
        spec, before = self._spec, set(trial.params)
        hook, config = spec.settings.custom_search_space, spec.config_snapshot.config(spec.overrides(values))
        try:
            self._hook(config, trial)
        except Exception as error:
            raise UserError(f"{hook} raised {type(error).__name__}: {error}") from error
        fixed = {line.partition("=")[0].lstrip("+"): line for line in spec.fixed_overrides}
        more = {name: value for name, value in trial.params.items() if name not in before}
        for name in more:
            check_searchable(name, spec.settings.sweep_keys)
            if line := fixed.get(name.lstrip("+")):
                raise UserError(f"{hook} suggests {name}, and {line} fixes it; do one or the other.")
        return more

    def _enqueued(self) -> list[dict[str, Any]]:
        """Return the points to try first, in Optuna's terms."""
        settings, space, default_of = self._spec.settings, self._spec.space, self._spec.default_of
        given = [dict(point) for point in settings.enqueue]
        if settings.enqueue_defaults:
            defaults = {parameter.key: default_of(parameter.key) for parameter in space.active({}, default_of)}
            active = space.active(defaults, default_of)
            given.insert(0, {parameter.key: default_of(parameter.key) for parameter in active})
        return [space.stored(point, default_of) for point in given]


def _method(spec: SweepSpec, size: int | None) -> Method:
    settings, sampler = spec.settings, str((spec.settings.sampler or {}).get("_target_") or "")
    has_budget = settings.n_trials is not None or settings.timeout is not None
    is_covered = not has_budget or (size is not None and size <= (settings.n_trials or size))
    if settings.one_at_a_time or (not sampler and is_covered):
        if settings.custom_search_space:
            raise UserError("the size of a custom_search_space is not known; give a budget: hydra.sweeper.n_trials=50.")
        return Method.WALK
    if sampler.endswith((".GridSampler", ".BruteForceSampler")):
        if size is None:
            spec.points()  # says which parameter has no end
        return Method.EXHAUSTIVE
    if not has_budget:
        name = sampler.rpartition(".")[2]
        raise UserError(f"{name} never ends by itself; give a budget, as in hydra.sweeper.n_trials=50.")
    return Method.SAMPLER


def _nothing_searched(spec: SweepSpec) -> str:
    """Say that all trials would be the same, and how to name what is searched."""
    count, spaces = spec.settings.n_trials, spec.config_snapshot.options("space")
    same = f"{count} equal trials" if count else "trials that are all equal"
    named = f", or a space ({', '.join(f'space={name}' for name in spaces[:8])})" if spaces else ""
    file = ", or write a file in conf/space named after the model" if spaces else ""
    return f"nothing is searched, which makes {same}: name a key, as in optimizer.lr=1e-3,1e-2{named}{file}."


def check_searchable(key: str, sweep_keys: Sequence[str]) -> None:
    """Make sure that a key is one of trials; `sweep_keys` say what the sweep itself is.

    Raises:
        UserError: it is the objective of all trials, or a setting of the sweep.
    """
    top = re.split(r"[./@]", key)[0]
    if top == "objective":
        raise UserError(f"{key} cannot be searched: a sweep has one objective; make a sweep of each.")
    if key == "callbacks.pruning.monitor":
        raise UserError(f"{key} cannot be searched: a pruner compares one metric of all trials; make a sweep of each.")
    if top == "hydra" or top in sweep_keys:
        raise UserError(f"{key} cannot be searched: it belongs to the sweep, not to a trial; make a sweep of each.")
