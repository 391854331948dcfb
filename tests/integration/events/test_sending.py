"""Receivers that want to hold up everybody else: they drip, or their address cannot be asked for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from brakeline.core.errors import Unavailable
from brakeline.platform import sending
from brakeline.platform.looking_up import LookUps
from brakeline.platform.sending import Target

DRIPS = 2000  # of 10 ms: then it has answered after all, and the test has found what it looks for


def _drip(listening: socket.socket) -> None:
    taken, _ = listening.accept()
    with taken:
        try:
            taken.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            for _ in range(DRIPS):
                taken.sendall(b"x")
                taken.settimeout(0.01)
                try:
                    if not taken.recv(65_536):
                        return
                except TimeoutError:
                    pass
            taken.sendall(b"\r\nContent-Length: 0\r\n\r\n")
        except OSError:
            return


@pytest.fixture
def dripping() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_drip, args=(listening,))
        thread.start()
        yield listening.getsockname()[1]
    thread.join()


async def test_a_receiver_that_answers_byte_by_byte_for_ever_is_cut_off(dripping: int) -> None:
    target = Target("127.0.0.1", dripping, False, patience_s=0.2)
    with pytest.raises(Unavailable):
        await sending.post(target, "/", b"{}", {}, lambda _: "", None)


async def test_a_path_that_cannot_be_asked_for_is_one_receivers_problem() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        target = Target("127.0.0.1", listening.getsockname()[1], False)
        with pytest.raises(Unavailable, match="does not answer"):
            await sending.post(target, "/ü", b"{}", {}, lambda _: "", None)


@pytest.fixture(params=["takes-and-says-nothing", "does-not-take"])
def silent(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port; of the second kind, whose queue is full, the system drops who else knocks, as many a firewall does."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4 if request.param == "does-not-take" else 0):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


async def test_who_is_cancelled_leaves_no_thread_asleep_on_a_receiver(silent: int) -> None:
    sent = asyncio.create_task(
        sending.post(Target("127.0.0.1", silent, False, patience_s=100), "/", b"{}", {}, lambda _: "", None)
    )
    await asyncio.sleep(0.3)
    sent.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sent
    await asyncio.wait_for(asyncio.get_running_loop().shutdown_default_executor(), 20)  # as the end of a process does


@pytest.fixture
def unanswered(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """No name has an answer before the test ends; set = one was asked for."""
    asked, ends, look_up = threading.Event(), threading.Event(), socket.getaddrinfo

    def slow(*question: object, **more: object) -> object:
        asked.set()
        assert ends.wait(60)
        return look_up(*question, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    yield asked
    ends.set()


async def test_who_is_cancelled_while_the_name_is_looked_up_dials_nobody_and_leaves_no_thread_asleep(
    unanswered: threading.Event,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        target = Target("127.0.0.1", listening.getsockname()[1], False, patience_s=100)
        sent = asyncio.create_task(sending.post(target, "/", b"{}", {}, lambda _: "", None))
        await asyncio.to_thread(unanswered.wait, 20)
        sent.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sent
        await asyncio.wait_for(asyncio.get_running_loop().shutdown_default_executor(), 20)
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.accept()


async def test_a_name_without_an_answer_has_the_patience_of_its_target(unanswered: threading.Event) -> None:
    with pytest.raises(Unavailable, match="receiver is not known: its name was not looked up in time"):
        await sending.post(Target("receiver", 1, False, patience_s=0.1), "/", b"{}", {}, lambda _: "", None)
    assert unanswered.is_set()


async def test_look_ups_without_an_answer_are_few_and_who_finds_no_place_waits_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    goes, asked = threading.Event(), []

    def one_by_one(host: str, *question: object, **more: object) -> object:
        asked.append(host)
        assert goes.wait(60)
        return [host]

    monkeypatch.setattr(socket, "getaddrinfo", one_by_one)
    few = LookUps(2)
    first = [asyncio.create_task(asyncio.to_thread(few.look_up, name, 1, 60.0, SimpleQueue())) for name in "ab"]
    while len(asked) < 2:
        await asyncio.sleep(0.01)
    with pytest.raises(TimeoutError):
        await asyncio.to_thread(few.look_up, "c", 1, 0.05, SimpleQueue())
    last = asyncio.create_task(asyncio.to_thread(few.look_up, "d", 1, 60.0, SimpleQueue()))
    await asyncio.sleep(0.05)
    goes.set()
    assert await asyncio.gather(*first, last) == [["a"], ["b"], ["d"]]
    assert sorted(asked) == ["a", "b", "d"], "nobody waited for c any more"
