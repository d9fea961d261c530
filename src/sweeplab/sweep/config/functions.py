"""Functions that the settings of a sweep name by their dotted path."""

import importlib
import importlib.util
import operator
import sys
from typing import Any

from sweeplab.errors import UserError


def function(path: str, key: str) -> Any:
    """Return the function that `hydra.sweeper.<key>` names.

    Raises:
        UserError: it cannot be imported.
    """
    parts = path.split(".")
    names = [(".".join(parts[:end]), ".".join(parts[end:])) for end in range(len(parts) - 1, 0, -1)]
    try:
        module, name = next((pair for pair in names if _is_module(pair[0])), (parts[0], path))
        return operator.attrgetter(name)(_imported(module))
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"hydra.sweeper.{key}={path} cannot be imported: {error}") from error


def _is_module(name: str) -> bool:
    try:
        return name in sys.modules or importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # what is above it is no package
        return False


def _imported(name: str) -> Any:
    """Import a module; the program's own is there already, and may not bear to be imported again."""
    main, spec = sys.modules["__main__"], None if name in sys.modules else importlib.util.find_spec(name)
    return main if spec and spec.origin == getattr(main, "__file__", "") else importlib.import_module(name)
