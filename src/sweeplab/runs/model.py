"""A trained model, from its checkpoint alone."""

from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from sweeplab.errors import UserError


def load_model(module: str | None, checkpoint: Path) -> Any:
    """Return the model of a checkpoint, on the CPU and ready to predict; `module` is the path of its Lightning class.

    Raises:
        UserError: nobody knows the class, or it is gone.
    """
    remedy = f"load it with its class: <class>.load_from_checkpoint('{checkpoint}', weights_only=True)."
    if module is None:
        raise UserError(f"{checkpoint.parent.parent / 'run.json'} does not say which class the model is of; {remedy}")
    try:
        kind = resolve_name(module)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"the model's class {module} cannot be imported ({error}); {remedy}") from error
    return kind.load_from_checkpoint(checkpoint, map_location="cpu", weights_only=True).eval()
