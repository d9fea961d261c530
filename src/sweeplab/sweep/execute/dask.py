"""Dask as the engine of a cluster: it has workers on the nodes, carries messages, and notices when a worker is gone.

On each worker lives an actor that has started a host there. Messages to a host are calls of its actor, and those from
it are events of a topic. Where this process dies, Dask drops the actors, and their hosts end.
"""

import asyncio
import contextlib
import queue
import secrets
import signal
import subprocess
import threading
import time
import weakref
from collections import deque
from collections.abc import Mapping
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import distributed

from sweeplab.errors import UserError
from sweeplab.sweep.execute.cluster import place_of
from sweeplab.sweep.execute.host import start_host
from sweeplab.sweep.execute.local import GRACE
from sweeplab.sweep.execute.messages import Abandoned, Heartbeat, Refused, packed

LOOK_EVERY = 1.0  # seconds between two looks at which workers there are
HEARTBEATS_PER_LEASE = 5.0  # so that some may be late
CONNECT = 30.0  # seconds for the scheduler to answer
LARGEST_EVENT = 10_000  # bytes; the scheduler keeps events
Process = subprocess.Popen[bytes]


class HostActor:
    """Lives on a worker: starts a host there, and passes on what the host and the controller say."""

    def __init__(self, topic: str, name: str) -> None:
        worker = distributed.get_worker()
        self._large: deque[bytes] = deque()  # what the host says that is no event
        process, self._channel = start_host(worker.state.nthreads)
        worker.loop.add_callback(worker.plugin_add, Farewell(process), name)
        worker.loop.add_callback(_end_on_user_signals)
        forwarding = (self._channel, process, worker, topic, name, self._large)
        threading.Thread(target=_forward, args=forwarding, daemon=True).start()
        weakref.finalize(self, _tell, self._channel, packed(Abandoned()))  # without its actor it has no controller

    def tell(self, content: bytes) -> list[bytes]:
        """Pass on messages of the controller, the setup first; return one for it that is no event, if there is any."""
        _tell(self._channel, content)
        return [self._large.popleft()] if self._large else []


def _tell(channel: Connection, content: bytes) -> None:
    with contextlib.suppress(OSError):  # the host has ended, as the controller will hear
        channel.send_bytes(content)


def _forward(
    channel: Connection, process: Process, worker: distributed.Worker, topic: str, name: str, large: deque[bytes]
) -> None:
    """Pass on what a host says, and that it has ended."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            content = channel.recv_bytes()
            if len(content) > LARGEST_EVENT:
                large.append(content)
                content = b""  # the controller asks
            worker.log_event(topic, (name, content))
    process.wait()
    worker.log_event(topic, (name, None))
    if name in worker.plugins:
        worker.loop.add_callback(worker.plugin_remove, name)


def _end_on_user_signals() -> None:
    """Let what batch systems may send before they take a node away end this worker as SIGTERM does."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, lambda *_: signal.raise_signal(signal.SIGTERM))


