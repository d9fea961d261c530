"""The extras of this package: where one is missing, a message says how to install it."""

from importlib.util import find_spec

from sweeplab.errors import UserError

EXTRA_OF = {
    "PIL": "train",
    "dask": "dask",
    "dask_jobqueue": "dask",
    "distributed": "dask",
    "dotenv": "train",
    "grpc": "grpc",
    "lightning": "train",
    "optuna_dashboard": "dashboard",
    "plotly": "report",
    "psycopg": "postgres",
    "pymysql": "mysql",
    "ray": "ray",
    "scipy": "report",
    "tensorboard": "tensorboard",
    "torch": "train",
    "torchmetrics": "train",
    "wandb": "wandb",
    "wandb_workspaces": "views",
}


def missing_extra(error: BaseException) -> str | None:
    """Say how to install the module that an import did not find; None where no extra brings it."""
    name = str(error.name).partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    return f"{name} is not installed; run: pip install 'sweeplab[{EXTRA_OF[name]}]'" if name in EXTRA_OF else None


def check_installed(module: str) -> None:
    """Make sure that a module which an extra brings is there, without the time that its import takes.

    Raises:
        UserError: it is not.
    """
    if find_spec(module) is None:
        raise UserError(missing_extra(ModuleNotFoundError(name=module)))
