"""How the command line reaches the server: HTTPS with the installation's own authority pinned by the context file.

    {"url": "https://127.0.0.1:8443", "ca_file": "/…/tls/ca.pem", "token": "blt_…"}

Looked for in this order: --context FILE (or BRAKELINE_CONTEXT), ./var/context.json, ~/.config/brakeline/context.json.
With a pinned authority the certificate is checked for the fixed name of cells, whatever address is dialled.
Standard library only, so that a short command stays short.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from brakeline.cli.output import EXIT_BY_STATUS, Exit
from brakeline.core.errors import Fault

SERVER_NAME: Final = "cell.brakeline.internal"
TIMEOUT_S: Final = 30.0
PLACES: Final = (Path("var/context.json"), Path("~/.config/brakeline/context.json"))


class NoContext(Fault):
    """Which server is meant is not known."""

    code, status = "no-context", 401
    hint = (
        "Start one here (./dev up), name its context file (--context DATA/context.json), or: brakeline auth login URL"
    )


class Unreachable(Fault):
    """The server cannot be reached."""

    code, status = "unreachable", 503
    exit_code = Exit.UNREACHABLE
    hint = "Is it running? On its machine: brakeline server run; its log says why it ended."


class ApiError(Fault):
    """The server refused the request."""

    code = "api"

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or ""), **dict(problem.get("context") or {}))
        self.http_status = status
        self.said_title = str(problem.get("title") or f"The server answered {status}.")
        self.said_hint = str(problem.get("hint") or "")
        self.said_code = str(problem.get("code") or "api")
        self.exit_code = EXIT_BY_STATUS.get(status, Exit.FAILED)


@dataclass(frozen=True, slots=True)
class Context:
    """Which server, how to trust it, and as whom."""

    url: str
    token: str
    ca_file: str = ""  # "" = the certificate comes from a public authority


def find_context(places: tuple[Path, ...] = PLACES) -> Context:
    """The context in force. Raises `NoContext` naming where it was looked for."""
    named = os.environ.get("BRAKELINE_CONTEXT")
    candidates = (Path(named),) if named else places
    for place in candidates:
        path = place.expanduser()
        if path.exists():
            return read_context(path)
    raise NoContext("no context file at " + " or ".join(map(str, candidates)))


def read_context(path: Path) -> Context:
    """The context file at `path`. Raises `NoContext` when it is not one."""
    try:
        plain = json.loads(path.read_text())
        return Context(str(plain["url"]), str(plain["token"]), str(plain.get("ca_file") or ""))
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise NoContext(f"{path} is no context file: {type(e).__name__}: {e}") from None


class _PinnedConnection(HTTPSConnection):
    """Dials any address, but expects the certificate of a cell under the pinned authority."""

    def __init__(self, host: str, port: int | None, ca_file: str, timeout: float) -> None:
        self._trust = ssl.create_default_context(cafile=ca_file)
        super().__init__(host, port, timeout=timeout, context=self._trust)

    def connect(self) -> None:
        plain = socket.create_connection((self.host, self.port), self.timeout)
        self.sock = self._trust.wrap_socket(plain, server_hostname=SERVER_NAME)


class Client:
    """Requests to people's API; answers are parsed JSON, refusals are `ApiError`."""

    def __init__(self, context: Context, timeout_s: float = TIMEOUT_S) -> None:
        self._context = context
        self._timeout_s = timeout_s
        self._connection: HTTPSConnection | None = None
        self._code = ""  # the break-glass code, instead of the token
        self._cookie = ""  # of a person's session; without one the token speaks

    @classmethod
    def from_context(cls, timeout_s: float = TIMEOUT_S) -> Client:
        """A client for the context in force."""
        return cls(find_context(), timeout_s)

    def by_code(self, code: str) -> Client:
        """The same server, spoken to by the printed break-glass code: it can stop, and nothing else."""
        found = Client(self._context, self._timeout_s)
        found._code = code
        return found

    def signed_in(self, email: str, password: str) -> Client:
        """The same server, as a person: a session that ends with POST /auth/logout. Raises `ApiError`."""
        session = Client(Context(self._context.url, "", self._context.ca_file), self._timeout_s)
        body = json.dumps({"email": email, "password": password}).encode()
        sent = {"Accept": "application/json", "Content-Type": "application/json"}
        _accepted(*session._exchange("POST", "/api/v1/auth/login", body, sent))
        return session

    @property
    def url(self) -> str:
        return self._context.url

    def get(self, path: str, **query: Any) -> Any:
        """GET; arguments that are None are left out, lists are repeated."""
        given = {k: v for k, v in query.items() if v is not None}
        return self.request("GET", path + ("?" + urlencode(given, doseq=True) if given else ""))

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.request("POST", path, body, headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.request("PUT", path, body, headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.request("PATCH", path, body, headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.request("DELETE", path, None, headers)

    def request(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """One exchange. `path` begins with "/"; those without "/api/" get "/api/v1" before them.

        Header arguments are written with underscores: `idempotency_key="…"`.
        Raises `ApiError` (refused), `Unreachable`.
        """
        target = path if path.startswith("/api/") else "/api/v1" + path
        sent = {**self._speaks(), "Accept": "application/json"}
        sent |= {k.replace("_", "-"): v for k, v in (headers or {}).items()}
        data = None
        if body is not None:
            data, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        status, answer = self._exchange(method, target, data, sent)
        return _accepted(status, answer)

    def upload(self, path: str, data: bytes, kind: str) -> Any:
        """POST bytes of the content type `kind` to "/api/v1" + `path`. Raises as `request` does."""
        sent = {**self._speaks(), "Accept": "application/json", "Content-Type": kind}
        return _accepted(*self._exchange("POST", "/api/v1" + path, data, sent))

    def download(self, path: str, **query: Any) -> bytes:
        """GET "/api/v1" + `path` as it is, for files. Raises as `request` does."""
        target = f"/api/v1{path}?{urlencode({k: v for k, v in query.items() if v is not None})}"
        status, text = self._asked("GET", target, None, {**self._speaks(), "Accept": "*/*"})
        _accepted(status, _parsed(text) if status >= 400 else None)
        return text

    def _speaks(self) -> dict[str, str]:
        if self._cookie:
            return {"Cookie": self._cookie, "Origin": f"https://{urlsplit(self._context.url).netloc}"}
        return {"Authorization": f"BreakGlass {self._code}" if self._code else f"Bearer {self._context.token}"}

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(self, method: str, target: str, data: bytes | None, headers: Mapping[str, str]) -> tuple[int, Any]:
        status, text = self._asked(method, target, data, headers)
        return status, _parsed(text)

    def _asked(self, method: str, target: str, data: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = self._connect()
        try:
            self._connection.request(method, target, data, dict(headers))
            response = self._connection.getresponse()
            text = response.read()
            if begun := response.getheader("set-cookie"):
                self._cookie = begun.partition(";")[0]
        except ssl.SSLError as e:
            self.close()
            raise Unreachable(
                f"{self._context.url} shows a certificate that {self._context.ca_file or 'this machine'} "
                f"does not vouch for ({e.reason or e}); is the context file of this very server?"
            ) from None
        except (OSError, HTTPException) as e:
            self.close()
            raise Unreachable(f"{self._context.url}: {e or type(e).__name__}") from None
        return response.status, text

    def _connect(self) -> HTTPSConnection:
        parts = urlsplit(self._context.url)
        if parts.scheme != "https" or not parts.hostname:
            raise NoContext(f"{self._context.url!r} is no https address")
        if not self._context.ca_file:
            return HTTPSConnection(parts.hostname, parts.port, timeout=self._timeout_s)
        if not Path(self._context.ca_file).exists():
            raise NoContext(f"the context names {self._context.ca_file} as authority, and it is not there")
        return _PinnedConnection(parts.hostname, parts.port, self._context.ca_file, self._timeout_s)


def _accepted(status: int, answer: Any) -> Any:
    if status >= 400:
        raise ApiError(status, answer if isinstance(answer, dict) else {"detail": str(answer)[:200]})
    return answer


def _parsed(text: bytes) -> Any:
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return {"detail": text[:200].decode(errors="replace")}
