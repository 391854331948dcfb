"""Calls an ASGI application in this process: for tests of routes that need no socket."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What the application answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)

    def cookie(self, name: str) -> str:
        """Value of a cookie that the answer sets; KeyError when it does not."""
        return SimpleCookie(self.headers["set-cookie"])[name].value


async def call(
    app: Any, method: str, target: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """One request; `body` is sent as JSON unless it is bytes. An error that the application lets through is raised
    only when nothing was answered."""
    path, _, query = target.partition("?")
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    sent = {"host": "cell.test", **({"content-type": "application/json"} if data else {}), **(headers or {})}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "https",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(k.lower().encode(), v.encode()) for k, v in sent.items()],
        "client": ("127.0.0.1", 1), "server": ("cell.test", 443), "state": {},
    }  # fmt: skip
    messages: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    try:
        await app(scope, receive, send)
    except Exception:
        if not messages:
            raise
    answered = {k.decode().lower(): v.decode() for k, v in messages[0]["headers"]}
    return Answer(messages[0]["status"], answered, b"".join(m.get("body", b"") for m in messages[1:]))
