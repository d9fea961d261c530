"""The process beside the controller that uses Ray: on each node it has an actor, which has started a host there.

Messages to a host are calls of its actor, as are those from it: one that returns when the host has said something.
"""

import asyncio
import contextlib
import math
import os
import queue
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

import psutil
import ray
from ray.exceptions import ActorUnschedulableError, NodeDiedError, ObjectLostError, RayActorError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweeplab.sweep.execute.host import start_host
from sweeplab.sweep.execute.local import GRACE
from sweeplab.sweep.execute.messages import Abandoned, Heartbeat, HostSetup, Refused, packed, setup_in

LOOK_EVERY = 1.0  # seconds between two looks at which nodes there are
WORRY_AFTER = 10.0  # seconds without the CPUs and GPUs of a node, after which the user is told
# A host outlives its actor for as long as its trials take to end; Ray kills the children of an actor at once.
DETACHED = ("setsid", "--fork")
NODE_IS_GONE = (RayActorError, ActorUnschedulableError, NodeDiedError, ObjectLostError)
OF_RAY = ("OMP_NUM_THREADS", "PYTHONBREAKPOINT")  # what it puts into the environment of an actor

# A method that runs beside the others of an actor. Ray has no types.
_beside: Callable[[Callable[..., list[bytes]]], Callable[..., list[bytes]]] = ray.method(concurrency_group="listening")


class HostActor:
    """Lives on a node: starts a host there, and passes on what the host and the controller say."""

    def __init__(self) -> None:
        before = psutil.Process().environ()
        for name in OF_RAY:
            if name not in before:
                os.environ.pop(name, None)
        context = ray.get_runtime_context()
        # Also where Ray has given none: it leaves the variable alone then.
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(context.get_accelerator_ids().get("GPU", []))
        threads = int(context.get_assigned_resources().get("CPU", 1))
        self._starter, self._channel = start_host(threads, DETACHED)
        self._starter.wait()

    def tell(self, *contents: bytes) -> None:
        """Pass on messages of the controller: the setup first."""
        with contextlib.suppress(OSError):  # the host has ended, as `listen` says
            for content in contents:
                self._channel.send_bytes(content)

    @_beside
    def listen(self) -> list[bytes]:
        """Wait for what the host says; return nothing if it has ended."""
        heard: list[bytes] = []
        with contextlib.suppress(EOFError, OSError):
            heard.append(self._channel.recv_bytes())
            while self._channel.poll():
                heard.append(self._channel.recv_bytes())
        return heard


def reserved(resources: Mapping[str, float], setup: HostSetup) -> dict[str, int]:
    """Return what a host reserves of its node: all CPUs and GPUs, or what `jobs_per_node` trials use."""
    cpus, gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
    if isinstance(setup.jobs, int):  # what is neither that nor auto, the host refuses
        gpus = min(gpus, math.ceil(setup.jobs / setup.jobs_per_gpu) * setup.gpus_per_job)
        cpus = min(cpus, setup.jobs)
    return {"num_cpus": cpus, "num_gpus": gpus}


