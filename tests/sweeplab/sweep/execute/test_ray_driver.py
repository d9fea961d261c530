"""What the driver makes of Ray's errors; nothing here needs a Ray that runs."""

import asyncio
import socket
import threading
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any

import pytest

from sweeplab.sweep.execute.messages import Refused, unpacked

pytest.importorskip("ray")

from ray import exceptions

from sweeplab.sweep.execute import ray_driver

Talk = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch) -> Talk:
    """Let a talk with a node fail, and return what the controller hears of it."""
    monkeypatch.setattr(ray_driver, "setup_in", lambda content: SimpleNamespace(lease=5.0, jobs="auto"))
    monkeypatch.setattr("ray.kill", lambda actor: None)

    def run(error: Exception, during: str) -> list[tuple[Any, ...]]:
        async def fail(*_: Any) -> None:
            raise error

        near, far = Pipe()
        driver = ray_driver.Driver(far, b"")
        driver._actor = SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda: None))
        monkeypatch.setattr(driver, "_begin", lambda *_: asyncio.sleep(0))
        monkeypatch.setattr(driver, "_listen", lambda *_: asyncio.sleep(60))
        monkeypatch.setattr(driver, during, fail)
        asyncio.run(driver._talk("node", {"NodeID": "0" * 56, "Resources": {"CPU": 1.0}}))
        heard = [near.recv()]
        while heard[-1][0] != "end":
            heard.append(near.recv())
        return heard

    return run


@pytest.mark.parametrize("during", ["_begin", "_tell"])
@pytest.mark.parametrize(
    "error",
    [
        exceptions.RayActorError(),
        exceptions.ActorUnschedulableError("its node is gone"),
        exceptions.NodeDiedError("it died"),
        exceptions.ObjectLostError("00", None, ""),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_node_that_is_gone_has_refused_nothing(talk: Talk, error: Exception, during: str) -> None:
    assert [kind for kind, *_ in talk(error, during)] == ["end"]


def test_what_is_wrong_at_the_beginning_is_told_and_later_it_is_a_loss(talk: Talk) -> None:
    (_, _, content), _ = talk(RuntimeError("no such class"), "_begin")
    assert unpacked(content) == (Refused("node", "RuntimeError: no such class"),)
    assert [kind for kind, *_ in talk(RuntimeError("its raylet died"), "_tell")] == ["end"]


def test_that_ray_does_not_answer_is_told_while_the_call_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    has_ended, answers = threading.Event(), []

    def end(code: int) -> None:
        has_ended.set()
        raise SystemExit(code)

    monkeypatch.setattr(ray_driver, "setup_in", lambda content: SimpleNamespace(lease=0.2, jobs="auto"))
    monkeypatch.setattr(ray_driver, "_connect", lambda address: None)
    monkeypatch.setattr("ray.nodes", lambda: answers.append(has_ended.wait(10)))
    monkeypatch.setattr("os._exit", end)
    near, far = socket.socketpair()
    controller = Connection(near.detach())
    controller.send_bytes(b"")
    with pytest.raises(SystemExit):
        ray_driver.main(far.detach(), "auto")
    assert answers == [True]
    assert {controller.recv(), controller.recv()} == {("connected",), ("error", "it does not answer")}
