"""Routes of people's API for acts that take two people.

`POST /approvals/{id}/approve` takes a session, a token is refused; its body repeats the digest of what the person has
seen. What a route answers whose act waits for somebody: `waiting`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from brakeline.tenancy.api import Service, Who
from brakeline.tenancy.approvals import Approvals
from brakeline.tenancy.waiting import ApprovalView, view

router = APIRouter(prefix="/api/v1", tags=["approvals"])


def _approvals(tenancy: Service) -> Approvals:
    return tenancy.approvals


ApprovalService = Annotated[Approvals, Depends(_approvals)]


@dataclass(frozen=True, slots=True)
class ApprovalList:
    """Newest first."""

    items: tuple[ApprovalView, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """`digest` of what was seen; `password`, where the session did not begin within five minutes."""

    digest: str
    password: str = ""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why not. Kept in the log."""

    reason: str


@router.get("/approvals")
async def list_approvals(
    request: Request, who: Who, approvals: ApprovalService, every: Annotated[bool, Query(alias="all")] = False,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ApprovalList:  # fmt: skip
    """What waits for a second person; with `all` also what is over."""
    now_ms = request.app.state.clock.now_ms()
    return ApprovalList(tuple(view(r, now_ms) for r in await approvals.list(who, every=every, limit=limit)))


@router.get("/approvals/{approval_id}")
async def show_approval(request: Request, who: Who, approvals: ApprovalService, approval_id: str) -> ApprovalView:
    """One request."""
    return view(await approvals.get(who, approval_id), request.app.state.clock.now_ms())


@router.post("/approvals/{approval_id}/approve")
async def approve(
    request: Request, who: Who, approvals: ApprovalService, approval_id: str, body: Agreement
) -> ApprovalView:
    """Agree to exactly what was seen, in a session of one's own; it is done before this answers."""
    found = await approvals.approve(who, approval_id, body.digest, body.password)
    return view(found, request.app.state.clock.now_ms())


@router.post("/approvals/{approval_id}/reject")
async def reject(
    request: Request, who: Who, approvals: ApprovalService, approval_id: str, body: Rejection
) -> ApprovalView:
    """Say no, for everybody."""
    return view(await approvals.reject(who, approval_id, body.reason), request.app.state.clock.now_ms())
