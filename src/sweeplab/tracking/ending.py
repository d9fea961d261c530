"""Loggers that own a run in some service, and what becomes of it when training ends."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

from lightning.pytorch import LightningModule


@runtime_checkable
class OwnsRun(Protocol):
    """A logger whose run must be ended, well or not."""

    def begin(self, config: Mapping[str, Any], model: LightningModule) -> dict[str, Any]:
        """Start the run with its configuration; return what finds it again, under the service's name."""

    def conclude(self, summary: Mapping[str, Any]) -> None:
        """Write the numbers that the run is judged by."""

    def end(self, exit_code: int) -> None:
        """End the run: finished with exit code 0, else failed."""


@contextmanager
def ended(loggers: Iterable[object]) -> Iterator[None]:
    """End the runs of all loggers as the block ends: well, or with an exception."""
    owners = [logger for logger in loggers if isinstance(logger, OwnsRun)]
    exit_code = 1
    try:
        yield
        exit_code = 0
    finally:
        for owner in owners:
            owner.end(exit_code)
