import math
from pathlib import Path

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.study import create_study
from optuna.trial import create_trial

from sweeplab.records.found import find
from tests.sweeplab.report.folders import make_run
from tests.sweeplab.report.page_data import of_runs, of_study


def test_importance_is_what_optuna_says(folder: Path) -> None:
    space: dict[str, BaseDistribution] = {
        "lr": FloatDistribution(1e-4, 0.1, log=True),
        "channels": IntDistribution(8, 64, log=True),
        "depth": IntDistribution(1, 4),
        "dropout": FloatDistribution(0, 0.5),
        "optimizer": CategoricalDistribution(["adam", "sgd"]),
    }
    runs = [run for run in find([folder]).runs if run.status == "complete"]
    study = create_study(direction="maximize")
    for run in runs:
        params = {key.rpartition(".")[2]: value for key, value in run.facts["trial"]["params"].items()}
        study.add_trial(create_trial(params=params, distributions=space, value=run.values()["val/acc"]))
    shown = of_study(folder)["importance"]
    assert shown["count"] == len(runs)
    assert shown["shares"] == pytest.approx(get_param_importances(study, evaluator=PedAnovaImportanceEvaluator()), 1e-3)


def test_few_runs_have_no_importance_and_it_says_why(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / str(n), {"x": n, "y": -n}, n / 10) for n in range(9)]
    assert of_runs(*runs)["importance"]["note"] == "Importance takes 10 complete runs; there are 9."


def test_the_map_is_right_between_runs_and_empty_outside(tmp_path: Path) -> None:
    points = [(x, 10**-y) for x in (0.0, 1.0, 2.0) for y in (1, 2, 3) if (x, y) != (2.0, 3)]
    runs = [make_run(tmp_path / str(n), {"x": x, "lr": lr}, x + math.log10(lr)) for n, (x, lr) in enumerate(points)]
    shown = of_runs(*runs)["surface"]
    across, up = (np.array(shown[side], dtype=float) for side in ("xs", "ys"))
    if shown["x"] == "lr":
        across, up = up, across
        shown["zs"] = np.array(shown["zs"], dtype=float).T
    height = np.array(shown["zs"], dtype=float)
    wanted = across[None, :] + np.log10(up)[:, None]
    inside = ~np.isnan(height)
    assert 0.7 < inside.mean() < 0.95
    np.testing.assert_allclose(height[inside], wanted[inside], atol=2e-3)


def test_runs_on_a_line_have_no_map(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / str(n), {"x": n, "y": n}, n / 10) for n in range(8)]
    assert "do not lie on a line" in of_runs(*runs)["surface"]["note"]
