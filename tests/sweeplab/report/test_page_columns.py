from pathlib import Path
from typing import Any

from bench.synthetic import make_study

from sweeplab.records.run import Run
from tests.sweeplab.report.folders import make_run
from tests.sweeplab.report.page_data import column, described, of_runs, of_study


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


def test_several_objectives_are_all_columns(tmp_path: Path) -> None:
    make_study(tmp_path / "pareto", 20, objectives=2)
    shown = of_study(tmp_path / "pareto")
    assert [each["label"] for each in shown["columns"] if each["role"] == "objective"] == [
        "val/acc",
        "model/parameters",
    ]


def test_tags_are_a_column_where_there_are_any(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / str(n), {"lr": n}, 0.5) for n in range(2)]
    assert "tags" not in [each["label"] for each in of_runs(*runs)["columns"]]
    tagged = Run(runs[0].folder, {**runs[0].facts, "tags": ["a", "b"]})
    assert column(of_runs(tagged, runs[1]), "tags") == ["a, b", None]
