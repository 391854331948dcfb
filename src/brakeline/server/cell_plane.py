"""What other cells call: raw ASGI for `/cell/v1/*`, two routes. Everything is signed; nothing is answered unsigned but
a refusal, which is a problem document.

Promises: bounded bodies, so many at once and no more, and a body that comes slowly keeps no other cell out (an answer
that is held open is no work, and bounded by whoever holds it); a refusal tells what, why and what to do, and nothing of
anybody else; without the database 503, and the cell that asked holds when its grant ends.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from brakeline.cells.model import Signed
from brakeline.cells.service import EXCHANGE_ROUTE, JOIN_ROUTE
from brakeline.core.errors import BrakelineError, Fault, NotFound, Unavailable
from brakeline.platform.observe import Receive, Scope, Send, logger
from brakeline.platform.web import problem
from brakeline.protocol.codec import Malformed, encode
from brakeline.server.places import Full, Places

PREFIX: Final = "/cell/v1/"
BODY_BYTES_MAX: Final = 2 * 1024 * 1024
AT_ONCE_MAX: Final = 64
BODIES_MAX: Final = 64  # of whoever reaches the port: nobody has said who he is before all of it is here
BODY_S: Final = 30.0
PATIENCE_S: Final = 2.0  # where others wait: cells are a few to a region, and say some 10 KiB

Later = Callable[[], Awaitable[Signed]]
Take = Callable[[bytes], Awaitable[Signed | Later]]


class CellPlane:
    """The ASGI application for `/cell/v1/`."""

    def __init__(
        self, on_join: Take, on_exchange: Take, bodies_max: int = BODIES_MAX, patience_s: float = PATIENCE_S
    ) -> None:
        self._routes: dict[str, Take] = {JOIN_ROUTE: on_join, EXCHANGE_ROUTE: on_exchange}
        self._busy = 0
        self._bodies = Places(bodies_max, patience_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = Response(encode(await self._answer(scope, receive)), 200, media_type="application/json")
        except ClientDisconnect:
            return
        except BrakelineError as e:
            answer = _refusal(e)
        except Exception as e:  # noqa: BLE001 - outermost: a defect of ours answers 500 and leaves a trace
            logger.exception("cell-plane-failed", path=scope["path"], error=type(e).__name__)
            answer = _refusal(Fault("the server's log has the details"))
        await answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Signed:
        take = self._routes.get(scope["path"])
        if take is None or scope["method"] != "POST":
            raise NotFound("cells POST to /cell/v1/exchange and /cell/v1/join", path=scope["path"][:60])
        body = await self._body(Request(scope, receive))
        if self._busy >= AT_ONCE_MAX:
            raise Unavailable("too many cells call at once; come again")
        self._busy += 1
        try:
            found = await take(body)
        finally:
            self._busy -= 1
        return await found() if callable(found) else found

    async def _body(self, request: Request) -> bytes:
        """The one that has been coming for longest gives way, whatever it has brought: a byte a second is no sign."""
        try:
            async with self._bodies.place(BODY_S):
                return await _body(request)
        except Full:
            raise Unavailable("too many cells call at once; come again") from None
        except TimeoutError:
            raise Unavailable("the message came too slowly; send it again") from None


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise Malformed(f"a message of a cell has {BODY_BYTES_MAX} bytes at most")
    return body


def _refusal(e: BrakelineError) -> Response:
    found = problem(e, "")
    headers = {"retry-after": "2"} if found["status"] == 503 else {}
    return Response(json.dumps(found), found["status"], headers, "application/problem+json")
