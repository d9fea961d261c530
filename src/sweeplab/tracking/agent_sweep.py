"""A sweep for W&B's own search: a file for `wandb sweep`, whose agents run the program once for each point."""

import math
import re
import shlex
from collections.abc import Iterator
from typing import Any

import yaml
from optuna.distributions import FloatDistribution, IntDistribution

from sweeplab.errors import UserError
from sweeplab.secrets import masked_word
from sweeplab.sweep.listener import Parameter, SweepInfo, override, text

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")  # a parameter's name, as W&B's schema of sweeps has it
AT_RANDOM = (".RandomSampler", ".QMCSampler")
EXHAUSTIVE = (".GridSampler", ".BruteForceSampler")
MACROS = ("${env}", "${interpreter}", "${program}")


def agent_sweep(sweep: SweepInfo, project: str, entity: str | None = None) -> str:
    """Return the file, with comments on what W&B cannot do of this sweep.

    Raises:
        UserError: W&B's format has no words for this sweep, and would make another one of it.
    """
    if sweep.settings.one_at_a_time:
        raise UserError("a W&B sweep cannot change one factor at a time; search with -m instead.")
    parameters = _parameters(sweep)
    if not parameters:
        raise UserError("nothing is searched, and a W&B sweep needs a parameter; name one, as in seed=0,1,2.")
    method = _method(sweep, parameters)
    _, program, *words = _command(sweep)
    content = {
        "program": program,
        "project": project,
        **({"entity": entity} if entity else {}),
        "name": sweep.name,
        "method": method,
        # What a run is judged by is in its summary, as one number, once it has ended.
        "metric": {"name": "objective", "goal": sweep.objectives[0].direction},
        **({"run_cap": sweep.settings.n_trials} if sweep.settings.n_trials is not None else {}),
        "parameters": {parameter.key: distribution(parameter, method) for parameter in parameters},
        "command": [*MACROS, *words, "${args_no_hyphens}"],
    }
    comments = "".join(f"# {line}\n" for line in ("A sweep for `wandb sweep` and `wandb agent`.", *_left_out(sweep)))
    return comments + str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000))


def distribution(parameter: Parameter, method: str) -> dict[str, Any]:
    """Return a parameter as W&B has it; values are listed wherever its own steps would miss the ends."""
    match parameter.distribution:
        case IntDistribution(low=low, high=high, step=1, log=False) if method != "grid" and low < high:
            return {"distribution": "int_uniform", "min": low, "max": high}
        case IntDistribution(low=low, high=high, log=True) if method != "grid" and low < high:
            return {"distribution": "q_log_uniform_values", "q": 1, "min": low, "max": high}
        case FloatDistribution(low=low, high=high, step=None, log=log) if low < high:
            return {"distribution": "log_uniform_values" if log else "uniform", "min": low, "max": high}
        case FloatDistribution(low=low, step=None):
            return {"values": [low]}
    return {"values": [agent_value(value) for value in parameter.points or ()]}


def agent_value(value: Any) -> Any:
    """Return a value such that Hydra reads it back from `key=value` as an agent writes it, by Python's `str`."""
    is_plain = isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value))
    return value if is_plain else text(value)


def _parameters(sweep: SweepInfo) -> list[Parameter]:
    """Return what is searched; a condition must be decided, since W&B chooses all parameters at once."""
    if sweep.settings.custom_search_space:
        raise UserError(
            "hydra.sweeper.custom_search_space is code, which W&B's sweeps cannot run; search with -m instead."
        )
    for parameter in sweep.space.parameters:
        for key, value in parameter.conditions:
            if key in sweep.space.keys:
                raise UserError(
                    f"W&B's sweeps know no conditions, and {parameter.key} is searched only under "
                    f"{override(key, value)}; fix {key}, or search with -m instead."
                )
        if not NAME.fullmatch(name := parameter.prefix + parameter.key):
            raise UserError(
                f"W&B's sweeps cannot name {name}, only letters, digits, '_', '.' and '-'; "
                "put the key into the configuration, or search with -m instead."
            )
    return list(sweep.default_parameters)


def _method(sweep: SweepInfo, parameters: list[Parameter]) -> str:
    target = str((sweep.settings.sampler or {}).get("_target_") or "")
    if sweep.is_exhaustive or target.endswith(EXHAUSTIVE):
        return "grid"
    if target.endswith(AT_RANDOM) or not any(map(_is_numeric, parameters)):
        return "random"
    if len(sweep.objectives) > 1:
        raise UserError(
            f"W&B's search knows one objective, and this sweep has {len(sweep.objectives)}; "
            "choose hydra/sweeper/sampler=random, or a single objective."
        )
    return "bayes"


def _is_numeric(parameter: Parameter) -> bool:
    return isinstance(parameter.distribution, IntDistribution | FloatDistribution)


def _command(sweep: SweepInfo) -> list[str]:
    """Return what starts each run, without what is searched; its logger is W&B, or the sweep would never hear of it."""
    words = shlex.split(sweep.run_command)
    if secret := [word for word in words if masked_word(word) != word]:
        raise UserError(
            f"{masked_word(secret[0])} is a secret, and W&B keeps the file of a sweep; write it as ${{oc.env:NAME}}."
        )
    has_choices = "logger" in sweep.config.hydra.runtime.choices
    if not has_choices or "wandb" in (sweep.config.get("logger") or {}):
        return words
    if chosen := [word for word in words if word.startswith("logger=")]:
        raise UserError(f"{chosen[0]} keeps the runs of a W&B sweep from W&B; write logger=wandb.")
    return [*words, "logger=wandb"]


def _left_out(sweep: SweepInfo) -> Iterator[str]:
    """Say what of the sweep W&B has no words for."""
    settings = sweep.settings
    pruner = str((settings.pruner or {}).get("_target_") or "NopPruner").rpartition(".")[2]
    if pruner != "NopPruner":
        yield f"Left out: {pruner}; W&B stops runs by `objective`, which is known when a run has ended."
    if settings.repeats > 1:
        yield f"Left out: hydra.sweeper.repeats={settings.repeats}; search {settings.repeat_key} instead."
    if settings.enqueue or settings.enqueue_defaults:
        yield "Left out: the points to try first."
    if settings.timeout is not None or settings.trial_timeout is not None:
        yield "Left out: limits of time; stop the sweep yourself, as in wandb sweep --stop <sweep>."
    if len(sweep.objectives) > 1:
        yield "Left out: the further objectives, which are recorded but not searched for."
