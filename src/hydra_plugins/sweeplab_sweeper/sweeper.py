"""What Hydra finds: the sweeper's schema and choices, and a Sweeper that hands over to `sweeplab.sweep`.

Every Hydra app imports this module at its start, so nothing heavy may be imported at its top.
"""

import importlib.util
import sys
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from sweeplab.resolvers import register_resolver
from sweeplab.sweep.config.settings import Settings, pruner_choices, sampler_choices


def _store() -> None:
    store = ConfigStore.instance()
    store.store(group="hydra/sweeper", name="sweeplab", node=Settings, provider="sweeplab")
    for group, choices in (("sampler", sampler_choices()), ("pruner", pruner_choices())):
        for name, node in choices.items():
            # Open, so that any argument of the class can be set without a plus.
            open_node = OmegaConf.create(node, flags={"struct": False})
            store.store(group=f"hydra/sweeper/{group}", name=name, node=open_node, provider="sweeplab")


def _show_links() -> None:
    """Let `--cfg job --resolve` show what asks the data as it is written; `sweeplab.records.links` does the rest."""
    if not OmegaConf.has_resolver("data"):
        register_resolver("data", lambda attribute: f"${{data:{attribute}}}")


_store()
_show_links()


class Moved(Sweeper):
    """Stands where hydra-optuna-sweeper is not installed, and says how its users move."""

    # Hydra looks a plugin up by module and name, and builds what module and qualified name say.
    __module__ = "hydra_plugins"
    __qualname__ = "sweeplab_sweeper.sweeper.Moved"

    def __init__(self, **settings: Any) -> None:
        """Take whatever it takes."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Say so.

        Raises:
            SystemExit: always.
        """
        sys.exit(
            "Error: hydra.sweeper._target_ names hydra-optuna-sweeper, which is not installed; remove that line, and "
            "choose hydra/sweeper=sweeplab."
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Do nothing: `setup` has said it."""


# From 1.4 on Hydra builds nothing under another name, and says itself that there is no such plugin.
if hydra.__version__.startswith("1.3") and not importlib.util.find_spec("hydra_plugins.hydra_optuna_sweeper"):
    Moved.__name__ = "hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"


class SweeplabSweeper(Sweeper):
    """Runs sweeps asynchronously; see `sweeplab.sweep`."""

    def __init__(self, **settings: Any) -> None:
        """Hydra passes the settings here, made into objects or not as its version likes; `setup` reads them itself."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what the sweep needs."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> Any:
        """Run or resume the sweep.

        Raises:
            SystemExit: the user made a mistake, or the budget was not met.
        """
        from sweeplab.errors import UserError
        from sweeplab.sweep.program import is_imported_elsewhere

        if is_imported_elsewhere():
            sys.exit('Error: write `if __name__ == "__main__":` above the call: trials import this module.')
        from sweeplab.secrets import masked
        from sweeplab.sweep.sweep import sweep

        assert self.config is not None
        assert self.hydra_context is not None
        try:
            return sweep(self.config, self.hydra_context, self.task_function, arguments)
        except UserError as error:
            sys.exit(f"Error: {masked(str(error))}")
        except KeyboardInterrupt:
            sys.exit(130)
