"""Mistakes that the configuration alone shows, found before anything heavy is imported and anything written."""

import copy
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import (
    InterpolationResolutionError,
    InterpolationToMissingValueError,
    OmegaConfBaseException,
)

from sweeplab.errors import UserError, did_you_mean, machine_trouble
from sweeplab.extras import check_installed, missing_extra
from sweeplab.hydra_errors import sentence
from sweeplab.records.config import check_secrets, load, mask_hydra_files
from sweeplab.records.layout import RunFile
from sweeplab.records.links import DataNotBuiltError, resolved
from sweeplab.records.record import is_run, occupied, read
from sweeplab.records.run import SWEEP_GROUPS, Run
from sweeplab.secrets import mask
from sweeplab.sweep.trial import current
from sweeplab.training.ranks import rank

PRUNING = "sweeplab.callbacks.Pruning"
NOT_YET = (DataNotBuiltError.__name__, "HydraConfig was not set")  # in what an interpolation raises before a run begins
WITHOUT_REPORTS = ("sweeplab.", "lightning.")  # whose callbacks report nothing to a pruner, Pruning aside
MAX_TAG = 64  # characters
STAGES = ("test", "validate", "predict")
OF_LOGGERS = {"sweeplab.loggers.TensorBoardLogger": "tensorboard", "sweeplab.loggers.WandbRun": "wandb"}
SERVING = ("batch_size", "shuffle_seed", "num_workers", "pin_memory")  # of data: how it comes, not what it is


class Check(Callback):
    """Ends the program with one sentence if the configuration cannot work; Hydra calls it before anything runs."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the configuration, and that the run's folder is free; Hydra then writes its own part down."""
        with read_write(config.hydra):
            mask(config.hydra)
        if rank(config.trainer) == 0:  # of several processes that train together the first checks
            _require_tags(config, may_ask=True)
            config = _with_folder(config)
            _check_or_exit(config, Path(config.hydra.run.dir))
            for group in SWEEP_GROUPS:
                if (choice := config.hydra.runtime.choices.get(group)) is not None:
                    sys.exit(f"Error: {group}={choice} is for many runs; add -m, or remove it for a single one.")
            _exit_on_mistake(lambda: _check_components(config))

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check what all runs have in common, and that their folders are free where no sweep is resumed.

        The sweeper checks each point; what is missing here the search may give.
        """
        HydraConfig.instance().set_config(config)
        _require_tags(config)
        _exit_on_mistake(lambda: _check_pruning(config))
        if not _is_basic(config.hydra):
            return
        _check_or_exit(config)
        taken = sorted(Path(config.hydra.sweep.dir).glob(f"*/{RunFile.RECORD}"))
        if taken:
            sys.exit(f"Error: {taken[0].parent} already holds a run; remove hydra.sweep.dir to get a new folder.")

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the configuration of one run, which Hydra has just written; trials mask theirs themselves."""
        if config.hydra.output_subdir is not None and current() is None:
            mask_hydra_files(Path(config.hydra.runtime.output_dir, config.hydra.output_subdir))
        _exit_on_mistake(lambda: check(config))


def _with_folder(config: DictConfig) -> DictConfig:
    """Return the configuration as it will be when Hydra has made the folder of the run."""
    copied = copy.deepcopy(config)
    with read_write(copied), open_dict(copied):
        copied.hydra.runtime.output_dir = str(Path(copied.hydra.run.dir).absolute())
    return copied


def _check_components(config: DictConfig) -> None:
    """Ask the classes that are named, which takes the import of torch, before Hydra makes the folder of the run."""
    from sweeplab.training.effective_config import effective_config
    from sweeplab.training.preflight import check_components, check_types

    overrides = [str(override) for override in OmegaConf.to_container(config.hydra.overrides.task, resolve=False)]  # type: ignore[union-attr]  # a list
    user_config = copy.copy(config)
    with read_write(user_config), open_dict(user_config):
        del user_config["hydra"]
    search = [line for line in config.hydra.overrides.hydra if line.startswith("hydra.searchpath=")]
    check_types(user_config, [*search, *overrides], str(config.hydra.job.config_name))
    check_components(resolved(effective_config(user_config, overrides)))


def _check_or_exit(config: DictConfig, folder: Path | None = None) -> None:
    HydraConfig.instance().set_config(config)  # for ${hydra:...}, which a job finds set
    _exit_on_mistake(lambda: check(config))
    if folder:
        _exit_on_mistake(lambda: check_free(folder))


def _exit_on_mistake(find_mistakes: Callable[[], None]) -> None:
    try:
        find_mistakes()
    except (UserError, OmegaConfBaseException) as error:
        # Hydra turns the exceptions of callbacks into warnings, but lets this one pass.
        sys.exit(f"Error: {sentence(error) or error}")
    except OSError as error:
        sys.exit(f"Error: {machine_trouble(error) or error}")
    except Exception as error:  # noqa: BLE001 - as above: a bug in the check must not switch it off
        if text := missing_extra(error):
            sys.exit(f"Error: {text}")
        traceback.print_exc()
        sys.exit(1)


