import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import wandb

from sweeplab.errors import UserError
from sweeplab.sweep.listener import SweepInfo
from sweeplab.sweep.trial import Trial
from sweeplab.tracking import view
from sweeplab.tracking.metadata import columns
from tests.sweeplab.tracking.infos import ACCURACY, info_of
from tests.wandb_server import ENTITY, WandbServer

pytestmark = pytest.mark.slow

LOG = "x=tag(log,interval(1e-3,1))"
BUDGET = "hydra.sweeper.n_trials=5"
TWO = ("+objective.also=[{metric: model/parameters, mode: min}]",)
CONDITIONS = (
    "+hydra.sweeper.params.opt='choice(sgd,adam)'",
    "+hydra.sweeper.params.when={opt\\=adam: {y: 'range(1,5)'}, opt\\=sgd: {steps: 'range(0,3)'}}",
)
SPACES = {
    "log": (LOG, BUDGET),
    "categories": ("opt=sgd,adam", "fast=true,false", "layers=[1],[1,2]"),
    "conditions": (LOG, *CONDITIONS, BUDGET),
    "seeds": ("x=1,2", "seed=0,1,2"),
    "repeats": ("x=1,2", "hydra.sweeper.repeats=2"),
    "two objectives": ("x=1,2", *TWO),
}


