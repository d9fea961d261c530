"""What a sweep would do, without doing it."""

import shlex
from typing import Any

import optuna

from sweeplab.sweep.config.objectives import directions
from sweeplab.sweep.execute.connect import cluster_of, job_script
from sweeplab.sweep.execute.controller_job import controller_options
from sweeplab.sweep.execute.slots import Slot, slots
from sweeplab.sweep.listener import Listeners, SweepInfo
from sweeplab.sweep.space.parameter import Parameter
from sweeplab.sweep.spec import SweepSpec, single_run
from sweeplab.sweep.study.search import Search
from sweeplab.sweep.study.study import Study

SAMPLES = 3


def preview(spec: SweepSpec, search: Search) -> str:
    """Return the space, the budget, and three trials with the commands that run each alone; or a listener's preview.

    The jobs that a cluster would submit are shown too.

    Raises:
        UserError: there is no listener of that name, or it has no preview.
    """
    if spec.settings.preview is not True:
        listener = Listeners(spec.settings.listeners).named(str(spec.settings.preview))
        return listener.preview(SweepInfo.of(spec, search))
    study = _study(spec, search)
    size = spec.size()
    lines = [f"study {spec.name} in {spec.folder}", "", "space"]
    lines += [f"  {_line(parameter)}" for parameter in spec.space.parameters] or ["  nothing is searched"]
    lines += [f"  {'infinite' if size is None else f'{size} points in all'}", "", "budget"]
    lines += [f"  {name}: {value}" for name, value in _budget(spec, search, study).items()]
    lines += ["", "trials" if search.walks else "trials, as the sampler would suggest them first"]
    for _ in range(SAMPLES):
        if search.points is not None:
            following = search.points.following(study.get_trials(deepcopy=False))
            if following is None:
                break
            study.enqueue_trial(dict(following))
        lines.append(f"  {single_run(spec.rerun_overrides(search.suggest(study.ask())))}")
    return "\n".join([*lines, *_jobs(spec)])


def _jobs(spec: SweepSpec) -> list[str]:
    cluster = cluster_of(spec.settings)
    if cluster is None:
        return []
    lines = []
    if cluster.submit_controller:
        lines += ["", "the job of the controller", f"  sbatch {shlex.join(controller_options(spec, cluster))}"]
    if script := job_script(cluster):
        lines += ["", "the job of a node", *(f"  {line}" for line in script.splitlines())]
    return lines


def _study(spec: SweepSpec, search: Search) -> Study:
    """Return a study in memory, with the points to try first."""
    storage = optuna.storages.InMemoryStorage()
    storage.create_new_study(directions(spec.objectives), spec.name)
    study = Study(spec.name, storage)
    search.equip(study)
    for point in search.first:
        study.enqueue_trial(point)
    return study


def _budget(spec: SweepSpec, search: Search, study: Study) -> dict[str, Any]:
    settings = spec.settings
    sampler = type(study.sampler).__name__
    if search.walks:
        sampler = "the base, then one factor at a time" if settings.one_at_a_time else "the grid in order"
    return {
        "n_trials": search.total or "no limit",
        "timeout": settings.timeout or "no limit",
        "n_jobs": settings.n_jobs if settings.cluster else len(_slots(spec, search)),
        "sampler": sampler,
        "pruner": type(study.pruner).__name__,
    } | ({"repeats": f"{settings.repeats} runs per trial"} if settings.repeats > 1 else {})


def _slots(spec: SweepSpec, search: Search) -> list[Slot]:
    settings = spec.settings
    return slots(settings.n_jobs, settings.jobs_per_gpu, settings.gpus_per_job, search.total)


def _line(parameter: Parameter) -> str:
    when = ", ".join(f"{key}={value}" for key, value in parameter.conditions)
    return f"{parameter.key}: {parameter.text}" + (f"  (when {when})" if when else "")
