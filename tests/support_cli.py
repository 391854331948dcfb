"""One command line against a real API over TLS: what the tests of the command line share."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI

from brakeline.platform.clock import SystemClock
from brakeline.platform.tls import ensure_tls
from brakeline.server.serve import listen, make_server, started


@asynccontextmanager
async def served(
    api: FastAPI, place: Path, monkeypatch: pytest.MonkeyPatch, token: str = "blt_x"
) -> AsyncIterator[None]:
    """Serve `api` on a free port of this machine, and let the command line know it by its context file."""
    tls, sock = ensure_tls(place, (), SystemClock()), listen("127.0.0.1", 0)
    server = make_server(api, tls.certificate_file, tls.key_file, lambda: None)
    serving = asyncio.create_task(server.serve([sock]))
    await started(server, serving)
    context = {"url": f"https://127.0.0.1:{sock.getsockname()[1]}", "ca_file": str(tls.ca_file), "token": token}
    (place / "context.json").write_text(json.dumps(context))
    monkeypatch.setenv("BRAKELINE_CONTEXT", str(place / "context.json"))
    yield
    server.stop()
    await serving