class Farewell(distributed.WorkerPlugin):
    """Lets the host of a worker that is about to close hand its trials back."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def teardown(self, worker: distributed.Worker) -> None:
        """Ask the host to leave, and wait for its end."""
        until = time.monotonic() + GRACE + 1.0
        self._process.terminate()
        while self._process.poll() is None and time.monotonic() < until:
            await asyncio.sleep(0.05)


class Dask:
    """The engine over the scheduler at `address`; `cluster` is what was started for this sweep, if anything was."""

    def __init__(self, address: str, security: Any, setup: bytes, lease: float, cluster: Any = None) -> None:
        self._address, self._security, self._cluster = address, security, cluster
        self._setup, self._lease = setup, lease
        self._topic = f"sweeplab-{secrets.token_hex(4)}"
        self._arrived: queue.SimpleQueue[tuple[str, bytes | None]] = queue.SimpleQueue()
        self.wake, self._waker = Pipe(duplex=False)
        self._is_woken = self._is_draining = False
        self._outgoing: dict[str, asyncio.Queue[Any]] = {}
        self._sent_at: dict[str, float] = {}
        self._avoided: set[str] = set()  # addresses of workers
        self._talks: dict[str, asyncio.Task[None]] = {}  # with the host on each worker, by its address
        self._error: Exception | None = None
        self._loop = asyncio.new_event_loop()
        self._main = self._loop.create_task(self._serve())
        self._connected = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._connected.wait()
        self._check()

    def receive(self) -> list[tuple[str, bytes | None]]:
        """Return what has arrived."""
        while self.wake.poll():
            self.wake.recv_bytes()
        self._is_woken = False
        arrived = []
        while not self._arrived.empty():
            arrived.append(self._arrived.get())
        if not arrived:
            self._check()
        return arrived

    def send(self, host: str, message: Any) -> None:
        """Put a message into the queue of a host."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, as `receive` says
            self._loop.call_soon_threadsafe(self._put, host, message)

    def drain(self) -> None:
        """Place no further hosts."""
        self._is_draining = True

    def avoid(self, host: str) -> None:
        """Place no further host on the worker of this one."""
        self._avoided.add(place_of(host))

    def sent_at(self, host: str) -> float:
        """Return when a heartbeat was last on its way to a host."""
        return self._sent_at[host]

    def close(self) -> None:
        """Let go of the scheduler, which ends the hosts that are left."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join(GRACE)
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None

    def _check(self) -> None:
        if isinstance(self._error, UserError):
            raise self._error
        if self._error is not None:
            reason = " ".join(str(self._error).split()) or type(self._error).__name__
            raise UserError(f"the Dask scheduler at {self._address} cannot be used: {reason}") from self._error

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._main)
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001 - it is raised again in the controller's thread
            self._error = error
            self._wake_up()
        finally:
            self._connected.set()
            self._loop.close()

    async def _serve(self) -> None:
        """Keep a host on each worker."""
        connect: Any = distributed.Client  # which has no types
        async with connect(
            self._address, asynchronous=True, security=self._security, set_as_default=False, timeout=CONNECT
        ) as client:
            client.subscribe_topic(self._topic, self._hear)
            self._connected.set()
            try:
                await self._place(client)
            finally:
                for talk in self._talks.values():
                    talk.cancel()
                await asyncio.gather(*self._talks.values(), return_exceptions=True)

    async def _place(self, client: distributed.Client) -> None:
        """Start a host on each worker that has none, for ever."""
        while True:
            if client.status != "running":
                raise ConnectionError("it is gone")
            if failure := getattr(self._cluster, "failure", ""):  # clusters of Dask itself have no such thing
                raise UserError(failure)
            scheduler: Any = client.scheduler
            workers: Mapping[str, Any] = (await scheduler.identity(n_workers=-1))["workers"]
            for address in set(self._talks) - set(workers):
                self._talks.pop(address).cancel()
            for address, worker in {} if self._is_draining else workers.items():
                is_usable = worker.get("status") == "running" and address not in self._avoided
                if is_usable and (address not in self._talks or self._talks[address].done()):
                    self._talks[address] = asyncio.create_task(self._talk(client, address))
            await asyncio.sleep(LOOK_EVERY)

    async def _talk(self, client: distributed.Client, address: str) -> None:
        """Start a host on a worker, and send what is for it, until it or the worker is gone."""
        name = f"{address} {secrets.token_hex(2)}"
        outgoing = self._outgoing[name] = asyncio.Queue[Any]()
        future = client.submit(HostActor, self._topic, name, workers=[address], actor=True, pure=False)
        self._sent_at[name] = time.monotonic()
        has_begun = False
        try:
            with client.as_current():  # the actor is one of this client
                actor = await future
                await actor.tell(self._setup)  # no argument of a task: Dask keeps and logs these
                has_begun = True
                while (messages := await self._next(outgoing)) is not None:
                    self._sent_at[name] = now = time.monotonic()
                    told = actor.tell(packed(Heartbeat(now), *messages))
                    for content in await asyncio.wait_for(told, self._lease):
                        self._arrive(name, content)
                        outgoing.put_nowait(Heartbeat(time.monotonic()))  # there may be another
        except (OSError, ValueError, TimeoutError, distributed.CancelledError):
            pass  # the worker is gone: Dask has no exception of its own for that
        except Exception as error:  # noqa: BLE001 - what a worker, or the scheduler, finds wrong with our classes
            if not has_begun:  # later it is the loss of the worker, for which Dask has several
                self._arrive(name, packed(Refused(address, f"{type(error).__name__}: {error}")))
        finally:
            self._arrive(name, None)
            del self._outgoing[name]

    async def _next(self, outgoing: "asyncio.Queue[Any]") -> list[Any] | None:
        """Return what is to be sent next, nothing where a heartbeat is due; None where the host has ended."""
        messages = []
        with contextlib.suppress(TimeoutError):
            messages.append(await asyncio.wait_for(outgoing.get(), self._lease / HEARTBEATS_PER_LEASE))
        while not outgoing.empty():
            messages.append(outgoing.get_nowait())
        return None if None in messages else messages

    def _put(self, host: str, message: Any) -> None:
        if host in self._outgoing:
            self._outgoing[host].put_nowait(message)

    def _hear(self, event: tuple[float, tuple[str, bytes | None]]) -> None:
        name, content = event[1]
        if content is None:
            self._put(name, None)  # the talk with it ends, which says so
        elif not content:
            self._put(name, Heartbeat(time.monotonic()))  # so that there is a call, which brings it
        else:
            self._arrive(name, content)

    def _arrive(self, name: str, content: bytes | None) -> None:
        self._arrived.put((name, content))
        self._wake_up()

    def _wake_up(self) -> None:
        if not self._is_woken:
            self._is_woken = True
            self._waker.send_bytes(b"")
