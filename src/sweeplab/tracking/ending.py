"""Loggers that own a run in some service, and what becomes of it when training ends."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

from lightning.pytorch import LightningModule

from sweeplab.runs.record import is_pruned


@runtime_checkable
class OwnsRun(Protocol):
    """A logger whose run must be ended, well or not."""

    def begin(self, config: Mapping[str, Any], model: LightningModule) -> dict[str, Any]:
        """Start the run with its configuration; return what finds it again, under the service's name."""

    def conclude(self, summary: Mapping[str, Any], tags: Sequence[str] = ()) -> None:
        """Write the numbers that the run is judged by, and add tags to those it has."""

    def end(self, exit_code: int) -> None:
        """End the run: finished with exit code 0, else failed."""


@contextmanager
def ended(loggers: Iterable[object]) -> Iterator[None]:
    """End the runs of all loggers as the block ends: well, which a pruned trial does too, or with an exception."""
    owners = [logger for logger in loggers if isinstance(logger, OwnsRun)]
    exit_code = 0
    try:
        yield
    except BaseException as error:
        exit_code = 0 if is_pruned(error) else 1
        raise
    finally:
        for owner in owners:
            owner.end(exit_code)
