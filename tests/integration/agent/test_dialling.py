"""Names that nobody answers for, and addresses that are silent: a contact keeps to its time whatever they do."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.support_cell import Pki

from brakeline.agent import dialling
from brakeline.agent.dialling import LOOK_UPS_MAX, NotLookedUp, connected
from brakeline.agent.transport import CellUnreachable, Transport

LOOK_UP = socket.getaddrinfo
NAME = "cell.example"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names that were looked up; none has an answer before the test ends."""
    names: list[str] = []
    ends = threading.Event()

    def silent(host: str, *question: Any, **more: Any) -> Any:
        if more.get("flags") != socket.AI_NUMERICHOST and host.endswith("example"):
            names.append(host)
            assert ends.wait(60), "somebody waited for a name"
            raise socket.gaierror("too late")
        return LOOK_UP(host, *question, **more)

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    yield names
    ends.set()
    while len(dialling._places) < LOOK_UPS_MAX:
        pass


def test_a_name_without_an_answer_ends_with_the_time_of_the_contact(asked: list[str], tmp_path: Any) -> None:
    transport = Transport(f"https://{NAME}", Pki(tmp_path).ca_file.read_text(), 0)
    transport.answer_s_max = 0.2
    with pytest.raises(CellUnreachable, match=r"cell\.example was not looked up in time; does its name server answer"):
        transport.post("/", b"", {})
    assert asked == [NAME]


def test_look_ups_without_an_answer_are_few_and_an_address_needs_none(asked: list[str]) -> None:
    for _ in range(LOOK_UPS_MAX):
        with pytest.raises(NotLookedUp, match="in time"):
            connected(NAME, 1, 0.01)
    with pytest.raises(NotLookedUp, match="4 look-ups have no answer yet"):
        connected(NAME, 1, 0.01)
    assert len(asked) == LOOK_UPS_MAX
    with socket.create_server(("127.0.0.1", 0)) as listening:
        connected("127.0.0.1", listening.getsockname()[1], 5).close()


def test_a_name_that_nobody_knows_says_so() -> None:
    with pytest.raises(socket.gaierror):
        connected("nobody.invalid", 1, 20)
    assert len(dialling._places) == LOOK_UPS_MAX


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """From now on a name has these ports of this machine as its addresses."""

    def by(*ports: int) -> None:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]

        def known(_: str, *question: Any, **more: Any) -> Any:
            if more.get("flags") == socket.AI_NUMERICHOST:
                raise socket.gaierror("no figures")
            return found

        monkeypatch.setattr(socket, "getaddrinfo", known)

    return by


def test_a_silent_address_leaves_the_others_enough_of_the_time(answered: Callable[..., None]) -> None:
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # its queue is full: the system drops who else knocks, as many a firewall does
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(silent.getsockname())
        open_ = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        answered(silent.getsockname()[1], open_.getsockname()[1])
        line = stack.enter_context(connected(NAME, 443, 1.0))
        assert line.getpeername() == open_.getsockname()
        assert line.gettimeout() == 1.0
        answered(silent.getsockname()[1], silent.getsockname()[1])
        with pytest.raises(TimeoutError):
            connected(NAME, 443, 0.4)
