"""A saved view of a study in W&B: what matters, which trial is best and why, its curves; nothing but its trials."""

import hashlib
import importlib.util
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeplab.errors import UserError
from sweeplab.records.files import write_text
from sweeplab.records.names import of_training
from sweeplab.records.objective import PARAMETERS, Objective
from sweeplab.sweep.listener import Parameter, SweepInfo
from sweeplab.tracking.metadata import run_id, short_keys

if TYPE_CHECKING:
    from wandb_workspaces.workspaces.internal import View

OBJECTIVE = "objective"
X_AXIS = "trainer/global_step"
RUNS_PER_PANEL = 50


def available() -> bool:
    """Say whether wandb-workspaces is installed, without importing it."""
    return importlib.util.find_spec("wandb_workspaces") is not None


def build(sweep: SweepInfo, project: str, entity: str = "") -> dict[str, Any]:
    """Return the view as W&B stores it, the same one for the same open study; needs neither account nor network.

    Raises:
        UserError: wandb-workspaces is not installed.
    """
    _load()
    import wandb_workspaces.workspaces as ws
    from wandb_workspaces import expr

    assert sweep.id, "only an open study has an id"
    sections = {"Search": _search(sweep), "Curves": _curves(sweep)}
    if sweep.settings.repeats > 1 or sweep.settings.repeat_key in sweep.space.keys:
        sections["Averaged over seeds"] = _averages(sweep)
    columns = [f"config:sweep.value.{short}" for short in short_keys(sweep.space.keys).values()]
    numbers = [f"summary:{name}" for name, _ in _numbers(sweep)]
    workspace = ws.Workspace(
        entity=entity,
        project=project,
        name=f"Sweep {run_id(sweep.name)}",  # W&B refuses some signs, such as =
        sections=[
            ws.Section(name=name, panels=panels, is_open=True, layout_settings=ws.SectionLayoutSettings(columns=2))
            for name, panels in sections.items()
        ],
        settings=ws.WorkspaceSettings(x_axis=X_AXIS, max_runs=RUNS_PER_PANEL),
        runset_settings=ws.RunsetSettings(
            order=[expr.Ordering(expr.Summary(OBJECTIVE), ascending=_is_minimized(sweep.objectives[0]))],
            pinned_columns=["run:displayName", "run:state", *numbers, *columns],
        ),
    )
    # Its public `save` needs an account, gives each new view a name at random, and parses filters as text.
    view = workspace._to_model()
    view.name = f"nw-{_token(sweep.id)}-v"
    (runs,) = view.spec.section.run_sets
    runs.id = _token(f"{sweep.id} runs")
    # Not by RunsetSettings, which would read the = and < of a study's name as signs of its own.
    wanted = expr.And(expr.Metric("Group") == sweep.name, expr.Metric("JobType") == "trial")
    runs.filters = expr.filters_tree_to_v2(wanted.to_model())
    panels: list[Any] = [panel for part in view.spec.section.panel_bank_config.sections for panel in part.panels]
    for number, panel in enumerate(panels):
        panel.id = _token(f"{sweep.id} panel {number}")
    return view.model_dump(mode="json", by_alias=True, exclude_none=True)


def save(sweep: SweepInfo, project: str, entity: str, path: Path) -> None:
    """Write the view to a file that `push` takes.

    Raises:
        UserError: wandb-workspaces is not installed.
    """
    write_text(path, json.dumps(build(sweep, project, entity), indent=1) + "\n")


def push(path: Path, entity: str | None = None, project: str | None = None) -> str:
    """Save the view of a file at W&B, in place of what an earlier push left there; return its address.

    `entity` and `project` stand in for those of the file; where nobody names an entity it is the account's own.

    Raises:
        UserError: wandb-workspaces is not installed, the file holds no view, or W&B does not take it.
    """
    _load()
    import wandb
    from wandb_workspaces.workspaces import internal
    from wandb_workspaces.workspaces.errors import SpecVersionError

    view = _read(path)
    try:
        view.entity = entity or view.entity or str(wandb.Api().default_entity)
        view.project = project or view.project
        view.id = _id_at_wandb(view)
        internal.upsert_view2(view)
    except (wandb.errors.Error, SpecVersionError) as error:
        raise UserError(f"the view {path} was not saved, W&B says: {str(error).splitlines()[0]}") from error
    return f"{wandb.setup().settings.app_url}/{view.entity}/{view.project}?nw={_in_address(view)}"


def _id_at_wandb(view: "View") -> str:
    """Return the id of the view of that name, empty if there is none: W&B's client changes a view by its id only."""
    from wandb_workspaces.workspaces import internal

    try:
        return str(internal.get_view_dict(view.entity, view.project, _in_address(view))["id"])
    except ValueError:
        return ""