def panels(built: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The configurations of the panels of a kind."""
    sections = built["spec"]["section"]["panelBankConfig"]["sections"]
    return [panel["config"] for one in sections for panel in one["panels"] if panel["viewType"] == kind]


def sections(built: dict[str, Any]) -> list[str]:
    return [section["name"] for section in built["spec"]["section"]["panelBankConfig"]["sections"]]


def runs(built: dict[str, Any]) -> dict[str, Any]:
    (found,) = built["spec"]["section"]["runSets"]
    return dict(found)


def a_trial_of(info: SweepInfo) -> Trial:
    """A trial with every key of the space, as if all conditions could hold at once."""
    values = {p.key: (p.points or [0.5])[0] for p in info.space.parameters}
    return Trial(info.name, 3, values, searched=info.space.keys, seed_key=info.settings.repeat_key)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_wandb_reads_the_view_back_as_it_was(space: tuple[str, ...]) -> None:
    built = view.build(info_of(*ACCURACY, *space), "proj")
    import wandb_workspaces.workspaces as ws
    from wandb_workspaces.workspaces.internal import View

    read = ws.Workspace._from_model(View.model_validate(json.loads(json.dumps(built))))
    assert read._to_model().model_dump(mode="json", by_alias=True, exclude_none=True) == built


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_panels_and_columns_name_only_what_runs_have(space: tuple[str, ...]) -> None:
    info = info_of(*ACCURACY, *space)
    text = json.dumps(view.build(info, "proj"))
    named = {word.partition('"')[0] for word in text.split("sweep.value.")[1:]}
    assert named <= columns(a_trial_of(info)).keys()
    assert named >= columns(a_trial_of(info)).keys() - {"study", "repeat", "point"}


def test_axes_are_logarithmic_where_the_search_is() -> None:
    (plot,) = panels(view.build(info_of(*ACCURACY, LOG, "y=range(1,5)", BUDGET), "proj"), "Parallel Coordinates Plot")
    assert {axis["displayName"]: axis.get("log") for axis in plot["columns"]} == {
        "x": True,
        "y": False,
        "val/acc": None,
    }


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_best_is_on_top_and_first(mode: str) -> None:
    built = view.build(info_of("+objective.metric=val/loss", f"+objective.mode={mode}", "x=1,2"), "proj")
    (plot,) = panels(built, "Parallel Coordinates Plot")
    (scatter,) = panels(built, "Scatter Plot")
    assert plot["columns"][-1]["inverted"] is (mode == "min")
    assert scatter["showMinYAxisLine"] is (mode == "min")
    assert scatter["showMaxYAxisLine"] is (mode == "max")
    (key,) = runs(built)["sort"]["keys"]
    assert (key["key"]["name"], key["ascending"]) == ("objective", mode == "min")


def test_under_conditions_each_line_has_a_value_on_each_axis() -> None:
    plots = panels(view.build(info_of(*ACCURACY, *SPACES["conditions"]), "proj"), "Parallel Coordinates Plot")
    axes = {plot["chartTitle"]: [axis["displayName"] for axis in plot["columns"]] for plot in plots}
    assert axes == {
        "Parameters and objective": ["opt", "x", "val/acc"],
        "Parameters and objective where opt=adam": ["opt", "y", "x", "val/acc"],
        "Parameters and objective where opt=sgd": ["opt", "steps", "x", "val/acc"],
    }


@pytest.mark.parametrize(("space", "averaged"), [("seeds", True), ("repeats", True), ("log", False)])
def test_runs_that_differ_in_their_seed_are_averaged(space: str, averaged: bool) -> None:
    built = view.build(info_of(*ACCURACY, *SPACES[space]), "proj")
    assert ("Averaged over seeds" in sections(built)) is averaged
    grouped = [p for kind in ("Run History Line Plot", "Bar Chart") for p in panels(built, kind) if p.get("groupBy")]
    assert {(p["groupBy"], p["groupAgg"], p["groupArea"]) for p in grouped} == (
        {("sweep.value.point", "mean", "stddev")} if averaged else set()
    )


def test_several_objectives_are_drawn_against_each_other() -> None:
    built = view.build(info_of(*ACCURACY, *SPACES["two objectives"]), "proj")
    pairs = [(plot["xAxis"], plot["yAxis"]) for plot in panels(built, "Scatter Plot")]
    assert ("summary:objective", "summary:objective/model/parameters") in pairs
    curves = [name for plot in panels(built, "Run History Line Plot") for name in plot["metrics"]]
    assert curves == ["val/acc", "train/acc"]


@pytest.mark.parametrize("study", ["cnn", "lr=1e-3 < 2", "it's 'quoted'", "a and b"])
def test_only_the_trials_of_the_study_are_shown_whatever_its_name(study: str) -> None:
    built = view.build(info_of("x=1,2", study=study.replace("'", "\\'")), "proj")
    assert [(f["key"]["name"], f["op"], f["value"]) for f in runs(built)["filters"]["filters"]] == [
        ("group", "=", study),
        ("jobType", "=", "trial"),
    ]


def test_the_same_study_gives_the_same_view() -> None:
    first, again, other = (view.build(info_of("x=1,2", study=name), "proj") for name in ("one", "one", "other"))
    assert first == again
    assert first["name"] != other["name"]


def test_pushing_again_leaves_one_view(tmp_path: Path, wandb_server: WandbServer) -> None:
    view.save(info_of("x=1,2"), "proj", "", tmp_path / "view.json")
    url = view.push(tmp_path / "view.json")
    view.save(info_of("x=1,2,3", *TWO, *ACCURACY), "proj", "", tmp_path / "view.json")
    assert view.push(tmp_path / "view.json") == url
    wandb.teardown()
    (pushed,) = wandb_server.views
    assert pushed.project == "proj"
    assert len(panels({"spec": pushed.spec}, "Scatter Plot")) == 2
    assert url == f"{wandb_server.url}/{ENTITY}/proj?nw={pushed.name[3:-2]}"
    assert not wandb_server.unknown


def test_a_view_goes_where_it_is_told(tmp_path: Path, wandb_server: WandbServer) -> None:
    view.save(info_of("x=1,2"), "proj", "", tmp_path / "view.json")
    assert "/team/elsewhere?nw=" in view.push(tmp_path / "view.json", "team", "elsewhere")
    wandb.teardown()
    assert [pushed.project for pushed in wandb_server.views] == ["elsewhere"]


def test_a_refused_key_is_told_in_one_sentence(tmp_path: Path, wandb_server: WandbServer) -> None:
    view.save(info_of("x=1,2"), "proj", "", tmp_path / "view.json")
    wandb_server.refuses = 401
    with pytest.raises(UserError, match=r"view.json was not saved, W&B says: .*not logged in"):
        view.push(tmp_path / "view.json")
    wandb.teardown()


def test_a_file_that_is_no_view_is_named(tmp_path: Path) -> None:
    (tmp_path / "view.json").write_text("{}")
    with pytest.raises(UserError, match=r"view.json holds no view"):
        view.push(tmp_path / "view.json")
    with pytest.raises(UserError, match=r"none.json holds no view"):
        view.push(tmp_path / "none.json")


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not view.available()
    with pytest.raises(UserError, match=r"pip install 'sweeplab\[views\]'"):
        view.build(info_of("x=1,2"), "proj")


def test_the_package_is_imported_when_a_view_is_built_and_not_before() -> None:
    code = "import sys, sweeplab.tracking.view as view; view.available(); print('wandb_workspaces' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
