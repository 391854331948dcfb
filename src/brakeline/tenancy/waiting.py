"""What a route answers whose act takes two people: 202 and the request that waits, instead of its usual document."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from fastapi import Request
from fastapi.responses import JSONResponse

from brakeline.tenancy.two_people import Request as Approval


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """A request. `digest` stands for act, object, parameters and situation: whoever agrees repeats it.

    `not_before_ms`: of a single person; 0 = it takes two. `state`: open, approved, done, rejected, overtaken, failed or
    expired.
    """

    id: str
    act: str
    object_id: str
    says: tuple[str, ...]
    digest: str
    way: str
    state: str
    asked_ms: int
    asked_by: str
    not_before_ms: int
    expires_ms: int
    decided_ms: int
    decided_by: str
    note: str


def view(r: Approval, now_ms: int) -> ApprovalView:
    """A request as people's API shows it."""
    return ApprovalView(
        r.approval_id, r.act.value, r.object_id, r.says, r.digest, r.way.value, r.standing(now_ms), r.asked_ms,
        r.asked_by, r.not_before_ms, r.expires_ms, r.decided_ms, r.decided_by, r.note,
    )  # fmt: skip


def asked(request: Request, found: Approval, **more: Any) -> JSONResponse:
    """202: the act waits for a second person, or for its time. `more`: what was made already."""
    return JSONResponse({"approval": asdict(view(found, request.app.state.clock.now_ms())), **more}, 202)


WAITS: Final[dict[int | str, dict[str, Any]]] = {
    202: {"description": "It takes a second person (or time): the request that waits for one.",
          "content": {"application/json": {"schema": {
              "type": "object", "required": ["approval"], "properties": {"approval": {"type": "object"}}}}}},
}  # fmt: skip
