"""A sweep from its configuration to its last message."""

import contextlib
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from sweeplab.errors import UserError
from sweeplab.records.files import write_text
from sweeplab.records.layout import StudyFile
from sweeplab.records.trust import check_files, is_given
from sweeplab.secrets import masked_config
from sweeplab.streams import open_closed_streams
from sweeplab.sweep.check import check_spec
from sweeplab.sweep.config.objectives import directions
from sweeplab.sweep.config.settings import ClusterSettings
from sweeplab.sweep.console import ProgressTable, closing, greeting
from sweeplab.sweep.execute.cluster import MARGIN
from sweeplab.sweep.execute.connect import WITNESS, cluster_of, make_cluster_executor
from sweeplab.sweep.execute.controller_job import run_controller
from sweeplab.sweep.execute.executor import Executor, make_executor
from sweeplab.sweep.execute.recovery import Recovery
from sweeplab.sweep.execute.signals import Course
from sweeplab.sweep.execute.slots import Slot, slots
from sweeplab.sweep.execute.temporary import own_folder
from sweeplab.sweep.job import Job, Outcome
from sweeplab.sweep.limits import Limits
from sweeplab.sweep.listener import Listener, Listeners, SweepInfo
from sweeplab.sweep.loop import Loop
from sweeplab.sweep.preview import preview
from sweeplab.sweep.results import describe, summarize, write_results
from sweeplab.sweep.spec import SweepSpec, make_spec
from sweeplab.sweep.study.client import StudyClient
from sweeplab.sweep.study.retries import numbers_to_retry
from sweeplab.sweep.study.search import Search
from sweeplab.sweep.study.storage import follow, open_storage
from sweeplab.sweep.study.study import check_compatible, open_study, searched_before
from sweeplab.sweep.study.trials import FOLDER


def sweep(config: DictConfig, context: HydraContext, task: TaskFunction, arguments: list[str]) -> None:
    """Run or resume the sweep that the configuration and the arguments describe.

    Raises:
        UserError: a mistake of the user, before the first trial.
        SystemExit: the budget was not met.
    """
    open_closed_streams()
    with tempfile.TemporaryDirectory(prefix="sweep-", dir=own_folder()) as snapshot:
        spec = make_spec(config, context, task, arguments, Path(snapshot))
        cluster = cluster_of(spec.settings)
        check_spec(spec)
        search = Search(spec)
        if spec.settings.preview is not False:
            sys.stdout.write(preview(spec, search) + "\n")
            return
        code = run_controller(spec, cluster, lambda: _run(spec, search, config, cluster))
    if code:
        sys.exit(code)


