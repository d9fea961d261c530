"""A sweep from its configuration to its last message."""

import pickle
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from sweeplab.errors import UserError
from sweeplab.records.files import write_text
from sweeplab.records.trust import check_files, is_given
from sweeplab.secrets import masked_config
from sweeplab.streams import open_closed_streams
from sweeplab.sweep.check import check_plan
from sweeplab.sweep.config.objectives import directions
from sweeplab.sweep.console import Board, closing, short
from sweeplab.sweep.execute.executor import Executor
from sweeplab.sweep.execute.inline import Inline
from sweeplab.sweep.execute.local import Local
from sweeplab.sweep.execute.recovery import Lost
from sweeplab.sweep.execute.slots import Slot, slots
from sweeplab.sweep.execute.temporary import own_folder
from sweeplab.sweep.job import Job, Outcome
from sweeplab.sweep.limits import Limits
from sweeplab.sweep.listener import Listeners
from sweeplab.sweep.loop import Loop
from sweeplab.sweep.preview import preview
from sweeplab.sweep.results import FOLDER, Summary, summarize, write_results
from sweeplab.sweep.spec import Plan, make_plan
from sweeplab.sweep.study.client import Book
from sweeplab.sweep.study.compatibility import hold
from sweeplab.sweep.study.description import describe
from sweeplab.sweep.study.search import Search
from sweeplab.sweep.study.storage import JOURNAL, open_storage
from sweeplab.sweep.study.study import Study, open_study


def sweep(config: DictConfig, context: HydraContext, task: TaskFunction, arguments: list[str]) -> None:
    """Run or resume the sweep that the configuration and the arguments describe.

    Raises:
        UserError: a mistake, found before the first trial.
        SystemExit: the budget was not met.
    """
    open_closed_streams()
    with tempfile.TemporaryDirectory(prefix="sweep-", dir=own_folder()) as snapshot:
        plan = make_plan(config, context, task, arguments, Path(snapshot))
        check_plan(plan)
        search = Search(plan)
        if plan.settings.preview is not False:
            sys.stdout.write(_preview(plan, search) + "\n")
            return
        code = _run(plan, search, config)
    if code:
        sys.exit(code)


def _run(plan: Plan, search: Search, config: DictConfig) -> int:
    """Run the sweep; return the exit code."""
    start = time.monotonic()
    listeners = Listeners.configured(plan.settings.listeners)
    places = slots(plan.settings.n_jobs, plan.settings.jobs_per_gpu, plan.settings.gpus_per_job, search.total)
    _check_folder(plan)
    storage, lock = open_storage(plan.settings.storage, plan.folder)
    study = open_study(storage, plan.name, directions(plan.objectives))
    known = {name for trial in study.get_trials(deepcopy=False) for name in trial.distributions}
    if (space := plan.space.named_as(known)) != plan.space:
        plan = replace(plan, space=space)
        search = Search(plan)
    extended = hold(study, plan)
    _leave_config(plan, config)
    book = Book(study, lock, plan.settings.retries, plan.folder)
    plan = replace(plan, id=f"{plan.name}-{book.identity()}", judged=plan.judged or not search.walks)
    plan.names.update({t.number: t.user_attrs[FOLDER] for t in book.trials() if FOLDER in t.user_attrs})
    if extended:
        book.drop_given_back()
    alone = book.sign_in()
    search.equip(study, "" if alone else book.controller)
    lost: list[tuple[Job, Outcome]] = []
    found = book.recover(Lost(plan, lambda *run: lost.append(run)).settle)
    _check_numbers(plan, book)
    book.enqueue(search.first)
    total = search.total_in(book.trials())
    describe(plan, total).write(plan.folder)
    before = summarize(plan, book, total, "", None)
    listeners.sweep_started(plan, before, alone)
    for job, outcome in lost:
        listeners.trial_lost(job, outcome)
    executor = _executor(plan, places, listeners.preload(plan))
    search.can_be_shared &= executor.imports_program
    limits = Limits(plan.settings, total)
    with Board(plan, executor.slots, before) as board:
        board.say(_greeting(plan, before, executor.slots, found, extended))
        loop = Loop(plan, search, book, executor, limits, listeners, board)
        stopped = "it broke off"
        try:
            stopped = loop.run()
        finally:
            executor.close()
            over = limits.over if not stopped else ""
            summary = summarize(plan, book, total, stopped or over, loop.use)
            write_results(plan, summary)
            listeners.sweep_ended(plan, summary)
        if limits.first:
            board.say(limits.first)
        board.say(closing(plan, summary, time.monotonic() - start))
    return loop.exit_code or (0 if summary.met or (over and summary.best) else 1)