class Driver:
    """Keeps a host on each node of Ray, and carries messages between them and the controller."""

    def __init__(self, channel: Connection, setup: bytes) -> None:
        self._channel, self._content = channel, setup
        self._setup = setup_in(setup)
        self._outgoing: dict[str, asyncio.Queue[bytes]] = {}  # by the host
        self._talks: dict[str, asyncio.Task[None]] = {}  # with the host on each node
        self._avoided: set[str] = set()
        self._sent_at: dict[str, float] = {}  # of the last heartbeat to each host
        self._is_draining = self._is_closed = False
        self._heard_at = time.monotonic()  # when the controller last spoke, which is on this machine
        self._actor: Any = ray.remote(concurrency_groups={"listening": 1})(HostActor)
        self._saying: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        threading.Thread(target=self._send, daemon=True).start()  # so that this process can always listen

    async def serve(self) -> None:
        """Place hosts until the controller is gone, or has closed this."""
        over = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._channel.fileno(), self._read, over)
        self.say("connected")
        placing, ending = asyncio.create_task(self._place()), asyncio.create_task(over.wait())
        done, _ = await asyncio.wait([placing, ending], return_when=asyncio.FIRST_COMPLETED)
        if placing in done:
            try:
                await placing
            except TimeoutError:  # at once: the end of the loop waits for the call that is stuck
                self.fail("it does not answer")
        placing.cancel()
        if not self._is_closed:
            for host in self._outgoing:
                self.put(host, packed(Abandoned()))
            if self._talks:
                await asyncio.wait(self._talks.values(), timeout=GRACE + 1.0)

    def say(self, kind: str, *content: Any) -> None:
        """Tell the controller."""
        self._saying.put((kind, *content))

    def send_heartbeat(self) -> None:
        """Let all hosts know that the controller lives."""
        for host in self._outgoing:
            self.put(host, b"")

    def put(self, host: str, content: bytes) -> None:
        """Put a message into the queue of a host."""
        if host in self._outgoing:
            self._outgoing[host].put_nowait(content)

    def drain(self) -> None:
        """Place no further hosts."""
        self._is_draining = True

    def avoid(self, node: str) -> None:
        """Place no further host on a node."""
        self._avoided.add(node)

    def close(self) -> None:
        """Leave without telling the hosts, as soon as the channel ends."""
        self._is_closed = True

    def fail(self, reason: str) -> None:
        """Tell the controller why this ends, and end: a call of Ray may be stuck."""
        self._channel.send(("error", reason))
        os._exit(1)

    def _read(self, over: asyncio.Event) -> None:
        try:
            while self._channel.poll():
                self._heard_at, method, arguments = self._channel.recv()
                getattr(self, method)(*arguments)
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            over.set()

    def _send(self) -> None:
        with contextlib.suppress(OSError):  # the controller is gone
            while True:
                self._channel.send(self._saying.get())

    async def _place(self) -> None:
        """Start a host on each node that has none, for ever."""
        while True:
            listed = await asyncio.wait_for(asyncio.to_thread(ray.nodes), self._setup.lease)
            nodes = {f"{node['NodeManagerHostname']} {node['NodeID'][:8]}": node for node in listed if node["Alive"]}
            for name in set(self._talks) - set(nodes):
                self._talks.pop(name).cancel()
            for name, node in {} if self._is_draining else nodes.items():
                is_usable = name not in self._avoided and reserved(node["Resources"], self._setup)["num_cpus"] > 0
                if is_usable and (name not in self._talks or self._talks[name].done()):
                    self._talks[name] = asyncio.create_task(self._talk(name, node))
            await asyncio.sleep(LOOK_EVERY)

    async def _talk(self, node: str, facts: Mapping[str, Any]) -> None:
        """Start a host on a node, and carry messages, until it or the node is gone."""
        name = f"{node} {secrets.token_hex(2)}"
        self._outgoing[name], self._sent_at[name] = asyncio.Queue(), self._heard_at
        share, here = reserved(facts["Resources"], self._setup), NodeAffinitySchedulingStrategy(facts["NodeID"], False)
        actor = self._actor.options(scheduling_strategy=here, **share).remote()
        ways: list[asyncio.Task[None]] = []
        has_begun = False
        try:
            await self._begin(node, actor, share)
            has_begun = True
            ways = [asyncio.create_task(way(name, actor)) for way in (self._tell, self._listen)]
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in done:
                await way
        except (*NODE_IS_GONE, TimeoutError):
            pass  # or it is silent
        except Exception as error:  # noqa: BLE001 - what a node finds wrong with our classes
            if not has_begun:  # later it is the loss of the node, for which Ray has many
                self.say("message", name, packed(Refused(node, f"{type(error).__name__}: {_beginning(error)}")))
        finally:
            for way in ways:
                way.cancel()
            del self._outgoing[name]
            self.say("end", name, self._sent_at.pop(name))
            ray.kill(actor)

    async def _begin(self, node: str, actor: Any, share: Mapping[str, int]) -> None:
        """Wait until Ray has what the actor reserves, and tell its host the setup."""
        begun = asyncio.ensure_future(actor.tell.remote(self._content))
        done, _ = await asyncio.wait([begun], timeout=WORRY_AFTER)
        if not done:
            what = f"CPUs: {share['num_cpus']}, GPUs: {share['num_gpus']}"
            self.say("notice", f"Waiting for Ray to have room on {node} ({what}); cluster.jobs_per_node takes less.")
        await asyncio.shield(begun)

    async def _tell(self, name: str, actor: Any) -> None:
        """Send what is put into the queue of a host; each time with a heartbeat."""
        outgoing = self._outgoing[name]
        while True:
            contents = [await outgoing.get()]
            while not outgoing.empty():
                contents.append(outgoing.get_nowait())
            self._sent_at[name] = self._heard_at
            told = actor.tell.remote(packed(Heartbeat(self._heard_at)), *filter(None, contents))
            await asyncio.wait_for(_kept(told), self._setup.lease)

    async def _listen(self, name: str, actor: Any) -> None:
        """Pass on what a host says, until it has ended."""
        while contents := await _kept(actor.listen.remote()):
            for content in contents:
                self.say("message", name, content)


def _kept(call: Any) -> "asyncio.Future[Any]":
    """Return a call whose answer may come when nobody waits any more; else Ray fails, from outside of the cluster."""
    return asyncio.shield(asyncio.ensure_future(call))


def _beginning(error: BaseException) -> str:
    """Return the beginning of what an error says; those of Ray go on with whole tracebacks."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def _connect(address: str) -> None:
    """Connect to Ray, which takes minutes to say that nobody is there: that is tried before."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=5.0).close()
    ray.init(address, log_to_driver=False, logging_level="ERROR")


def main(descriptor: int, address: str) -> None:
    """Be the driver at the end of this channel."""
    channel = Connection(descriptor)
    driver = Driver(channel, channel.recv_bytes())
    try:
        _connect(address)
        asyncio.run(driver.serve())
    except TimeoutError:
        driver.fail("it does not answer")
    except Exception as error:  # noqa: BLE001 - the controller says it in a sentence
        driver.fail(_beginning(error))
    ray.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
