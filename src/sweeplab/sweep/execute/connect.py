"""From what the settings say of a cluster to the executor over it."""

import asyncio
import importlib.util
import inspect
import json
import logging
import math
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeplab.build import located
from sweeplab.errors import UserError, did_you_mean
from sweeplab.sweep.config.settings import ClusterSettings, Settings
from sweeplab.sweep.config.trial_config import local_classes
from sweeplab.sweep.execute.cluster import ClusterExecutor, Engine
from sweeplab.sweep.execute.code import pack_code
from sweeplab.sweep.execute.executor import modules_of, write_warm_up
from sweeplab.sweep.execute.messages import HostSetup, opening
from sweeplab.sweep.execute.runtime_state import beyond_import, warn_of_missing
from sweeplab.sweep.program import importable_main
from sweeplab.sweep.spec import SweepSpec

if TYPE_CHECKING:
    from sweeplab.sweep.execute.dask import Dask
    from sweeplab.sweep.execute.ray import Ray

WITNESS = ".cluster-"  # how the names of files begin by which hosts know the study's folder
MAX_LEASE = 100.0  # seconds; controllers elsewhere take over the trials of one that is silent for longer
KEY = "hydra.sweeper.cluster"
PACKAGES = {"dask": "distributed", "ray": "ray"}  # what each engine needs
OF_DASK = ("start", "nodes", "security")  # keys that Ray has no use for: its cluster runs already


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
    _check_engine(cluster)
    if isinstance(cluster.start, Mapping) and (unset := [k for k, v in cluster.start.items() if v == "???"]):
        raise UserError(f"the cluster needs cluster.start.{unset[0]}=...")
    for job in (cluster.start, cluster.controller):
        if isinstance(job, Mapping) and isinstance(job.get("time"), int):
            raise UserError(
                f"{KEY}.time={job['time']} is a number, which YAML makes of 10:00:00 and SLURM takes for minutes; "
                'write it in quotes: time: "10:00:00".'
            )
    if (cluster.address is None) == (cluster.start is None):
        raise UserError(
            "a cluster needs either the address of its scheduler, cluster.address=tcp://<head>:8786, or cluster.start, "
            "the class that starts one."
        )
    if cluster.folder is not None and not str(cluster.folder).startswith(("/", "~")):
        raise UserError(f"{KEY}.folder={cluster.folder} must be an absolute path on each node, such as /scratch/me.")
    if settings.executor == "inline":
        raise UserError("hydra.sweeper.executor=inline runs trials in this process, not on a cluster.")
    _check_seconds("lease", cluster.lease, MAX_LEASE, f" and at most {MAX_LEASE:g}")
    _check_seconds("sync_every", cluster.sync_every)
    if importlib.util.find_spec(PACKAGES[cluster.engine]) is None:
        name = cluster.engine
        raise UserError(f"a cluster needs {name.title()}, which is not installed; run: pip install 'sweeplab[{name}]'")
    return cluster


