import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from bench.synthetic import make_study
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.study import create_study
from optuna.trial import create_trial

from sweeplab.records.found import find
from sweeplab.records.run import Run
from sweeplab.records.study import Study
from sweeplab.report.content import content
from tests.sweeplab.report.folders import make_run

NOW = datetime(2026, 1, 31, 13, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of 60 runs, a third of them complete."""
    folder = tmp_path_factory.mktemp("studies") / "cnn"
    make_study(folder, 60)
    return folder


def of_study(folder: Path) -> dict[str, Any]:
    return content(find([folder]).runs, Study.read(folder), folder, NOW)


def of_runs(*runs: Run, place: Path | None = None) -> dict[str, Any]:
    return content(list(runs), None, place or runs[0].folder.parent, NOW)


def column(shown: dict[str, Any], label: str) -> list[Any]:
    place = [each["label"] for each in shown["columns"]].index(label)
    return [run["cells"][place] for run in shown["runs"]]


def described(shown: dict[str, Any], label: str) -> dict[str, Any]:
    (found,) = [each for each in shown["columns"] if each["label"] == label]
    return dict(found)


def test_every_run_is_there_with_what_tells_it_from_others(folder: Path) -> None:
    shown = of_study(folder)
    runs = find([folder]).runs
    assert shown["title"] == "cnn"
    assert column(shown, "run") == [str(run.number) for run in runs]
    assert column(shown, "status") == [str(run.status) for run in runs]
    assert column(shown, "lr") == pytest.approx([run.settings["optimizer.lr"] for run in runs], rel=1e-5)
    assert column(shown, "optimizer") == [run.settings["optimizer"] for run in runs]


def test_axes_are_those_of_the_study(folder: Path) -> None:
    shown = of_study(folder)
    assert described(shown, "lr") | {"role": ""} == {
        "role": "",
        "key": "optimizer.lr",
        "label": "lr",
        "log": True,
        "low": 1e-4,
        "high": 0.1,
    }
    assert not described(shown, "dropout")["log"]
    assert described(shown, "optimizer")["choices"] == ["adam", "sgd"]


def test_axes_that_nobody_describes_are_logarithmic_where_the_values_are(tmp_path: Path) -> None:
    rates, widths = (3e-4, 1e-3, 3e-3), (10, 45, 90)
    runs = [
        make_run(tmp_path / str(n), {"lr": lr, "width": width}, 0.5)
        for n, (lr, width) in enumerate(zip(rates, widths, strict=True))
    ]
    shown = of_runs(*runs)
    assert described(shown, "lr")["log"]
    assert not described(shown, "width")["log"]


def test_links_lead_from_the_page_to_the_runs(tmp_path: Path) -> None:
    run = make_run(tmp_path / "multirun" / "50% of ünïcode #1", {}, 0.5)
    (shown,) = of_runs(run, place=tmp_path / "pages")["runs"]
    assert shown["folder"].startswith("../multirun/50%25%20of%20")
    assert (tmp_path / "pages").joinpath(unquote(shown["folder"])).resolve() == run.folder.resolve()


def test_numbers_have_six_digits_and_what_is_not_finite_is_nothing(tmp_path: Path) -> None:
    odd = [math.nan, math.inf, 1 / 3]
    runs = [make_run(tmp_path / str(n), {"x": x}, 2 / 3, curve=[0.1, math.inf, x]) for n, x in enumerate(odd)]
    shown = of_runs(*runs)
    json.dumps(shown, allow_nan=False)
    assert column(shown, "val/acc") == [0.666667] * 3
    assert column(shown, "x") == ["nan", "inf", 0.333333]
    assert (described(shown, "x")["low"], described(shown, "x")["high"]) == (0.333333, 0.333333)
    assert shown["curves"]["metrics"]["val/acc"][2][1] == [0.1, None, 0.333333]


def test_a_setting_that_is_null_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    configs: list[dict[str, Any]] = [{"width": None}, {"width": 3}, {}, {"width": [1, 2]}, {"width": True}]
    shown = of_runs(*(make_run(tmp_path / str(n), config, 0.5) for n, config in enumerate(configs)))
    assert column(shown, "width") == ["null", 3, None, "[1, 2]", "true"]
    assert described(shown, "width")["choices"] == ["3", "[1, 2]", "null", "true"]


def test_a_mistake_in_a_failed_run_leaves_an_axis_of_numbers(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / str(n), {"lr": 10**-n}, 0.5) for n in range(1, 4)]
    runs.append(make_run(tmp_path / "0", {"lr": "abc"}, status="failed"))
    shown = of_runs(*runs)
    assert "choices" not in described(shown, "lr")
    assert column(shown, "lr")[-1] == "abc"


def test_long_curves_keep_200_points_their_ends_among_them(tmp_path: Path) -> None:
    run = make_run(tmp_path / "0", {}, 0.5, curve=[n / 1000 for n in range(1000)])
    shown = of_runs(run)["curves"]
    (place, values) = shown["metrics"]["val/acc"][0]
    assert len(values) == len(shown["steps"][place]) == len(shown["epochs"][place]) == 200
    assert (values[0], values[-1]) == (0, 0.999)
    assert (shown["steps"][place][-1], shown["epochs"][place][-1]) == (9990, 999)


def test_the_curves_of_many_runs_are_thinned_further(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeplab.report.learning_curves.TOTAL", 1200)
    curves = [curve for each in of_study(folder)["curves"]["metrics"].values() for curve in each if curve]
    assert max(len(values) for _, values in curves) == 10
    assert len(curves) > 100


def test_runs_measured_at_the_same_steps_share_them(folder: Path) -> None:
    shown = of_study(folder)["curves"]
    assert next(iter(shown["metrics"])) == "val/acc"
    lengths = {len(curve[1]) for curve in shown["metrics"]["val/acc"] if curve}
    assert len(shown["steps"]) == len(lengths)


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


def test_the_objective_of_most_runs_is_shown_and_the_others_are_told(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / str(n), {"x": n}, 0.1 * n) for n in range(3)]
    runs.append(make_run(tmp_path / "other", {"x": 9}, 1.0, metric="val/loss", mode="min"))
    shown = of_runs(*runs)
    assert shown["objectives"] == [{"metric": "val/acc", "mode": "max"}]
    assert shown["others"] == {"val/loss (min)": 1}
    assert column(shown, "val/acc") == [0, 0.1, 0.2, None]


def test_several_objectives_are_all_columns(tmp_path: Path) -> None:
    make_study(tmp_path / "pareto", 20, objectives=2)
    shown = of_study(tmp_path / "pareto")
    assert [each["label"] for each in shown["columns"] if each["role"] == "objective"] == [
        "val/acc",
        "model/parameters",
    ]


def test_seeds_are_no_axis_but_have_their_table_and_sentence(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / f"{model}-{seed}", {"model": model, "seed": seed}, value + seed / 100 * value)
        for model, value in (("cnn", 0.9), ("mlp", 0.5))
        for seed in range(3)
    ]
    shown = of_runs(*runs)
    assert described(shown, "seed")["role"] == "seed"
    (table,) = shown["tables"]
    assert len(table["rows"]) == 2
    assert "cnn is better than" in shown["tables"][0]["significance"].replace("model=", "")


def test_runs_without_seeds_have_neither(folder: Path) -> None:
    shown = of_study(folder)
    assert (shown["tables"], shown["mean"]) == ([], None)


def test_a_running_run_lasts_until_now(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "0", {}, status="running", ended=None, process={"host": "elsewhere", "pid": 1, "started": 0.0}
    )
    assert of_runs(run)["runs"][0]["end"] == 3600


def test_one_run_without_a_value_is_a_page_too(tmp_path: Path) -> None:
    shown = of_runs(make_run(tmp_path / "0", {}, status="failed", error="Traceback\nValueError: no\n", objective=None))
    assert shown["title"].endswith("/0")
    assert shown["runs"][0]["error"] == "ValueError: no"


def test_a_run_that_breaks_a_constraint_is_marked(tmp_path: Path) -> None:
    trial = {"study": "s", "number": 0, "constraints": {"size": 3.0}}
    assert of_runs(make_run(tmp_path / "0", {}, 0.9, trial=trial))["runs"][0]["broken"]


def test_a_study_among_others_is_not_taken_for_the_whole(folder: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path / "0", {}, 0.9)
    shown = content([*find([folder]).runs, other], Study.read(folder), tmp_path, NOW)
    assert (shown["title"], shown["study"]) == ("61 runs", None)
    assert shown["places"] == ["60 of cnn", "1 by themselves"]
