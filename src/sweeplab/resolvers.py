"""Resolvers of interpolations, registered as the installed OmegaConf wants it."""

import inspect
from collections.abc import Callable
from typing import Any

from omegaconf import OmegaConf


def register_resolver(name: str, resolver: Callable[..., Any]) -> None:
    """Let `${name:...}` be what a function returns, in the place of an earlier one."""
    # OmegaConf 2.4 calls it register_resolver, and warns of the name that 2.3 has; 2.3 has an older one of that name.
    register: Any = getattr(OmegaConf, "register_resolver", None)
    if register is None or "replace" not in inspect.signature(register).parameters:
        register = OmegaConf.register_new_resolver
    register(name, resolver, replace=True)
