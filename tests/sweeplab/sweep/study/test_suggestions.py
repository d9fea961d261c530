import pytest

from sweeplab.sweep.study import suggestions
from sweeplab.sweep.study.client import StudyClient
from sweeplab.sweep.study.suggestions import Suggestions
from tests.sweeplab.sweep.specs import spec_of

pytestmark = pytest.mark.slow


def test_what_was_suggested_ahead_is_for_other_controllers_when_none_may_start_here(
    clients: list[StudyClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suggestions, "MAX_SAMPLER_SHARE", float("inf"))
    monkeypatch.setattr(suggestions, "SHORT_TRIAL", float("inf"))
    first, second = clients
    spec, search = spec_of("x=interval(0,1)", "hydra.sweeper.n_trials=9")
    queue = Suggestions(spec, search, first, total=9, slots=lambda: 2, has_begun=lambda number: False)
    queue.trial_ended(runs=1, seconds=0.1)
    ahead = queue.prefetch()
    queue.release()
    taken = second.ask(9, search.suggest, None)
    assert ahead is not None
    assert taken is not None
    assert (taken.number, taken.params) == (ahead.trial.number, ahead.trial.params)