def _executor(plan: Plan, places: Sequence[Slot], preload: Sequence[str]) -> Executor:
    settings = plan.settings
    if settings.executor == "inline":
        return Inline()
    modules = [*settings.preload, *sorted(set(_targets(plan.base))), *preload]
    rehearsal = plan.snapshot / "rehearsal.pickle"
    rehearsal.write_bytes(pickle.dumps((plan.frozen.recipes(), plan.program, plan.context, plan.task.script)))
    return Local(places, plan.task, modules, rehearsal, settings.executor == "spawn", settings.trial_timeout)


def _targets(config: Any) -> Iterator[str]:
    """Find all that a configuration can build."""
    if isinstance(config, DictConfig):
        config = OmegaConf.to_container(config, resolve=False)
    if isinstance(config, dict):
        target = config.get("_target_")
        if isinstance(target, str) and "." in target and "${" not in target:
            yield target
        for key, value in config.items():
            if key != "hydra":
                yield from _targets(value)
    elif isinstance(config, list):
        for value in config:
            yield from _targets(value)


def _check_folder(plan: Plan) -> None:
    """Refuse a folder with runs that no study accounts for, before anything is written there."""
    # No trial that is there already is written to.
    trusted = plan.base.get("trust") is True and is_given(sys.argv[1:])  # another app may mean something else by it
    check_files(plan.folder.glob("[!0-9]*"), plan.folder, trusted)
    taken = sorted(plan.folder.glob("[0-9]*"))
    if taken and plan.settings.storage is None and not (plan.folder / JOURNAL).exists():
        raise UserError(f"{taken[0]} exists, but no study that it belongs to; choose {plan.another}.")


def _check_numbers(plan: Plan, book: Book) -> None:
    """Refuse a folder with numbers that the study has not given out."""
    given = float("inf") if plan.names_folders else len(book.trials())
    for folder in plan.folder.glob("[0-9]*"):
        if folder.name.isdigit() and int(folder.name) >= given:
            raise UserError(f"{folder} exists, but not in the study {plan.name}; choose {plan.another}.")


def _leave_config(plan: Plan, config: DictConfig) -> None:
    path = plan.folder / "multirun.yaml"
    if not path.exists():
        plain = masked_config(OmegaConf.to_container(config, resolve=False))
        write_text(path, OmegaConf.to_yaml(OmegaConf.create(plain)))


def _greeting(plan: Plan, before: Summary, slots: int, found: int, extended: list[str]) -> str:
    total = "" if before.total is None else f" of {before.total}"
    words = f"{plan.name}: {before.endings.total()}{total} trials are there, {slots} at a time, in {short(plan.folder)}"
    if found:
        words += f"; {found} that a dead controller left behind were settled"
    return words + (f"; extended: {'; '.join(extended)}" if extended else "")


def _preview(plan: Plan, search: Search) -> str:
    if plan.settings.preview is not True:
        return Listeners.configured(plan.settings.listeners).named(str(plan.settings.preview)).preview(plan)
    study = Study(plan.name, _memory(plan))
    search.equip(study)
    for point in search.first:
        study.enqueue_trial(point)
    settings = plan.settings
    facts = {
        "n_trials": search.total or "no limit",
        "timeout": settings.timeout or "no limit",
        "n_jobs": len(slots(settings.n_jobs, settings.jobs_per_gpu, settings.gpus_per_job, search.total)),
        "sampler": _way(search, settings.one_at_a_time) or type(study.sampler).__name__,
        "pruner": type(study.pruner).__name__,
    } | ({"repeats": f"{settings.repeats} runs a trial"} if settings.repeats > 1 else {})
    return preview(plan, study, search.suggest, search.points, facts)


def _way(search: Search, one_at_a_time: bool) -> str:
    """Name the walk through the points, if it is one."""
    if one_at_a_time:
        return "the base, then one factor at a time"
    return "the grid in order" if search.walks else ""


def _memory(plan: Plan) -> optuna.storages.BaseStorage:
    storage = optuna.storages.InMemoryStorage()
    storage.create_new_study(directions(plan.objectives), plan.name)
    return storage
