import pytest

from sweeplab.tracking.study_plots import figures, importances
from tests.sweeplab.tracking.infos import came_to, info_of, trial

SPACE = ("x=interval(0,1)", "opt.lr=tag(log,interval(1e-4,1))")
TWO = ("hydra.sweeper.direction=[minimize,minimize]", "objectives=2")


@pytest.mark.parametrize(
    ("more", "trials", "names"),
    [
        ((), 0, set()),
        ((), 3, {"history", "parallel coordinates", "slices"}),
        ((), 20, {"history", "parallel coordinates", "slices", "importance"}),
        (TWO, 3, {"history", "parallel coordinates", "slices", "pareto front"}),
    ],
    ids=["none", "few", "many", "two objectives"],
)
def test_a_plot_is_drawn_where_there_are_trials_enough(more: tuple[str, ...], trials: int, names: set[str]) -> None:
    info = info_of(*SPACE, "hydra.sweeper.n_trials=20", *more)
    values = [[n / 19, 1 - n / 19][: len(info.objectives)] for n in range(trials)]
    ended = [trial(info, n, n / 19, *value) for n, value in enumerate(values)]
    drawn = dict(figures(info, came_to(ended, ended[:1])))
    assert drawn.keys() == names
    assert all(figure.data for figure in drawn.values())


def test_importances_follow_the_direction_of_the_first_of_several_objectives() -> None:
    """The best of the objective depend on x alone, the worst on the learning rate as well."""
    info = info_of(*SPACE, "hydra.sweeper.n_trials=20", "hydra.sweeper.direction=[maximize,minimize]", "objectives=2")
    alone = info_of(*SPACE, "hydra.sweeper.n_trials=20", "hydra.sweeper.direction=maximize")
    points = [(n % 7 / 7, n % 5 / 5) for n in range(35)]
    values = [-((x - 0.3) ** 2) if x < 0.6 else -1.0 - 5 * y for x, y in points]
    both = [trial(info, n, x, value, y) for n, ((x, y), value) in enumerate(zip(points, values, strict=True))]
    one = [trial(alone, n, x, value) for n, ((x, _), value) in enumerate(zip(points, values, strict=True))]
    assert importances(info, came_to(both, both[:1])) == importances(alone, came_to(one, one[:1])) != {}
