"""A helper whose release or content is no longer what runs leaves the next question to one that systemd starts anew:
real processes, a real socket, a launcher's report on disk."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from brakeline.agent import helper_wire

CHILD = """
    import os, socket, sys
    from types import SimpleNamespace
    from brakeline.agent import content, helper_socket
    listener = socket.socket(fileno=int(sys.argv[1]))
    busy, program, helper_socket.AGE_S_MAX = sys.argv[2], sys.argv[3], float(sys.argv[4])
    unfinished = lambda: os.path.exists(busy)
    sys.argv[0] = program
    answers = lambda uid, request: {"pid": os.getpid()}
    one = SimpleNamespace(transactions=SimpleNamespace(unfinished=unfinished), answer=answers)
    helper_socket._accept_until_idle(listener, one, 60.0, content.outdated)
"""


class Sockets:
    """As systemd does: the socket stays, a helper is started when somebody asks and none runs."""

    def __init__(self, place: Path) -> None:
        self.place, self.report, self.busy = place, place / "report.json", place / "busy"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(place / "sock"))
        self.listener.listen(8)
        self.child: subprocess.Popen[bytes] | None = None

    def runs(self, content: str, release: str = "0.1.0-aa", trial: str = "") -> None:
        plain = {"running": trial or release, "confirmed": release, "trial": trial, "running_content": content}
        self.report.write_text(json.dumps(plain))

    def start(self, content: str, release: str = "0.1.0-aa", age_s: float = 3600.0) -> None:
        words = {"BRAKELINE_LAUNCHER_REPORT": str(self.report)} | ({"BRAKELINE_CONTENT": content} if content else {})
        fd = self.listener.fileno()
        program = self.place / "versions" / release / "agent.pyz"
        code = [sys.executable, "-c", textwrap.dedent(CHILD), str(fd), str(self.busy), str(program), str(age_s)]
        self.child = subprocess.Popen(code, pass_fds=(fd,), env={**os.environ, **words})

    def ask(self) -> socket.socket:
        asking = socket.socket(socket.AF_UNIX)
        asking.settimeout(60.0)
        asking.connect(str(self.place / "sock"))
        helper_wire.send(asking, {"verb": "status"})
        return asking

    def answer(self) -> int:
        with self.ask() as asking:
            return int(helper_wire.receive(asking)["pid"])


@pytest.fixture
def sockets(tmp_path: Path) -> Iterator[Sockets]:
    made = Sockets(tmp_path)
    yield made
    made.listener.close()
    if made.child is not None:
        made.child.kill()
        made.child.wait()


def test_the_next_question_is_answered_with_the_new_content(sockets: Sockets) -> None:
    sockets.runs("")
    sockets.start("")
    assert sockets.child is not None
    first = sockets.child
    assert sockets.answer() == sockets.answer() == first.pid
    sockets.runs("1.5.0-bb")
    waiting = sockets.ask()
    assert first.wait(60.0) == 0, "it ends, and takes no question with it"
    sockets.start("/versions/1.5.0-bb")
    with waiting:
        assert helper_wire.receive(waiting)["pid"] == sockets.child.pid


@pytest.mark.parametrize("age_s", [3600.0, 0.0], ids=["another release is due", "it is old"])
def test_the_next_question_is_left_to_the_release_that_is_due(sockets: Sockets, age_s: float) -> None:
    sockets.runs("")
    sockets.start("", age_s=age_s)
    assert sockets.child is not None
    first = sockets.child
    assert sockets.answer() == first.pid
    if age_s:
        sockets.runs("", trial="0.2.0-bb")
        assert sockets.answer() == first.pid, "what is on probation is none for root"
        sockets.runs("", "0.2.0-bb")
    waiting = sockets.ask()
    assert first.wait(60.0) == 0
    sockets.start("", "0.2.0-bb" if age_s else "0.1.0-aa")
    with waiting:
        assert helper_wire.receive(waiting)["pid"] == sockets.child.pid
    assert sockets.answer() == sockets.child.pid


def test_one_that_is_always_outdated_answers_all_the_same(sockets: Sockets) -> None:
    sockets.runs("1.5.0-bb")
    sockets.start("")  # for instance because that content can no longer be used
    assert sockets.child is not None
    assert sockets.answer() == sockets.child.pid


def test_while_a_transaction_runs_it_stays(sockets: Sockets) -> None:
    sockets.busy.touch()
    sockets.runs("")
    sockets.start("")
    assert sockets.child is not None
    assert sockets.answer() == sockets.child.pid
    sockets.runs("1.5.0-bb")
    assert sockets.answer() == sockets.child.pid


@pytest.mark.parametrize("report", ["", "{", '{"running": ""}'])
def test_without_a_word_of_the_launcher_nothing_is_outdated(sockets: Sockets, report: str) -> None:
    sockets.start("")
    assert sockets.child is not None
    for _ in range(3):
        sockets.report.write_text(report)
        assert sockets.answer() == sockets.child.pid
