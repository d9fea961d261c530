"""How a sweep finds its points: by walking a grid in order, or by a sampler; and how many it needs."""

from collections.abc import Iterable, Sequence
from typing import Any

import optuna
from optuna.pruners import NopPruner
from optuna.trial import FrozenTrial

from sweeplab.errors import UserError
from sweeplab.sweep.config import pickled
from sweeplab.sweep.config.functions import function
from sweeplab.sweep.space.space import check_searchable
from sweeplab.sweep.spec import Plan
from sweeplab.sweep.study.algorithms import build_pruner, build_sampler, default_sampler
from sweeplab.sweep.study.client import Points, counts


class Search:
    """The way through a plan's space; `total` is how many trials make it complete, None without an end.

    `can_be_shared` says whether another process may draw in the place of this one.

    Raises:
        UserError: there is no end, or no such sampler or pruner.
    """

    def __init__(self, plan: Plan) -> None:
        settings, self._plan = plan.settings, plan
        hook = settings.custom_search_space
        self._hook = function(hook, "custom_search_space") if hook else None
        target = str((settings.sampler or {}).get("_target_") or "")
        listing = target.endswith((".GridSampler", ".BruteForceSampler"))
        size = None if self._hook else plan.size()
        endless = settings.n_trials is None and settings.timeout is None
        covered = size is not None and size <= (settings.n_trials or size)
        self.walks = settings.one_at_a_time or (not target and (endless or covered))
        self.points = self._walk() if self.walks else None
        if listing and size is None:
            plan.points()  # says which parameter has no end
        if endless and not self.walks and not listing:
            name = target.rpartition(".")[2]
            raise UserError(f"{name} never ends by itself; give a budget, as in hydra.sweeper.n_trials=50.")
        if not (self.walks or self._hook or settings.n_trials == 1) and plan.space.is_single(plan.known):
            raise UserError(_nothing_searched(plan))
        self.total = settings.n_trials
        if size is not None and (listing or self.walks):
            self.total = min(size, settings.n_trials or size)
        in_memory = settings.storage in ("sqlite://", "sqlite:///:memory:") or "InMemory" in str(settings.storage)
        self.can_be_shared = not (listing or self.walks or in_memory or pickled.inside)
        self._pruner = build_pruner(settings.pruner, len(plan.objectives))
        self.prunes = not isinstance(self._pruner, NopPruner)
        self.first = self._enqueued()
        self._sampler = build_sampler(settings.sampler, plan.space)

    def equip(self, study: optuna.Study, controller: str = "") -> None:
        """Give a study its sampler and pruner; a `controller` beside others draws other points than they."""
        settings, count = self._plan.settings, len(study.get_trials(deepcopy=False))
        salt = f"{count or ''}{controller}"
        sampler = build_sampler(settings.sampler, self._plan.space, salt) if salt else self._sampler
        study.sampler = sampler or default_sampler((settings.sampler or {}).get("seed", settings.seed), salt)
        study.pruner = self._pruner

    def total_in(self, trials: Sequence[FrozenTrial]) -> int | None:
        """Return how many trials make a study complete that has these already."""
        if self.total is None or self.points is None or self._plan.settings.n_trials is not None:
            return self.total
        space, known = self._plan.space, self._plan.known
        return self.total + sum(
            counts(t) and not space.covers(t.params, known) for t in trials if t.state.is_finished()
        )

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Draw a point."""
        values = self._plan.space.suggest(trial, self._plan.known)
        if self._hook:
            before = set(trial.params)
            self._call(self._hook, self._plan.frozen.config(self._plan.overrides(values)), trial)
            more = {name: value for name, value in trial.params.items() if name not in before}
            for name in more:
                check_searchable(name, self._plan.settings.sweep_keys)
            self._check_free(more)
            values |= more
        return values

    def _check_free(self, names: Iterable[str]) -> None:
        given = {line.partition("=")[0].lstrip("+"): line for line in self._plan.fixed}
        for name in names:
            if line := given.get(name.lstrip("+")):
                hook = self._plan.settings.custom_search_space
                raise UserError(f"{hook} suggests {name}, and {line} fixes it; do one or the other.")

    def _call(self, hook: Any, config: Any, trial: optuna.Trial) -> None:
        try:
            hook(config, trial)
        except Exception as error:
            where = self._plan.settings.custom_search_space
            raise UserError(f"{where} raised {type(error).__name__}: {error}") from error

    def _walk(self) -> Points:
        if self._hook:
            raise UserError("a custom_search_space has no end that is known; give a budget: hydra.sweeper.n_trials=50.")
        space, known = self._plan.space, self._plan.known
        return Points(space.stored(point, known) for point in self._plan.points())

    def _enqueued(self) -> list[dict[str, Any]]:
        """Return the points to try first, in Optuna's terms."""
        settings, space, known = self._plan.settings, self._plan.space, self._plan.known
        given = [dict(point) for point in settings.enqueue]
        if settings.enqueue_defaults:
            defaults = {parameter.key: known(parameter.key) for parameter in space.active({}, known)}
            active = space.active(defaults, known)
            given.insert(0, {parameter.key: known(parameter.key) for parameter in active})
        return [space.stored(point, known) for point in given]


def _nothing_searched(plan: Plan) -> str:
    """Say that all trials would be the same, and how to name what is searched."""
    count, spaces = plan.settings.n_trials, plan.frozen.options("space")
    same = f"{count} equal trials" if count else "trials that are all equal"
    named = f", or a space ({', '.join(f'space={name}' for name in spaces[:8])})" if spaces else ""
    file = ", or write a file in conf/space named after the model" if spaces else ""
    return f"nothing is searched, which makes {same}: name a key, as in optimizer.lr=1e-3,1e-2{named}{file}."
