"""Resolvers of interpolations, registered as the installed OmegaConf wants it."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from omegaconf import OmegaConf


def register_resolver(name: str, resolver: Callable[..., Any]) -> None:
    """Let `${name:...}` be what a function returns, in the place of an earlier one."""
    # OmegaConf 2.4 has another name for it, which means something older in 2.3.
    is_new = hasattr(OmegaConf, "register_resolver") and version("omegaconf") >= "2.4"
    register: Any = OmegaConf.register_resolver if is_new else OmegaConf.register_new_resolver
    register(name, resolver, replace=True)
