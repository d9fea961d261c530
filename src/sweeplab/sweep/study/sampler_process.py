"""A process that suggests trials, for a sampler so slow that the controller would hold up the trials under way."""

import multiprocessing
import signal
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import setup_globals

from sweeplab.errors import UserError
from sweeplab.sweep.config.objectives import directions
from sweeplab.sweep.program import SAMPLER_PROCESS
from sweeplab.sweep.spec import SweepSpec
from sweeplab.sweep.study.client import StudyClient
from sweeplab.sweep.study.search import Search
from sweeplab.sweep.study.storage import follow, open_storage
from sweeplab.sweep.study.study import open_study

GRACE = 5.0  # seconds for the suggestion that is under way at the end


@dataclass(frozen=True)
class Answer:
    """A trial of the study, by its id there, and its point; or why there is none."""

    trial: int | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    exhausted: bool = False
    error: Exception | None = None


class SamplerProcess:
    """Suggests one trial at a time when asked, under the name of our controller.

    `ready` says whether it has opened the study yet, `busy` whether it was asked and has not answered, `gone` whether
    its process has died.
    """

    def __init__(self, spec: SweepSpec, lease: Mapping[str, Any]) -> None:
        self.ready = self.busy = self.gone = False
        self._setup: tuple[SweepSpec, Mapping[str, Any]] | None = (spec, lease)
        context = multiprocessing.get_context("spawn")
        self.channel, far = context.Pipe()
        self._process = context.Process(target=_serve, args=(far,), name=SAMPLER_PROCESS, daemon=True)
        # Ctrl-C is for the controller, and must not meet a process that is still importing.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            far.close()

    def ask(self, total: int | None) -> None:
        """Ask for a trial of a study that has so many in all, if there is none asked for."""
        if not self.busy:
            self.busy = self._send(total)

    def receive(self) -> Answer | None:
        """Take in what the process has sent; return its answer, if that is what it was."""
        try:
            if self.gone or not self.channel.poll():
                return None
            message = self.channel.recv()
        except (EOFError, OSError):
            self.gone, self.busy = True, False
            return None
        if isinstance(message, Answer):
            self.busy = False
            return message
        if self._setup is not None:  # it has imported what it needs; to send it before would have been to wait for that
            self._send(self._setup)
            self._setup = None
        else:
            self.ready = True
        return None

    def close(self) -> None:
        """End the process."""
        self.channel.close()
        self._process.join(GRACE if self.busy else 0)
        self._process.kill()
        self._process.join()

    def _send(self, message: object) -> bool:
        try:
            self.channel.send(message)
        except OSError:
            self.gone = True
        return not self.gone


def _serve(channel: Connection) -> None:
    try:
        channel.send("imported")
        spec, lease = channel.recv()
        try:
            storage, lock = open_storage(spec.settings.storage, spec.folder)
        except UserError:  # it is away, as the controller says
            return
        follow(storage, lambda text: None, lambda: True)
        study = open_study(storage, spec.name, directions(spec.objectives))
        search, client = Search(spec), StudyClient(study, lock, spec.settings.retries, spec.folder, lease)
        search.equip(study, f"sampler process of {client.controller}")
        setup_globals()
        HydraConfig.instance().cfg = spec.base
        channel.send("ready")
        while True:
            channel.send(_answer(client, search, channel.recv()))
    except (EOFError, OSError):  # the controller has closed, or is gone
        return


def _answer(client: StudyClient, search: Search, total: int | None) -> Answer:
    values: dict[str, Any] = {}
    try:
        trial = client.ask(total, lambda trial: values.update(search.suggest(trial)), search.points)
    except UserError as error:
        return Answer(error=error)
    except Exception as error:  # noqa: BLE001 - whatever the sampler raises, the controller ends with it
        failure = RuntimeError(f"{type(error).__name__}: {error}")
        failure.add_note(traceback.format_exc())
        return Answer(error=failure)
    return Answer(None if trial is None else trial._trial_id, values, client.study.exhausted)
