"""Loggers that own a run in some service, and what becomes of it when training ends."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from sweeplab.records.ending import status_of
from sweeplab.records.record import Status
from sweeplab.secrets import without_secrets

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

LONGEST = 300  # characters of a reason


@runtime_checkable
class OwnsRun(Protocol):
    """A logger whose run must be ended, well or not."""

    def begin(
        self, config: Mapping[str, Any], model: "LightningModule | None", facts: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Start the run with its configuration, or go on with the one that the `facts` of run.json know.

        Return what finds it again, under the service's name.
        """

    def conclude(self, summary: Mapping[str, Any]) -> None:
        """Write the numbers that the run is judged by."""

    def end(self, status: Status, reason: str = "") -> dict[str, Any]:
        """End the run as the training ended; return what became of it, under the service's name."""


@contextmanager
def ended(loggers: Iterable[object], note: Callable[[Mapping[str, Any]], None]) -> Iterator[None]:
    """End the runs of all loggers as the block ends, and note what became of them; more may be added within it."""
    status, reason = Status.COMPLETE, ""
    try:
        yield
    except BaseException as error:
        status = status_of(error)
        reason = without_secrets(f"{type(error).__name__}: {error}")[:LONGEST] if status is Status.FAILED else ""
        raise
    finally:
        for owner in [logger for logger in loggers if isinstance(logger, OwnsRun)]:
            note(owner.end(status, reason))