def check(config: DictConfig, is_new: bool = True) -> None:
    """Find the mistakes that need no more than the configuration.

    A run that is resumed, and not new, does not begin with the weights of another again.

    Raises:
        UserError: the first mistake found.
        OmegaConfBaseException: a value that is missing, or refers to a key that does not exist.
    """
    for key in ("test", "init_strict", "finite_loss", "trust"):
        if not isinstance(config.get(key, True), bool):
            raise UserError(f"{key}={config[key]} must be true or false.")
    seed = config.seed
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32):
        raise UserError(f"seed={seed} must be a whole number from 0 to {2**32 - 1}, or null for a random one.")
    _check_tags(config.get("tags"))
    for key in ("print_config", "enforce_tags"):
        if not isinstance(value := (config.get("extras") or {}).get(key, False), bool):
            raise UserError(f"extras.{key}={value} must be true or false.")
    freeze = config.get("freeze", ListConfig([]))
    if not (isinstance(freeze, ListConfig) and all(isinstance(pattern, str) for pattern in freeze)):
        raise UserError(f"freeze={freeze} must be a list of patterns: freeze=[encoder.*].")
    _check_objective(config)
    _check_nodes(config)
    for group in ("data", "model", "task", "trainer", "callbacks", "logger"):
        if not isinstance(config.get(group), DictConfig | None):
            raise UserError(f"{group}={config[group]} is not a description: it has no _target_; choose {group}=...")
    for group in ("callbacks", "logger"):
        for name, entry in (config[group] or {}).items():
            if entry is not None and not (isinstance(entry, Mapping | DictConfig) and "_target_" in entry):
                raise UserError(
                    f"{group}.{name} has no _target_: {group}={name} chooses it, {group}.{name}=null turns it off."
                )
    _check_installed(config)
    for group in ("data", "model", "task"):
        _check_values(config.get(group) or OmegaConf.create(), group)
    for name, metric in ((config.get("task") or {}).get("metrics") or {}).items():
        if metric is not None and not isinstance(metric, DictConfig):
            raise UserError(f"task.metrics.{name} has no _target_; write +task.metrics.{name}._target_=torchmetrics...")
    _check_interpolations(config)
    if is_new and (source := config.get("init_from")):
        check_source(Path(source))


def _require_tags(config: DictConfig, may_ask: bool = False) -> None:
    """Ask for tags where there have to be some; without a terminal, and for a sweep, that is a mistake."""
    if not (config.get("extras") or {}).get("enforce_tags") or config.get("tags"):
        return
    if not (may_ask and sys.stdin.isatty() and sys.stdout.isatty()):
        sys.exit("Error: extras.enforce_tags=true, and there are no tags; write 'tags=[a,b]'.")
    try:
        words = [word.strip() for word in input("Tags of this run, separated by commas: ").split(",")]
    except EOFError:
        words = []
    if not any(words):
        sys.exit("Error: there are no tags; write some, or extras.enforce_tags=false.")
    with read_write(config), open_dict(config), read_write(config.hydra):
        plus = "" if "tags" in config else "+"
        config.tags = [word for word in words if word]
        sys.argv.append(f"{plus}tags={config.tags}")  # the record has them as if they had been typed with the command
        config.hydra.overrides.task.append(sys.argv[-1])


def _check_tags(tags: Any) -> None:
    is_list = isinstance(tags, ListConfig) and not any(isinstance(tag, DictConfig | ListConfig | None) for tag in tags)
    if not (is_list or tags is None):
        raise UserError(
            f"tags={tags} is not a list of words; write 'tags=[{tags if isinstance(tags, str) else 'a,b'}]'."
        )
    for tag in map(str, tags or ()):  # W&B refuses others, and a filter takes a comma for the end of a tag
        if not tag.strip() or len(tag) > MAX_TAG or "," in tag:
            raise UserError(f"the tag '{tag}' must have 1 to {MAX_TAG} characters, and no comma among them.")


def _check_installed(config: DictConfig) -> None:
    """Refuse a training without what each of its kind imports, before a sweep has begun that could only fail."""
    targets = [entry["_target_"] for entry in (config.logger or {}).values() if entry is not None]
    for module in ("torch", "lightning", *(OF_LOGGERS[target] for target in targets if target in OF_LOGGERS)):
        check_installed(module)


def _check_pruning(config: DictConfig) -> None:
    pruner = config.hydra.sweeper.get("pruner")
    targets = [entry["_target_"] for entry in (config.callbacks or {}).values() if entry is not None]
    prunes = isinstance(pruner, DictConfig) and not str(pruner._target_).endswith(".NopPruner")
    if prunes and PRUNING not in targets and all(str(target).startswith(WITHOUT_REPORTS) for target in targets):
        raise UserError(
            "a pruner needs callbacks.pruning to report to it; keep it, or choose hydra/sweeper/pruner=none."
        )