def _check_seconds(key: str, value: Any, most: float = math.inf, bound: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise UserError(f"{KEY}.{key}={value} must be more than 0{bound} seconds.")


def _check_engine(cluster: ClusterSettings) -> None:
    if cluster.engine not in PACKAGES:
        raise UserError(f"{KEY}.engine={cluster.engine} is no engine{did_you_mean(str(cluster.engine), PACKAGES)}")
    if cluster.engine == "ray":
        if given := [name for name in OF_DASK if getattr(cluster, name) is not None]:
            raise UserError(
                f"cluster.{given[0]} does not go with Ray, whose cluster runs already: cluster.address=auto, or ray://<head>:10001."
            )
        if cluster.address is None:
            raise UserError("a Ray cluster needs its address: cluster.address=auto, or ray://<head>:10001.")


def make_cluster_executor(spec: SweepSpec, cluster: ClusterSettings, preload: Sequence[str]) -> ClusterExecutor:
    """Connect to a cluster, or start one; `preload` are modules that listeners make trials import.

    Raises:
        UserError: there is no cluster, or it cannot have the program.
    """
    if not spec.task.module or local_classes:
        what = f"the task {spec.task.name}" if not spec.task.module else next(iter(local_classes)).partition(" ")[0]
        raise UserError(f"{what} cannot be imported on other machines; define it at the top of a module.")
    warn_of_missing(beyond_import(get_context("spawn")), "the nodes of a cluster know only what an import gives.")
    program = Path(getattr(sys.modules[spec.task.module], "__file__", None) or spec.task.script).absolute()
    is_shared = cluster.folder is None
    code = pack_code(program, [spec.task.module, *modules_of(spec, preload)], is_shared)
    handle, name = tempfile.mkstemp(prefix=WITNESS, dir=spec.folder)
    os.close(handle)
    setup = _setup(spec, cluster, preload, Path(name))
    try:
        make: Callable[[ClusterSettings, bytes], Engine] = _ray if cluster.engine == "ray" else _dask
        engine = make(cluster, opening(code, setup))
    except BaseException:
        Path(name).unlink()
        raise
    most = spec.settings.n_jobs if spec.settings.n_jobs != "auto" else None
    return ClusterExecutor(engine, cluster.lease, most, Path(name), is_shared)


def _setup(spec: SweepSpec, cluster: ClusterSettings, preload: Sequence[str], witness: Path) -> HostSetup:
    settings = spec.settings
    write_warm_up(spec)
    return HostSetup(
        main=importable_main(),
        path=[str(Path(entry).absolute()) for entry in sys.path],
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
        reuse=settings.reuse,
        jobs=cluster.jobs_per_node,
        jobs_per_gpu=settings.jobs_per_gpu,
        gpus_per_job=settings.gpus_per_job,
        witness=witness,
        lease=cluster.lease,
        node_root=cluster.folder,
        sync_every=cluster.sync_every,
    )


def _ray(cluster: ClusterSettings, setup: bytes) -> "Ray":
    from sweeplab.sweep.execute.ray import Ray

    return Ray(str(cluster.address), setup, cluster.lease)


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


def job_script(cluster: ClusterSettings) -> str | None:
    """Return the script of a node's job; this starts nothing.

    None where nodes are not jobs of a batch system, or the class of a cluster starts it as soon as it is built.

    Raises:
        UserError: the arguments of `cluster.start` make none.
    """
    script: str | None = _ask(cluster, "job_script")
    return script


def check_job(cluster: ClusterSettings) -> None:
    """Let the batch system look at the script of a node's job, if it can; this starts nothing.

    Raises:
        UserError: it does not take such a job.
    """
    _ask(cluster, "check_job")


def _ask(cluster: ClusterSettings, method: str) -> Any:
    """Call a method of a cluster that is not started; return None where it has none, or starts as it is built."""
    if not isinstance(cluster.start, Mapping):
        return None
    parameters = inspect.signature(_kind(cluster.start)).parameters.values()
    if not any(one.name == "asynchronous" or one.kind is one.VAR_KEYWORD for one in parameters):
        return None

    async def call() -> Any:  # a cluster that is asynchronous is started where it is awaited
        with warnings.catch_warnings(action="ignore"):
            built = _built({**cluster.start, "asynchronous": True})
        try:
            return getattr(built, method)() if hasattr(built, method) else None
        except RuntimeError as error:
            raise _refusal(type(built), error) from error
        finally:
            await built.close()

    return asyncio.run(call())


def _kind(start: Any) -> Any:
    """Return the class that starts a cluster."""
    where = f"{KEY}.start"
    if not isinstance(start, Mapping) or start.get("_target_") is None:
        raise UserError(f"{where} has no _target_; it is the class that starts a cluster, with its arguments.")
    return located(start["_target_"], where)


def _built(start: Any) -> Any:
    """Build a cluster; its arguments are its own to check, as it hands many of them on."""
    kind = _kind(start)
    try:
        return kind(**{str(key): value for key, value in start.items() if key != "_target_"})
    except (TypeError, ValueError, OSError, RuntimeError) as error:
        raise _refusal(kind, error) from error


def _refusal(kind: Any, error: Exception) -> UserError:
    return UserError(f"{KEY}.start: {kind.__name__} says: {' '.join(str(error).split())}")


def _start(cluster: ClusterSettings) -> Any:
    """Start a cluster; Ctrl-C does not reach what runs of it on this machine."""
    import dask

    logging.getLogger("distributed").setLevel(logging.ERROR)  # it warns of workers that leave
    dask.config.set({"distributed.deploy.lost-worker-timeout": "1s"})  # until another job replaces that of a lost one
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
