from pathlib import Path

import pytest

from tests.sweeplab.sweep.conftest import Sweep


def test_a_preview_shows_space_budget_and_commands_and_writes_nothing(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep("x=1,2", "opt=sgd,adam", "hydra.sweeper.preview=true", "hydra.sweeper.n_jobs=2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("study study in ")
    assert lines[2:6] == ["space", "  x: 1,2", "  opt: sgd,adam", "  4 points in all"]
    assert {"  n_trials: 4", "  n_jobs: 2", "  sampler: the grid in order", "  pruner: NopPruner"} < set(lines)
    assert lines[-3:] == [f"  python app.py x={x} opt={opt}" for x, opt in ((1, "sgd"), (1, "adam"), (2, "sgd"))]
    assert not Path("multirun").exists()


def test_a_preview_begins_with_the_points_to_try_first(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    search = ("x=interval(0,9)", "hydra.sweeper.n_trials=5", "hydra.sweeper.enqueue=[{x: 7.5}]")
    assert sweep(*search, "hydra.sweeper.preview=true") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[lines.index("trials, as the sampler would suggest them first") + 1] == "  python app.py x=7.5"
    assert {"  infinite", "  sampler: TPESampler"} < set(lines)


class OwnCluster:
    """As a user's own class may be: it knows nothing of Dask's `asynchronous`."""

    def __init__(self, hosts: int) -> None:
        raise AssertionError("a preview starts nothing")


def test_a_preview_does_without_the_jobs_of_a_cluster_that_starts_as_it_is_built(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("distributed")
    start = f"{{_target_: {__name__}.OwnCluster, hosts: 2}}"
    assert sweep("x=1,2", f"+hydra.sweeper.cluster.start={start}", "hydra.sweeper.preview=true") == 0
    assert capsys.readouterr().out.splitlines()[-2:] == ["  python app.py x=1", "  python app.py x=2"]
