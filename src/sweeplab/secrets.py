"""Passwords in URLs, taken out of all that is written or shown."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig, ListConfig

HIDDEN = "***"

# `://user:` up to the last `@` of the word: a password may hold any sign but a blank. What was hidden stays so.
_USER = re.compile(r"(://[^:/?#@\s]*):((?:(?!://)\S)+)@")
# `?password=`, as drivers of databases take it; `odbc_connect` is a whole connection string in one argument.
_QUERY = re.compile(
    r"([?&;][\w.-]*(?:password|passwd|pwd|secret|token|api_?key|odbc_connect)=)[^&\s'\"]+", re.IGNORECASE
)


def masked(text: str) -> str:
    """Return a text in which each password in a URL is `***`, in front of the host and behind the `?` alike.

    An interpolation such as `${oc.env:PASSWORD}` stays: it is where the password can be had, not the password.
    """
    if "://" not in text:
        return text
    return _QUERY.sub(_hide_argument, _USER.sub(_hide_user, text))


def masked_values(value: Any) -> Any:
    """Return plain data in which every text is `masked`."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, Mapping):
        return {key: masked_values(item) for key, item in value.items()}
    return [masked_values(item) for item in value] if isinstance(value, list | tuple) else value


def mask(config: "DictConfig | ListConfig") -> None:
    """Take the passwords out of a configuration, in place; interpolations stay."""
    from omegaconf import DictConfig, ListConfig, Node

    for key in list(config) if isinstance(config, DictConfig) else range(len(config)):
        node = config._get_node(key)
        if isinstance(node, DictConfig | ListConfig):
            if not (node._is_none() or node._is_missing() or node._is_interpolation()):
                mask(node)
        elif isinstance(node, Node) and isinstance(text := node._value(), str) and masked(text) != text:
            node._set_value(masked(text))


def _hide_user(found: re.Match[str]) -> str:
    return found[0] if _is_interpolation(found[2]) else f"{found[1]}:{HIDDEN}@"


def _hide_argument(found: re.Match[str]) -> str:
    value = found[0][len(found[1]) :]
    return found[0] if _is_interpolation(value) else found[1] + HIDDEN


def _is_interpolation(text: str) -> bool:
    return re.fullmatch(r"\$\{[^{}]*\}", text) is not None
