"""What `hydra.sweeper` takes, with its types and defaults; imported by every Hydra app, so nothing heavy here."""

import importlib
import importlib.util
import operator
import sys
from dataclasses import dataclass, field
from typing import Any

from sweeplab.errors import UserError


@dataclass
class Settings:
    """The settings of a sweep. Keys of hydra-optuna-sweeper mean what they mean there, but for `n_trials`."""

    _target_: str = "hydra_plugins.sweeplab_sweeper.sweeper.SweeplabSweeper"
    _recursive_: bool = False
    defaults: list[Any] = field(default_factory=lambda: ["_self_", {"sampler": "auto"}, {"pruner": "none"}])

    # What is searched: values in Hydra's sweep grammar by key, and conditional ones under `when`.
    params: dict[str, Any] = field(default_factory=dict)
    # A function of configuration and Optuna trial that suggests what data cannot say.
    custom_search_space: str | None = None
    # Points to try first, and whether the configuration's own values are the very first.
    enqueue: list[Any] = field(default_factory=list)
    enqueue_defaults: bool = False
    # A walk around the configuration's own values: these, then each other value of a key alone; under all seeds.
    one_at_a_time: bool = False
    # Each point is run under so many seeds, `repeat_key` counting up, and judged by the mean.
    repeats: int = 1
    repeat_key: str = "seed"

    # How it is searched: minimize or maximize, one an objective; null takes it from the `objective` block.
    sampler: Any = None
    pruner: Any = None
    seed: int | None = None
    direction: Any = None

    # The total over all runs of the command and all machines; null is the whole grid.
    n_trials: int | None = None
    # Seconds: no trial starts after the first, no trial runs longer than the second.
    timeout: float | None = None
    trial_timeout: float | None = None

    # How many trials run at once; auto: one a GPU where there is one, else one a core.
    n_jobs: Any = "auto"
    jobs_per_gpu: int = 1
    gpus_per_job: int = 1
    # local: a process a trial, forked warm where the system can; spawn: started cold; inline: in this process.
    executor: str = "local"
    # How many trials a process runs, one after the other.
    reuse: int = 1
    # Where trials run beyond this machine (see `ClusterSettings`); null: here.
    cluster: Any = None
    # Modules to import before the first trial, besides the program's own.
    preload: list[str] = field(default_factory=list)

    # How often a killed trial starts again; how many failures end the sweep (null: when the first 5 trials all fail).
    retries: int = 1
    max_failures: int | None = None
    max_failure_rate: float | None = None
    fail_fast: bool = False
    # Whether the points of failed trials are tried again, under new numbers: of all, or of some by their numbers.
    retry_failed: bool = False
    retry: Any = None

    # An Optuna URL, or null for a journal in the sweep's folder; null names the study as the folder.
    storage: Any = None
    study_name: str | None = None
    # refuse or extend, where a resumed study's space or configuration is not what it was.
    on_change: str = "refuse"

    # Objects told of what happens (sweeplab.sweep.listener), by name, and a function that checks a configuration.
    listeners: dict[str, Any] = field(default_factory=dict)
    check: str | None = None
    # Overrides that concern the sweep alone, left out of the command that runs a trial again.
    sweep_keys: list[str] = field(default_factory=list)
    # The program's own word that runs again what is in a folder, as in rerun=multirun/cnn/12; null if it has none.
    rerun_key: str | None = None
    # true: show the space, the budget and three trials; a listener's name: its own form of the sweep. Runs nothing.
    preview: Any = False


@dataclass
class ClusterSettings:
    """What `hydra.sweeper.cluster` takes."""

    # What places hosts on the nodes and carries messages: dask or ray.
    engine: str = "dask"
    # A scheduler's address, or the path of the file that it has written; or the class that starts a cluster, with its
    # arguments, and so many nodes of it.
    address: str | None = None
    start: Any = None
    nodes: int | None = None
    # How many trials run at once on a node; auto: one a GPU where there is one, else one a thread of the worker.
    jobs_per_node: Any = "auto"
    # Variables that trials get from this machine's environment.
    environment: list[str] = field(default_factory=list)
    # Seconds without a word between the controller and a node, after which its trials end and run elsewhere.
    lease: float = 20.0
    # Where nodes share no folder: one on the disk of each, and how often, in seconds, what changes there comes back.
    folder: str | None = None
    sync_every: float = 60.0
    # Arguments of distributed.Security, for a scheduler that wants TLS.
    security: Any = None
    # What the job of a node asks of a batch system; `start` hands it over, as in conf/cluster/slurm.yaml.
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    time: Any = None
    gpus: Any = None
    cpus: Any = None
    memory: Any = None
    directives: list[str] = field(default_factory=list)
    # Seconds before the end of its job, at which a node or the controller begins to leave.
    leave_before: int = 60
    # Whether the controller is a job of SLURM itself, and what that job asks for (see `controller_job`).
    submit_controller: bool = False
    controller: Any = None


SAMPLERS = {
    "auto": None,  # the whole grid where nothing limits it, else what Optuna takes
    "tpe": "TPESampler",
    "random": "RandomSampler",
    "gp": "GPSampler",
    "cmaes": "CmaEsSampler",
    "nsgaii": "NSGAIISampler",
    "nsgaiii": "NSGAIIISampler",
    "qmc": "QMCSampler",
    "grid": "GridSampler",
    "bruteforce": "BruteForceSampler",
}
PRUNERS = {
    "none": "NopPruner",
    "median": "MedianPruner",
    "percentile": "PercentilePruner",
    "asha": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
    "patient": "PatientPruner",
    "threshold": "ThresholdPruner",
    "wilcoxon": "WilcoxonPruner",
}


def sampler_choices() -> dict[str, dict[str, Any]]:
    """Return the choices of the group `hydra/sweeper/sampler`."""
    seed = {"seed": "${hydra.sweeper.seed}"}
    return {name: {"_target_": kind and f"optuna.samplers.{kind}", **seed} for name, kind in SAMPLERS.items()}


def pruner_choices() -> dict[str, dict[str, Any]]:
    """Return the choices of the group `hydra/sweeper/pruner`; what Optuna has no default for is asked of the user."""
    required: dict[str, dict[str, Any]] = {
        "percentile": {"percentile": 25.0},
        "patient": {"wrapped_pruner": {"_target_": "optuna.pruners.MedianPruner"}, "patience": "???"},
        "threshold": {"lower": None, "upper": None},
    }
    return {name: {"_target_": f"optuna.pruners.{kind}", **required.get(name, {})} for name, kind in PRUNERS.items()}


def imported(path: str, key: str) -> Any:
    """Return the function that `hydra.sweeper.<key>` names.

    Raises:
        UserError: it cannot be imported.
    """
    parts = path.split(".")
    names = [(".".join(parts[:end]), ".".join(parts[end:])) for end in range(len(parts) - 1, 0, -1)]
    try:
        module, name = next((pair for pair in names if _is_module(pair[0])), (parts[0], path))
        return operator.attrgetter(name)(_module(module))
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"hydra.sweeper.{key}={path} cannot be imported: {error}") from error


def _is_module(name: str) -> bool:
    try:
        return name in sys.modules or importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # what is above it is not a package
        return False


def _module(name: str) -> Any:
    """Import a module; the program's own is there already, and may not bear to be imported again."""
    main, spec = sys.modules["__main__"], None if name in sys.modules else importlib.util.find_spec(name)
    return main if spec and spec.origin == getattr(main, "__file__", "") else importlib.import_module(name)
