"""Pickles that may hold classes which stand inside functions: those are found again in forks of this process alone."""

import io
import pickle
from typing import Any

# The classes that pickles of this process hold, by name.
inside: dict[str, type] = {}


class _Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> str | None:
        if not isinstance(value, type) or "<locals>" not in value.__qualname__:
            return None
        name = f"{value.__module__}.{value.__qualname__} {id(value)}"
        inside[name] = value
        return name


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, name: str) -> type:
        return inside[name]


def dumps(value: Any) -> bytes:
    """Return the pickle of a value."""
    out = io.BytesIO()
    _Pickler(out).dump(value)
    return out.getvalue()


def loads(content: bytes) -> Any:
    """Return the value of a pickle."""
    return _Unpickler(io.BytesIO(content)).load()
