"""Probes against real servers and programs, the journal's reader against programs that behave badly."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from brakeline.agent import journal
from brakeline.agent.probes import attempted, is_own
from brakeline.protocol.probes import parse

NOBODY = 65_534
ELSEWHERE = "192.0.2.1"  # for documents (RFC 5737): no machine has it
TRY = """
import json, os, sys
from brakeline.agent.probes import attempted
from brakeline.protocol.probes import parse
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(int(sys.argv[2]))
    os.setuid(int(sys.argv[2]))
print(json.dumps([attempted(parse(text)) for text in json.loads(sys.argv[1])]))
"""


class Handler(BaseHTTPRequestHandler):
    """Answers with the code that its path names; /slow answers when the test is over."""

    over = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/slow":
            self.over.wait(30)
        code = int(self.path[1:]) if self.path[1:].isdigit() else 200
        self.send_response(code)
        self.end_headers()

    def log_message(self, *_words: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    Handler.over.set()
    server.shutdown()
    server.server_close()
    thread.join()


def asked(port: int, path: str, options: str = "") -> str:
    return attempted(parse(f"web {options}http://127.0.0.1:{port}{path}"))


def test_an_answer_passes_below_400_or_by_its_very_code(port: int) -> None:
    assert [asked(port, f"/{code}") for code in (200, 302, 404, 500)] == ["", "", "HTTP 404", "HTTP 500"]
    assert [asked(port, f"/{code}", "status=503 ") for code in (503, 200)] == ["", "HTTP 200"]
    assert attempted(parse(f"web http://localhost:{port}/")) == ""


def test_what_gives_no_answer_fails_within_its_time(port: int) -> None:
    assert asked(port, "/slow", "within=1 ") == "no answer within 1 s"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert asked(free.getsockname()[1], "/") == "connection refused"


def test_what_is_no_web_server_is_told(port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as odd:

        def greet() -> None:
            connection, _ = odd.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        assert asked(odd.getsockname()[1], "/") == "no HTTP answer"
        thread.join()
    told = attempted(parse(f"web https://127.0.0.1:{port}/"))  # no TLS there
    assert told
    assert not told.startswith("HTTP")


def test_only_this_machine_s_own_addresses_are_asked() -> None:
    assert is_own("127.0.0.1")
    assert not is_own(ELSEWHERE)
    assert attempted(parse(f"web http://{ELSEWHERE}/")) == f"not tried: {ELSEWHERE} is no address of this machine"


def as_nobody(*texts: str) -> list[str]:
    """What an unprivileged agent would say."""
    command = [sys.executable, "-c", TRY, json.dumps(texts), str(NOBODY)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    answers: list[str] = json.loads(done.stdout)
    return answers


def test_programs_are_tried_by_their_exit_code_and_without_a_shell() -> None:
    assert as_nobody("a /bin/true", "b /bin/false", "c exit=1 /bin/false", "d /bin/no-such", "e within=1 /bin/sleep 9",
                     "f /usr/bin/test 1 -eq 1", "g /usr/bin/test $HOME -eq 1") == [
        "", "exit 1", "", "not started: No such file or directory", "no end within 1 s", "", "exit 2",
    ]  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="says what root is refused: only root can be")
def test_no_program_is_started_as_root() -> None:
    assert attempted(parse("a /bin/true")) == "not tried: no program is started as root"


# --- the journal ------------------------------------------------------------------------------------------------------


def journal_that(tmp_path: Path, *lines: str) -> Path:
    """A program in the journal's place."""
    (tmp_path / journal.SOCKET).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / journal.SOCKET).touch()
    program = tmp_path / "journalctl"
    program.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def test_errors_are_counted_and_who_writes_them_named(tmp_path: Path) -> None:
    told = '{"_SYSTEMD_UNIT":"app.service"}'
    found = journal.count(tmp_path, str(journal_that(tmp_path, *[f"echo '{told}'"] * 3)))
    assert found == journal.Errors(3, ("errors: app.service (3)",))
    assert journal.count(tmp_path, str(journal_that(tmp_path, ":"))) == journal.Errors(0)


def test_a_flood_without_end_is_cut_off_and_counted_so_far(tmp_path: Path) -> None:
    found = journal.count(tmp_path, str(journal_that(tmp_path, "exec yes '{}'")), lambda: 0.0)
    assert found.errors is not None
    assert found.errors > journal.LINES_MAX


def test_a_reader_that_fails_hangs_or_is_not_there_tells_nothing(tmp_path: Path) -> None:
    ticks = iter(range(100))
    hangs = str(journal_that(tmp_path, "exec sleep 30"))
    assert journal.count(tmp_path, hangs, lambda: float(next(ticks))) == journal.Errors(None)
    assert journal.count(tmp_path, str(journal_that(tmp_path, "exit 1"))) == journal.Errors(None)
    assert journal.count(tmp_path, str(tmp_path / "no-such")) == journal.Errors(None)
    assert journal.count(tmp_path / "elsewhere") == journal.Errors(None)
