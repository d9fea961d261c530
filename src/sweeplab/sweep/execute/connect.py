"""From what the settings say of a cluster to the executor over it."""

import importlib.util
import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import fields
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeplab.build import located
from sweeplab.errors import UserError, did_you_mean
from sweeplab.sweep.config.settings import ClusterSettings, Settings
from sweeplab.sweep.config.trial_config import local_classes
from sweeplab.sweep.execute.cluster import ClusterExecutor
from sweeplab.sweep.execute.executor import modules_of, write_warm_up
from sweeplab.sweep.execute.messages import HostSetup, packed
from sweeplab.sweep.execute.runtime_state import beyond_import, warn_of_missing
from sweeplab.sweep.program import importable_main
from sweeplab.sweep.spec import SweepSpec

if TYPE_CHECKING:
    from sweeplab.sweep.execute.dask import Dask

WITNESS = ".cluster-"  # how the names of files begin by which hosts know the study's folder
MAX_LEASE = 100.0  # seconds; controllers elsewhere take over the trials of one that is silent for longer
KEY = "hydra.sweeper.cluster"


def cluster_of(settings: Settings) -> ClusterSettings | None:
    """Return where trials run beyond this machine, None if they do not.

    Raises:
        UserError: a setting that is not known, that is missing, or that does not go with another.
    """
    given = settings.cluster
    if given is None:
        return None
    names = [field.name for field in fields(ClusterSettings)]
    if not isinstance(given, Mapping):
        raise UserError(f"{KEY}={given} must be a mapping with {KEY}.address or {KEY}.start.")
    for name in given:
        if name not in names:
            raise UserError(f"{KEY} has no key '{name}'{did_you_mean(str(name), names)}")
    cluster = ClusterSettings(**given)
    if isinstance(cluster.start, Mapping) and (unset := [k for k, v in cluster.start.items() if v == "???"]):
        raise UserError(f"the cluster needs cluster.start.{unset[0]}=...")
    if (cluster.address is None) == (cluster.start is None):
        raise UserError(
            "a cluster needs either the address of its scheduler, cluster.address=tcp://<head>:8786, or cluster.start, "
            "the class that starts one."
        )
    if settings.executor == "inline":
        raise UserError("hydra.sweeper.executor=inline runs trials in this process, not on a cluster.")
    if not 0 < cluster.lease <= MAX_LEASE:
        raise UserError(f"{KEY}.lease={cluster.lease} must be more than 0 and at most {MAX_LEASE:g} seconds.")
    if importlib.util.find_spec("distributed") is None:
        raise UserError("a cluster needs Dask, which is not installed: pip install 'sweeplab[dask]'.")
    return cluster


def make_cluster_executor(spec: SweepSpec, cluster: ClusterSettings, preload: Sequence[str]) -> ClusterExecutor:
    """Connect to a cluster, or start one; `preload` are modules that listeners make trials import.

    Raises:
        UserError: there is no cluster, or it cannot have the program.
    """
    if not spec.task.module or local_classes:
        what = f"the task {spec.task.name}" if not spec.task.module else next(iter(local_classes)).partition(" ")[0]
        raise UserError(f"{what} cannot be imported on other machines; define it at the top of a module.")
    warn_of_missing(beyond_import(get_context("spawn")), "the nodes of a cluster know only what an import gives.")
    handle, name = tempfile.mkstemp(prefix=WITNESS, dir=spec.folder)
    os.close(handle)
    setup = _setup(spec, cluster, preload, Path(name))
    try:
        engine = _dask(cluster, packed(setup))
    except BaseException:
        Path(name).unlink()
        raise
    most = spec.settings.n_jobs if spec.settings.n_jobs != "auto" else None
    return ClusterExecutor(engine, cluster.lease, most, Path(name))


def _setup(spec: SweepSpec, cluster: ClusterSettings, preload: Sequence[str], witness: Path) -> HostSetup:
    settings = spec.settings
    write_warm_up(spec)
    return HostSetup(
        main=importable_main(),
        path=sys.path,
        folder=Path.cwd(),
        environment={name: os.environ[name] for name in cluster.environment if name in os.environ},
        task=spec.task,
        modules=modules_of(spec, preload),
        snapshot=spec.snapshot,
        files={
            str(path.relative_to(spec.snapshot)): path.read_bytes()
            for path in spec.snapshot.rglob("*")
            if path.is_file()
        },
        cold=settings.executor == "spawn",
        trial_timeout=settings.trial_timeout,
        jobs=cluster.jobs_per_node,
        jobs_per_gpu=settings.jobs_per_gpu,
        gpus_per_job=settings.gpus_per_job,
        witness=witness,
        lease=cluster.lease,
    )


def _dask(cluster: ClusterSettings, setup: bytes) -> "Dask":
    import distributed

    from sweeplab.sweep.execute.dask import Dask

    make: Any = distributed.Security  # which has no types
    security = make(**cluster.security) if cluster.security else None
    if cluster.address is not None:
        return Dask(_address(cluster.address), security, setup, cluster.lease)
    started = _start(cluster)
    try:
        return Dask(started.scheduler_address, security or started.security, setup, cluster.lease, started)
    except BaseException:
        started.close()
        raise


def _address(text: str) -> str:
    """Return the address itself, or the one in the file that a scheduler has written."""
    path = Path(text)
    if "://" in text or not (path.suffix or path.exists()) or ":" in text:
        return text
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{KEY}.address={text} is neither an address nor the file of a Dask scheduler.") from error


def _built(start: Any) -> Any:
    """Build a cluster; its arguments are its own to check, as it hands many of them on."""
    where = f"{KEY}.start"
    if not isinstance(start, Mapping) or start.get("_target_") is None:
        raise UserError(f"{where} has no _target_; it is the class that starts a cluster, with its arguments.")
    kind = located(start["_target_"], where)
    try:
        return kind(**{str(key): value for key, value in start.items() if key != "_target_"})
    except (TypeError, ValueError, OSError, RuntimeError) as error:
        raise UserError(f"{where}: {kind.__name__} says: {' '.join(str(error).split())}") from error


def _start(cluster: ClusterSettings) -> Any:
    """Start a cluster; Ctrl-C does not reach what runs of it on this machine."""
    logging.getLogger("distributed").setLevel(logging.WARNING)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # processes inherit that
    started = None
    try:
        started = _built(cluster.start)
        if cluster.nodes is not None:
            # Of batch jobs, only this starts others in place of those that end.
            adapt = getattr(started, "job_cls", None) is not None
            bounds = {"minimum_jobs": cluster.nodes, "maximum_jobs": cluster.nodes}
            started.adapt(**bounds) if adapt else started.scale(cluster.nodes)
    except BaseException:
        if started is not None:
            started.close()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return started