def check_free(folder: Path) -> None:
    """Make sure that a new run can be written to `folder`.

    Raises:
        UserError: it is a file, or holds a run.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"hydra.run.dir={folder} is a file; name a folder.")
    if is_run(folder):
        raise UserError(occupied(folder))


def check_evaluation(
    run: Path, stage: str, overrides: Sequence[str], conf: Path | None, trusted: bool = False
) -> tuple[DictConfig, Path]:
    """Return the configuration and the checkpoint that an evaluation needs: the best, or else the last one.

    Raises:
        UserError: there is no such run, stage, or checkpoint; or the run is not `trusted`, and names what `trust` does
            not let through.
    """
    if stage not in STAGES:
        raise UserError(f"stage={stage} is not known{did_you_mean(stage, STAGES)}")
    facts = read(run)
    config = load(run, overrides, conf, to_build=True, trusted=trusted)
    check_secrets(config, ("data", "model", "task", "trainer", "callbacks"))
    _check_values(config.data, "data")
    return config, Run(run, facts).checkpoint


def check_ensemble(
    runs: Sequence[Path], stage: str, overrides: Sequence[str], conf: Path | None, trusted: bool = False
) -> list[tuple[DictConfig, Path]]:
    """Return the configuration and the checkpoint of each run that an ensemble is made of.

    Raises:
        UserError: one of them cannot be evaluated, or they do not see the same data.
    """
    checked = [check_evaluation(run, stage, overrides, conf, trusted) for run in runs]
    first = _samples(checked[0][0])
    for run, (config, _) in zip(runs[1:], checked[1:], strict=True):
        if different := sorted(key for key, _ in _samples(config).items() ^ first.items()):
            raise UserError(
                f"{runs[0]} and {run} do not see the same samples: their data.{different[0]} differs; "
                "evaluate one of them with trial=<number>, or give both the same with data=..."
            )
    return checked


def _samples(config: DictConfig) -> dict[str, str]:
    """Return what decides which samples are held out; as text, since lists cannot be compared as items of a set."""
    return {str(key): repr(value) for key, value in config.data.items() if key not in SERVING}


def _check_nodes(config: DictConfig) -> None:
    """Refuse a trial on several nodes: nobody starts its processes on the others."""
    hydra, nodes = config.get("hydra"), (config.get("trainer") or {}).get("num_nodes")
    is_trial = hydra is not None and hydra.get("mode") == RunMode.MULTIRUN and not _is_basic(hydra)
    if is_trial and str(nodes or 1) != "1":
        raise UserError(
            f"trainer.num_nodes={nodes}: a trial of a sweep runs on one node. Train on several nodes in a single run, "
            "started with srun python train.py and without -m."
        )


def _is_basic(hydra: DictConfig) -> bool:
    """Say whether Hydra's own sweeper runs the jobs, which starts no processes of its own."""
    return str(hydra.sweeper._target_).rpartition(".")[2] == "BasicSweeper"


def _check_objective(config: DictConfig) -> None:
    if not isinstance(config.objective, DictConfig):
        raise UserError(
            f"objective={config.objective} has no metric and mode; write objective.metric={config.objective}."
        )
    _check_metric(config.objective, "objective")
    also = config.objective.get("also", ListConfig([]))
    if not isinstance(also, ListConfig):
        raise UserError(f"objective.also={also} is not a list; write objective.also=[{{metric: ..., mode: min}}].")
    for number, further in enumerate(also):
        if not isinstance(further, DictConfig) or set(further) != {"metric", "mode"}:
            raise UserError(f"objective.also[{number}]={further} must have a metric and a mode, and nothing else.")
        _check_metric(further, f"objective.also[{number}]")


def _check_metric(objective: DictConfig, key: str) -> None:
    """Whether the metric is logged shows later: by the task, or when the model has logged something."""
    if not isinstance(objective.metric, str):
        raise UserError(f"{key}.metric={objective.metric} must be the name of a number that the model logs.")
    if objective.mode not in ("min", "max"):
        raise UserError(f"{key}.mode={objective.mode} is not known; write min or max.")


def _check_values(config: DictConfig, group: str) -> None:
    for key in config:
        if OmegaConf.is_missing(config, key):
            raise UserError(f"{group}.{key!s} has no value; write {group}.{key!s}=...")


def _check_interpolations(node: Any) -> None:
    """Resolve each value, as far as it can be: neither the data nor the folder of the run is always there."""
    for key in node if isinstance(node, DictConfig) else range(len(node)):
        if key == "hydra":
            continue
        child = node._get_node(key)
        if isinstance(child, DictConfig | ListConfig) and not child._is_interpolation():
            if not (child._is_none() or child._is_missing()):
                _check_interpolations(child)
        elif child is not None and child._is_interpolation():
            try:
                node[key]
            except InterpolationToMissingValueError:
                continue
            except InterpolationResolutionError as error:
                if not any(text in str(error) for text in NOT_YET):
                    raise


def check_source(path: Path) -> None:
    """Make sure that weights can be taken from a checkpoint, or from the folder of a run.

    Raises:
        UserError: neither is there.
    """
    if path.is_dir():
        _ = Run.read(path).checkpoint
    elif not path.is_file():
        raise UserError(f"init_from={path} does not exist; name a checkpoint, or the folder of a run.")