def _run(spec: SweepSpec, search: Search, config: DictConfig, cluster: ClusterSettings | None) -> tuple[int, bool]:
    """Run the sweep; return the exit code, and whether any trial came further."""
    start = time.monotonic()
    listeners = Listeners(spec.settings.listeners)
    settings = spec.settings
    shares = [] if cluster else slots(settings.n_jobs, settings.jobs_per_gpu, settings.gpus_per_job, search.total)
    _check_folder(spec)
    storage, lock = open_storage(spec.settings.storage, spec.folder)
    study = open_study(storage, spec.name, directions(spec.objectives))
    if (space := spec.space.named_in(searched_before(study))) != spec.space:
        spec = replace(spec, space=space)
        search = Search(spec)
    extended = check_compatible(study, spec)
    _leave_config(spec, config)
    silence = cluster.lease + MARGIN if cluster else 0.0
    renamed = partial(space.renamed, default_of=spec.default_of)
    client = StudyClient(study, lock, spec.settings.retries, spec.folder, silence=silence, renamed=renamed)
    spec = replace(spec, id=f"{spec.name}-{client.identity()}", has_objective=spec.has_objective or not search.walks)
    spec.folder_names.names.update({t.number: t.user_attrs[FOLDER] for t in client.trials() if FOLDER in t.user_attrs})
    if extended:
        client.drop_waiting()
    client.rename_queued()
    if is_only_controller := client.register():
        _remove_leftovers(spec)
    search.equip(study, "" if is_only_controller else client.controller)
    lost: list[tuple[Job, Outcome]] = []
    recovered = client.recover(Recovery(spec, lambda *run: lost.append(run), client.may_run_until).settle)
    _check_numbers(spec, client)
    numbers = numbers_to_retry(spec.settings)
    retried = 0 if numbers == [] else client.retry(numbers)
    client.enqueue(search.first)
    total = search.total_in(client.trials())
    describe(spec, total).write(spec.folder)
    before = summarize(spec, client, total, "", None)
    info = SweepInfo.of(spec, search)
    listeners.tell(Listener.sweep_started, info, before, is_only_controller)
    for job, outcome in lost:
        listeners.tell(Listener.trial_lost, job, outcome)
    preload = listeners.preload(info)
    if cluster and not (before.total is not None and before.endings.total() >= before.total):
        executor: Executor = make_cluster_executor(spec, cluster, preload)
    else:  # a sweep that is over needs no nodes
        executor = make_executor(spec, shares or [Slot()], preload)
    search.can_be_shared &= executor.imports_program
    limits = Limits(spec.settings, total)
    with contextlib.closing(executor), ProgressTable(spec, before) as progress:
        progress.print(greeting(spec, before, executor.slots, recovered, retried, extended))
        loop = Loop(spec, search, client, executor, limits, listeners, progress)
        follow(storage, progress.print, lambda: loop.interrupts.course < Course.STOP)
        stopped = "it broke off"
        try:
            stopped = loop.run()
        finally:
            executor.close()
            progress.close_table()
            over = limits.over if not stopped else ""
            summary = summarize(spec, client, total, stopped or over, loop.use)
            write_results(spec, summary)
            listeners.tell(Listener.sweep_ended, info, summary)
        if limits.first:
            progress.print(limits.first)
        progress.print(closing(spec, summary, time.monotonic() - start))
    code = loop.interrupts.exit_code or (0 if summary.met or (over and summary.best) else 1)
    return code, summary.progress > before.progress


def _remove_leftovers(spec: SweepSpec) -> None:
    """Remove what controllers that were killed left for their hosts, and of files that were on their way."""
    for path in spec.folder.glob(f"{WITNESS}*"):
        path.unlink(missing_ok=True)
    for path in spec.folder.glob(f"{StudyFile.ARRIVING}*"):
        shutil.rmtree(path, ignore_errors=True)


def _check_folder(spec: SweepSpec) -> None:
    """Refuse a folder with runs that no study accounts for, before anything is written there."""
    # Folders of trials need no look: a new trial never writes into one that exists.
    trusted = spec.base.get("trust") is True and is_given(sys.argv[1:])  # another app may mean something else by it
    check_files(spec.folder.glob("[!0-9]*"), spec.folder, trusted)
    taken = sorted(spec.folder.glob("[0-9]*"))
    if taken and spec.settings.storage is None and not (spec.folder / StudyFile.JOURNAL).exists():
        raise UserError(f"{taken[0]} exists but belongs to no study; choose {spec.another}.")


def _check_numbers(spec: SweepSpec, client: StudyClient) -> None:
    """Refuse a folder with numbers that the study has not given out."""
    given = len(client.trials()) if spec.folder_names.are_numbers else float("inf")
    for folder in spec.folder.glob("[0-9]*"):
        if folder.name.isdigit() and int(folder.name) >= given:
            raise UserError(f"{folder} exists, but not in the study {spec.name}; choose {spec.another}.")


def _leave_config(spec: SweepSpec, config: DictConfig) -> None:
    path = spec.folder / StudyFile.CONFIG
    if not path.exists():
        plain = masked_config(OmegaConf.to_container(config, resolve=False))
        write_text(path, OmegaConf.to_yaml(OmegaConf.create(plain)))
