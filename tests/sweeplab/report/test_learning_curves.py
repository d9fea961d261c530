from pathlib import Path

import pytest

from tests.sweeplab.report.folders import make_run
from tests.sweeplab.report.page_data import of_runs, of_study


def test_long_curves_keep_200_points_their_ends_among_them(tmp_path: Path) -> None:
    run = make_run(tmp_path / "0", {}, 0.5, curve=[n / 1000 for n in range(1000)])
    shown = of_runs(run)["curves"]
    (place, values) = shown["metrics"]["val/acc"][0]
    assert len(values) == len(shown["steps"][place]) == len(shown["epochs"][place]) == 200
    assert (values[0], values[-1]) == (0, 0.999)
    assert (shown["steps"][place][-1], shown["epochs"][place][-1]) == (9990, 999)


def test_the_curves_of_many_runs_are_thinned_further(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeplab.report.learning_curves.POINTS_PER_PAGE", 1200)
    curves = [curve for each in of_study(folder)["curves"]["metrics"].values() for curve in each if curve]
    assert max(len(values) for _, values in curves) == 10
    assert len(curves) > 100


def test_runs_measured_at_the_same_steps_share_them(folder: Path) -> None:
    shown = of_study(folder)["curves"]
    assert next(iter(shown["metrics"])) == "val/acc"
    lengths = {len(curve[1]) for curve in shown["metrics"]["val/acc"] if curve}
    assert len(shown["steps"]) == len(lengths)
