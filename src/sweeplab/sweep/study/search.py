"""How a sweep finds its points: by walking a grid in order, or by a sampler; and how many it needs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import optuna
from optuna.pruners import NopPruner
from optuna.trial import FrozenTrial

from sweeplab.errors import UserError
from sweeplab.sweep.config.settings import imported
from sweeplab.sweep.config.snapshot import local_classes
from sweeplab.sweep.spec import SweepSpec
from sweeplab.sweep.study.algorithms import build_pruner, build_sampler, default_sampler
from sweeplab.sweep.study.trials import counted, params_of, point_key


class Points:
    """The points of a grid, in order."""

    def __init__(self, points: Iterable[Mapping[str, Any]]) -> None:
        self._points = iter(points)
        self._taken: set[str] = set()
        self._read = 0

    def following(self, trials: Sequence[FrozenTrial]) -> Mapping[str, Any] | None:
        """Return the first point that no trial has, None when all were tried."""
        self._taken |= {point_key(params_of(trial)) for trial in trials[self._read :]}
        self._read = len(trials)
        return next((point for point in self._points if point_key(point) not in self._taken), None)


class Search:
    """The way through the space of a sweep; `total` is how many trials make it complete, None without an end.

    `can_be_shared` says whether another process may suggest trials in the place of this one.

    Raises:
        UserError: there is no end, or no such sampler or pruner.
    """

    def __init__(self, spec: SweepSpec) -> None:
        settings, self._spec = spec.settings, spec
        hook = settings.custom_search_space
        self._hook = imported(hook, "custom_search_space") if hook else None
        target = str((settings.sampler or {}).get("_target_") or "")
        listing = target.endswith((".GridSampler", ".BruteForceSampler"))
        size = None if self._hook else spec.size()
        endless = settings.n_trials is None and settings.timeout is None
        covered = size is not None and size <= (settings.n_trials or size)
        self.walks = settings.one_at_a_time or (not target and (endless or covered))
        self.points = self._walk() if self.walks else None
        if listing and size is None:
            spec.points()  # says which parameter has no end
        if endless and not self.walks and not listing:
            name = target.rpartition(".")[2]
            raise UserError(f"{name} never ends by itself; give a budget, as in hydra.sweeper.n_trials=50.")
        if not (self.walks or self._hook or settings.n_trials == 1) and spec.space.is_single(spec.default_of):
            raise UserError(_nothing_searched(spec))
        self.total = settings.n_trials
        if size is not None and (listing or self.walks):
            self.total = min(size, settings.n_trials or size)
        in_memory = settings.storage in ("sqlite://", "sqlite:///:memory:") or "InMemory" in str(settings.storage)
        self.can_be_shared = not (listing or self.walks or in_memory or local_classes)
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
        if self.total is None or self.points is None or self._spec.settings.n_trials is not None:
            return self.total
        space, default_of = self._spec.space, self._spec.default_of
        return self.total + sum(
            not space.covers(t.params, default_of) for t in counted(trials) if t.state.is_finished()
        )

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Have the sampler choose a point."""
        values = self._spec.space.suggest(trial, self._spec.default_of)
        if self._hook:
            before = set(trial.params)
            self._call(self._hook, self._spec.config_snapshot.config(self._spec.overrides(values)), trial)
            more = {name: value for name, value in trial.params.items() if name not in before}
            for name in more:
                check_searchable(name, self._spec.settings.sweep_keys)
            self._check_free(more)
            values |= more
        return values

    def _check_free(self, names: Iterable[str]) -> None:
        given = {line.partition("=")[0].lstrip("+"): line for line in self._spec.fixed_overrides}
        for name in names:
            if line := given.get(name.lstrip("+")):
                hook = self._spec.settings.custom_search_space
                raise UserError(f"{hook} suggests {name}, and {line} fixes it; do one or the other.")

    def _call(self, hook: Any, config: Any, trial: optuna.Trial) -> None:
        try:
            hook(config, trial)
        except Exception as error:
            where = self._spec.settings.custom_search_space
            raise UserError(f"{where} raised {type(error).__name__}: {error}") from error

    def _walk(self) -> Points:
        if self._hook:
            raise UserError("the size of a custom_search_space is not known; give a budget: hydra.sweeper.n_trials=50.")
        space, default_of = self._spec.space, self._spec.default_of
        return Points(space.stored(point, default_of) for point in self._spec.points())

    def _enqueued(self) -> list[dict[str, Any]]:
        """Return the points to try first, in Optuna's terms."""
        settings, space, default_of = self._spec.settings, self._spec.space, self._spec.default_of
        given = [dict(point) for point in settings.enqueue]
        if settings.enqueue_defaults:
            defaults = {parameter.key: default_of(parameter.key) for parameter in space.active({}, default_of)}
            active = space.active(defaults, default_of)
            given.insert(0, {parameter.key: default_of(parameter.key) for parameter in active})
        return [space.stored(point, default_of) for point in given]


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
        UserError: all trials are judged by it, or the sweep is made of it.
    """
    top = re.split(r"[./@]", key)[0]
    if top == "objective":
        raise UserError(f"{key} cannot be searched: a sweep has one objective; make a sweep of each.")
    if top == "hydra" or top in sweep_keys:
        raise UserError(f"{key} cannot be searched: it belongs to the sweep, not to a trial; make a sweep of each.")
