"""Resolvers of interpolations, registered as the installed OmegaConf wants it."""

from collections.abc import Callable
from inspect import signature
from typing import Any

from omegaconf import OmegaConf


def register_resolver(name: str, resolver: Callable[..., Any]) -> None:
    """Let `${name:...}` be what a function returns, in the place of an earlier one."""
    # OmegaConf 2.4 has another name for it, and warns of the one that 2.3 has; there, that name is of something older.
    is_new = "replace" in signature(OmegaConf.register_resolver).parameters
    register: Any = OmegaConf.register_resolver if is_new else OmegaConf.register_new_resolver
    register(name, resolver, replace=True)
