"""A process that draws trials, for a sampler so slow that the loop would hold up the trials under way."""

import multiprocessing
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import optuna

from sweeplab.errors import UserError
from sweeplab.sweep.book import Book
from sweeplab.sweep.plan import Plan
from sweeplab.sweep.search import Search
from sweeplab.sweep.storage import open_storage
from sweeplab.sweep.study import open_study

GRACE = 10.0  # seconds for the draw that is under way at the end


@dataclass(frozen=True)
class Drawn:
    """What came of a draw: a trial of the study, by its id there, and its point; or why there is none."""

    trial: int | None = None
    values: Mapping[str, Any] | None = None
    exhausted: bool = False
    error: Exception | None = None


class Drawer:
    """Draws one trial at a time when asked, under the name of our controller.

    `ready` says whether it has opened the study yet, `busy` whether it was asked and has not answered, `gone` whether
    its process has died.
    """

    def __init__(self, plan: Plan, lease: Mapping[str, Any]) -> None:
        self.ready = self.busy = self.gone = False
        self._drawn: Drawn | None = None
        context = multiprocessing.get_context("spawn")
        self.channel, far = context.Pipe()
        self._process = context.Process(target=_draw, args=(far, plan, lease), name="drawer", daemon=True)
        self._process.start()
        far.close()

    def ask(self, total: int | None) -> None:
        """Ask for a trial of a study that has so many in all, if there is none asked for."""
        if self.busy or self._drawn is not None:
            return
        try:
            self.channel.send((total,))
            self.busy = True
        except OSError:
            self.gone = True

    def look(self) -> None:
        """Take in what the process has said."""
        try:
            if not self.gone and self.channel.poll():
                said = self.channel.recv()
                if self.ready:
                    self._drawn, self.busy = said, False
                self.ready = True
        except (EOFError, OSError):
            self.gone, self.busy = True, False

    def take(self) -> Drawn | None:
        """Return the answer, once; None as long as there is none."""
        drawn, self._drawn = self._drawn, None
        return drawn

    def close(self) -> None:
        """End the process; what it was drawing, or nobody took, waits in the study."""
        self.channel.close()
        self._process.join(GRACE)
        self._process.kill()


def _draw(channel: Connection, plan: Plan, lease: Mapping[str, Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the controller
    storage, lock = open_storage(plan.settings.storage, plan.folder)
    study = open_study(storage, plan.name, [objective.direction for objective in plan.objectives])
    search, book = Search(plan), Book(study, lock, plan.settings.retries, plan.folder, lease)
    search.equip(study, "drawer")
    channel.send("ready")
    while True:
        try:
            (total,) = channel.recv()
        except (EOFError, OSError):
            return
        drawn = _one(book, search, total)
        try:
            channel.send(drawn)
        except OSError:
            if drawn.trial is not None:
                book.put_off(drawn.trial)
            return


def _one(book: Book, search: Search, total: int | None) -> Drawn:
    values: dict[str, Any] = {}

    def suggest(trial: optuna.Trial) -> None:
        values.update(search.suggest(trial))

    try:
        trial = book.ask(total, suggest, search.points)
    except UserError as error:
        return Drawn(error=error)
    except Exception as error:  # noqa: BLE001 - whatever the sampler raises, the controller ends with it
        return Drawn(error=RuntimeError(f"{type(error).__name__}: {error}"))
    if trial is None:
        return Drawn(exhausted=book.study.exhausted)
    return Drawn(trial._trial_id, values, book.study.exhausted)
