import json
import math
from pathlib import Path
from urllib.parse import unquote

import pytest

from sweeplab.records.found import find
from sweeplab.records.study import Study
from sweeplab.report.content import content
from tests.sweeplab.report.folders import make_run
from tests.sweeplab.report.page_data import NOW, column, described, of_runs, of_study


def test_every_run_is_there_with_what_tells_it_from_others(folder: Path) -> None:
    shown = of_study(folder)
    runs = find([folder]).runs
    assert shown["title"] == "cnn"
    assert column(shown, "run") == [str(run.number) for run in runs]
    assert column(shown, "status") == [str(run.status) for run in runs]
    assert column(shown, "lr") == pytest.approx([run.settings["optimizer.lr"] for run in runs], rel=1e-5)
    assert column(shown, "optimizer") == [run.settings["optimizer"] for run in runs]


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


def test_the_objective_of_most_runs_is_shown_and_the_others_are_told(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / str(n), {"x": n}, 0.1 * n) for n in range(3)]
    runs.append(make_run(tmp_path / "other", {"x": 9}, 1.0, metric="val/loss", mode="min"))
    shown = of_runs(*runs)
    assert shown["objectives"] == [{"metric": "val/acc", "mode": "max"}]
    assert shown["others"] == {"val/loss (min)": 1}
    assert column(shown, "val/acc") == [0, 0.1, 0.2, None]


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
    assert shown["sources"] == ["60 of cnn", "1 by themselves"]
