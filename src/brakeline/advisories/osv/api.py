"""OSV's own routes, `/v1/query` and `/v1/querybatch`, for tools that know how to ask OSV (pip-audit --osv-url).

Open to whoever reaches the server: published advisories are no secret, the answer is the same for all and names no
tenant and no endpoint, and the tools that ask have no way to bring a token. Read-only; bounded by body, by questions
at once and by a budget of questions for each address. An address is the peer of the connection: no header is believed.
"""

from __future__ import annotations

import json
from typing import Any, Final

from fastapi import APIRouter, Request

from brakeline.advisories.osv.questions import BATCH_MAX, NoQuestion, answer, brief
from brakeline.advisories.osv.rates import Rates
from brakeline.advisories.osv.service import Asking
from brakeline.core.errors import Fault

router = APIRouter(prefix="/v1", tags=["osv"])
BODY_BYTES_MAX: Final = 2 * 1024 * 1024  # a thousand questions of 2 KB
BODY: Final[dict[str, Any]] = {
    "required": True, "content": {"application/json": {"schema": {"type": "object"}}},
}  # fmt: skip


class TooManyQuestions(Fault):
    """This address has asked more than its share."""

    code, status = "too-many-questions", 429
    hint = "Wait a few seconds, or ask many at once with /v1/querybatch (at most 1000)."


@router.post("/query", openapi_extra={"requestBody": BODY})
async def query(request: Request) -> dict[str, Any]:
    """The advisories that a version of a package stands in."""
    body = await _body(request)
    _spend(request, 1)
    (found,) = await _asking(request).ask([body])
    return answer(found)


@router.post("/querybatch", openapi_extra={"requestBody": BODY})
async def querybatch(request: Request) -> dict[str, Any]:
    """The same for many packages: ids only, as OSV answers."""
    body = await _body(request)
    queries = body.get("queries") if type(body) is dict else None
    if type(queries) is not list or not 0 < len(queries) <= BATCH_MAX:
        raise NoQuestion(f"queries is a list of 1 to {BATCH_MAX}")
    _spend(request, len(queries))
    return {"results": [brief(found) for found in await _asking(request).ask(queries)]}


def _asking(request: Request) -> Asking:
    asking: Asking = request.app.state.asking
    return asking


def _spend(request: Request, questions: int) -> None:
    rates: Rates = request.app.state.osv_rates
    if not rates.spend(request.client.host if request.client else "", questions):
        raise TooManyQuestions(f"{questions} more")


async def _body(request: Request) -> Any:
    text = bytearray()
    async for chunk in request.stream():
        text += chunk
        if len(text) > BODY_BYTES_MAX:
            raise NoQuestion(f"more than {BODY_BYTES_MAX} bytes")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as e:
        raise NoQuestion("the body is not JSON", error=str(e)[:80]) from None
