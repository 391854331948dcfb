"""The command line against a real HTTPS server with the installation's own authority."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from brakeline.cli.__main__ import main
from brakeline.cli.output import Exit
from brakeline.platform.clock import SystemClock
from brakeline.platform.tls import ensure_tls

WRITE = Callable[..., None]


class Server(ThreadingHTTPServer):
    """Answers what it was told to, and remembers the last request."""

    answers: dict[str, tuple[int, Any]]
    seen: list[tuple[str, str, str, Any]]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def answer(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.seen.append((self.command, self.path, self.headers["authorization"], body))
        status, document = self.server.answers[f"{self.command} {self.path.partition('?')[0]}"]
        data = b"" if document is None else document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    files = ensure_tls(tmp_path, (), SystemClock())
    made = Server(("127.0.0.1", 0), Handler)
    made.answers, made.seen = {}, []
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files.certificate_file, files.key_file)
    made.socket = tls.wrap_socket(made.socket, server_side=True)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def context(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes the context file that the command line finds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("BRAKELINE_CONTEXT", raising=False)

    def write(**changes: str) -> None:
        plain = {
            "url": f"https://127.0.0.1:{server.server_port}", "ca_file": str(tmp_path / "tls/ca.pem"), "token": "blt_x",
        } | changes  # fmt: skip
        (tmp_path / "var").mkdir(exist_ok=True)
        (tmp_path / "var/context.json").write_text(json.dumps(plain))

    write()
    return write


INTACT = {"intact": True, "entries": 3, "end": "ab" * 32, "problem": ""}


@pytest.mark.usefixtures("context")
def test_a_verb_sends_the_token_and_prints_the_answer(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers["GET /api/v1/audit/verify"] = (200, INTACT)
    assert main(["audit", "verify", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == INTACT
    assert server.seen == [("GET", "/api/v1/audit/verify", "Bearer blt_x", None)]
    assert main(["audit", "verify"]) == 0
    assert "intact: 3 entries" in capsys.readouterr().out


@pytest.mark.usefixtures("context")
def test_a_torn_chain_is_exit_code_1(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    broken = {"intact": False, "entries": 1, "end": "", "problem": "entry 2 was changed after it was written"}
    server.answers["GET /api/v1/audit/verify"] = (200, broken)
    assert main(["audit", "verify", "--json"]) == Exit.FAILED
    assert json.loads(capsys.readouterr().out)["problem"].startswith("entry 2")
    assert main(["audit", "verify"]) == Exit.FAILED
    assert "tampered" in capsys.readouterr().out


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize(
    ("status", "code"),
    [(401, 4), (403, 4), (404, 3), (409, 5), (412, 5), (422, 2), (500, 1), (503, 1), (504, 7)],
)
def test_refusals_become_exit_codes_with_the_servers_own_words(
    server: Server, capsys: pytest.CaptureFixture[str], status: int, code: int
) -> None:
    problem = {"title": "No.", "detail": "because", "hint": "do this", "code": "odd", "context": {"n": 1}}
    server.answers["GET /api/v1/audit"] = (status, problem)
    assert main(["audit", "list", "--json"]) == code
    said = capsys.readouterr()
    assert json.loads(said.out)["error"] == problem
    assert said.err == "Error: No.\n  why:  because\n  next: do this\n"


@pytest.mark.usefixtures("context")
def test_an_answer_that_is_no_json_is_an_error_too(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers["GET /api/v1/audit"] = (502, b"<html>Bad gateway")
    assert main(["audit", "list"]) == Exit.FAILED
    assert "Bad gateway" in capsys.readouterr().err


def test_nobody_there_a_foreign_authority_and_a_broken_context(
    context: WRITE, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    context(url="https://127.0.0.1:1")
    assert main(["audit", "list"]) == Exit.UNREACHABLE
    assert "Is it running?" in capsys.readouterr().err
    ensure_tls(tmp_path / "other", (), SystemClock())
    context(ca_file=str(tmp_path / "other/tls/ca.pem"))
    assert main(["audit", "list"]) == Exit.UNREACHABLE
    assert "does not vouch for" in capsys.readouterr().err
    context(ca_file="/none")
    assert main(["audit", "list"]) == Exit.NOT_ALLOWED
    context(url="http://127.0.0.1")
    assert main(["audit", "list"]) == Exit.NOT_ALLOWED
    (tmp_path / "var/context.json").write_text("{")
    assert main(["audit", "list"]) == Exit.NOT_ALLOWED
    assert "is no context file" in capsys.readouterr().err


@pytest.mark.usefixtures("context")
def test_tokens_and_people(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    owner = {"person_id": "pe_1", "email": "o@x", "name": "O", "roles": ["owner"], "created_ms": 0, "disabled_ms": None}
    token = {
        "token_id": "to_1", "name": "ci", "shown": "blt_1…", "permissions": [], "created_by": "pe_1", "created_ms": 0,
        "expires_ms": 86_400_000, "revoked_ms": None,
    }  # fmt: skip
    server.answers |= {
        "POST /api/v1/tokens": (201, {**token, "secret": "blt_secret"}),
        "GET /api/v1/tokens": (200, {"items": [token]}),
        "DELETE /api/v1/tokens/to_1": (204, None),
        "GET /api/v1/people": (200, {"items": [owner]}),
        "POST /api/v1/people/pe_1/login-link": (201, {**owner, "login_path": "/login/abc", "expires_ms": 0}),
        "POST /api/v1/people": (201, {**owner, "login_path": "/login/abc", "expires_ms": 0}),
        "PUT /api/v1/people/pe_1/roles": (200, owner),
        "POST /api/v1/people/pe_1/disable": (200, owner),
    }
    assert main(["auth", "token", "create", "ci", "--days", "1"]) == 0
    assert capsys.readouterr().out == "blt_secret\n"
    assert server.seen[-1][3] == {"name": "ci", "permissions": None, "ttl_s": 86400}
    assert main(["auth", "token", "list"]) == 0
    assert "blt_1…" in capsys.readouterr().out
    assert main(["auth", "token", "revoke", "to_1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"token_id": "to_1", "revoked": True}
    assert main(["auth", "login-link"]) == 0
    assert capsys.readouterr().out == f"https://127.0.0.1:{server.server_port}/login/abc\n"
    for words in (["add", "n@x", "--role", "viewer"], ["set-roles", "o@x", "--role", "owner"], ["disable", "o@x"]):
        assert main(["auth", "people", *words, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["email"] == "o@x"
    assert main(["auth", "people", "disable", "nobody@x"]) == Exit.NOT_FOUND


def test_signing_in_keeps_a_token_that_only_we_can_read(
    context: WRITE, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    me = {"id": "to_1", "kind": "token", "name": "token ci", "tenant_id": "te_1", "permissions": ["audit.read"]}
    server.answers["GET /api/v1/auth/whoami"] = (200, me)
    (tmp_path / "var/context.json").unlink()
    url, ca = f"https://127.0.0.1:{server.server_port}", str(tmp_path / "tls/ca.pem")
    monkeypatch.setattr("sys.stdin", io.StringIO("wrong\n"))
    assert main(["auth", "login", url, "--ca", ca]) == Exit.USAGE
    monkeypatch.setattr("sys.stdin", io.StringIO("blt_abc\n"))
    assert main(["auth", "login", url, "--ca", ca]) == 0
    kept = tmp_path / ".config/brakeline/context.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert main(["auth", "whoami"]) == 0
    assert server.seen[-1][2] == "Bearer blt_abc"
    assert main(["auth", "logout"]) == 0
    assert not kept.exists()
    assert main(["auth", "whoami"]) == Exit.NOT_ALLOWED