def _in_address(view: "View") -> str:
    """Return the name of a view as its address has it."""
    return view.name.removeprefix("nw-").removesuffix("-v")


def _read(path: Path) -> "View":
    from wandb_workspaces.workspaces.internal import View

    try:
        return View.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} holds no view of a study: {str(error).splitlines()[0]}") from error


def _load() -> None:
    """Import wandb-workspaces, which takes a second."""
    if not available():
        raise UserError("views need wandb-workspaces; run: pip install 'sweeplab[views]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it declares its models in an old way
        import wandb_workspaces.workspaces  # noqa: F401 - so that its warnings come here, unheard


def _search(sweep: SweepInfo) -> list[Any]:
    """Which parameters matter, and how the search went."""
    from wandb_workspaces.reports.v2 import interface as wr

    first, *further = _numbers(sweep)
    number, objective = first
    minimized = _is_minimized(objective)
    return [
        *_parallel_coordinates(sweep),
        wr.ParameterImportancePlot(with_respect_to=number),
        wr.ScatterPlot(
            title=f"{objective.metric} by trial",
            x=wr.Config("sweep.trial"),
            y=wr.SummaryMetric(number),
            running_ymin=minimized,
            running_ymax=not minimized,
        ),
        *(
            wr.ScatterPlot(
                title=f"{also.metric} and {objective.metric}", x=wr.SummaryMetric(number), y=wr.SummaryMetric(name)
            )
            for name, also in further
        ),
        wr.RunComparer(diff_only=True),
    ]


def _parallel_coordinates(sweep: SweepInfo) -> Iterator[Any]:
    """A plot of what all trials have; and one for each condition, since a line needs a value on every axis."""
    from wandb_workspaces.reports.v2 import interface as wr

    column = wr.ParallelCoordinatesPlotColumn
    short = short_keys(sweep.space.keys)
    objectives = [
        column(metric=wr.SummaryMetric(name), display_name=objective.metric, inverted=_is_minimized(objective))
        for name, objective in _numbers(sweep)
    ]
    for conditions in dict.fromkeys(((), *(parameter.conditions for parameter in sweep.space.parameters))):
        there = [p for p in sweep.space.parameters if set(p.conditions) <= set(conditions)]
        axes = [
            column(metric=wr.Config(f"sweep.{short[p.key]}"), display_name=short[p.key], log=_is_log(p)) for p in there
        ]
        where = ", ".join(f"{key}={value}" for key, value in conditions)
        if axes:
            yield wr.ParallelCoordinatesPlot(
                title=f"Parameters and objective{' where ' * bool(where)}{where}", columns=[*axes, *objectives]
            )


def _curves(sweep: SweepInfo) -> list[Any]:
    from wandb_workspaces.reports.v2 import interface as wr

    return [wr.LinePlot(title=name, x=X_AXIS, y=[name], max_runs_to_show=RUNS_PER_PANEL) for name in _logged(sweep)]


def _averages(sweep: SweepInfo) -> list[Any]:
    """The runs that differ in their seed only, as one: mean and standard deviation."""
    from wandb_workspaces.reports.v2 import interface as wr

    point = wr.Config("sweep.point")
    bars = [
        wr.BarPlot(
            title=objective.metric, metrics=[name], groupby=point, groupby_aggfunc="mean", groupby_rangefunc="stddev"
        )
        for name, objective in _numbers(sweep)
    ]
    lines = [
        wr.LinePlot(title=name, x=X_AXIS, y=[name], groupby=point, groupby_aggfunc="mean", groupby_rangefunc="stddev")
        for name in _logged(sweep)
    ]
    return [*bars, *lines]


def _numbers(sweep: SweepInfo) -> list[tuple[str, Objective]]:
    """Return the objectives under their names in the summary of a run."""
    first, *further = sweep.objectives
    return [(OBJECTIVE, first), *((f"{OBJECTIVE}/{objective.metric}", objective) for objective in further)]


def _logged(sweep: SweepInfo) -> Sequence[str]:
    """Return the curves to show: those of the objectives, and what they are probably called in the training."""
    metrics = [objective.metric for objective in sweep.objectives if objective.metric != PARAMETERS]
    return list(dict.fromkeys(name for metric in metrics for name in (metric, of_training(metric))))


def _is_log(parameter: Parameter) -> bool:
    return bool(getattr(parameter.distribution, "log", False))


def _is_minimized(objective: Objective) -> bool:
    return objective.mode == "min"


def _token(text: str) -> str:
    """Return a name of the length that W&B gives to views and panels, always the same for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:11]
