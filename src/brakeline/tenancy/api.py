"""Routes of people's API for signing in, people, tokens and the audit log; and `current_principal` for all routes.

Two ways in: the session cookie (browsers; unsafe methods must come from our own origin) and `Authorization: Bearer
blt_…` (programs). Form posts of the console carry a form token besides: `csrf_fits`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from brakeline.core.errors import Forbidden, Invalid, Unauthenticated, Unavailable
from brakeline.platform.web import decode_cursor, encode_cursor
from brakeline.tenancy.audit import Entry
from brakeline.tenancy.break_glass import BreakGlass
from brakeline.tenancy.faults import DatabaseAway
from brakeline.tenancy.model import ApiToken, LoginLink, NewSession, Person, Principal
from brakeline.tenancy.passwords import csrf_fits, csrf_token
from brakeline.tenancy.service import TenancyService
from brakeline.tenancy.tokens import TOKEN_TTL_S
from brakeline.tenancy.waiting import WAITS, asked

__all__ = ["COOKIE", "csrf_fits", "csrf_token", "current_principal", "refuse_cross_site", "router", "set_session"]

COOKIE = "brakeline_session"
PRESS_S = 2.0  # how long a press waits for the database to say who presses
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
router = APIRouter(prefix="/api/v1", tags=["tenancy"])


def service(request: Request) -> TenancyService:
    found = request.app.state.tenancy
    assert isinstance(found, TenancyService)
    return found


async def current_principal(request: Request) -> Principal:
    """Who makes this request. Raises `Unauthenticated`, and `Forbidden` for an unsafe request from another site."""
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return await service(request).authenticate_token(bearer.strip())
    cookie = request.cookies.get(COOKIE, "")
    if not cookie:
        raise Unauthenticated("sign in, or send Authorization: Bearer blt_…")
    if request.method not in SAFE:
        refuse_cross_site(request)
    return await service(request).authenticate_session(cookie)


async def current_presser(request: Request) -> Principal:
    """Who presses BRAKE or FREEZE. As `current_principal`, and while the database is away (or too slow for a press)
    whoever it has vouched for within a quarter of an hour, or whoever holds the break-glass code."""
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "breakglass":
        glass: BreakGlass = request.app.state.break_glass
        return glass.presser(bearer)
    try:
        async with asyncio.timeout(PRESS_S):
            return await current_principal(request)
    except (Unavailable, TimeoutError) as e:
        known = service(request).presser(bearer.strip() or request.cookies.get(COOKIE, ""))
        if known is None:
            raise DatabaseAway from e
        return known


def refuse_cross_site(request: Request) -> None:
    """Raises `Forbidden` unless the browser says that the request comes from a page of ours."""
    origin = request.headers.get("origin", "")
    if origin:
        ours = urlsplit(origin).netloc == request.headers.get("host", "") and origin != "null"
    else:
        ours = request.headers.get("sec-fetch-site", "") in {"same-origin", "none"}
    if not ours:
        raise Forbidden("the request does not come from a page of this server", origin=origin[:100])


def set_session(response: Response, session: NewSession, now_ms: int) -> None:
    """Give the browser its cookie: unreadable for scripts, never sent from other sites' forms, only over TLS."""
    response.set_cookie(
        COOKIE, session.cookie, max_age=max(0, (session.expires_ms - now_ms) // 1000),
        path="/", secure=True, httponly=True, samesite="lax",
    )  # fmt: skip


Who = Annotated[Principal, Depends(current_principal)]
Presser = Annotated[Principal, Depends(current_presser)]
Service = Annotated[TenancyService, Depends(service)]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Address and password."""

    email: str
    password: str


@dataclass(frozen=True, slots=True)
class LinkSecret:
    """The secret part of a one-time login link."""

    secret: str


@dataclass(frozen=True, slots=True)
class NewPassword:
    """The password to set, and the present one if there is one."""

    password: str
    current: str = ""


@dataclass(frozen=True, slots=True)
class PersonRequest:
    """Somebody to add."""

    email: str
    name: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RolesRequest:
    """The roles that a person shall have."""

    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A token to make; without permissions it gets all of its maker's."""

    name: str
    permissions: tuple[str, ...] | None = None
    ttl_s: int = TOKEN_TTL_S


@router.post("/auth/login")
async def login(body: Credentials, request: Request, response: Response, tenancy: Service) -> dict[str, Any]:
    """Begin a session with address and password."""
    return _begun(await tenancy.login(body.email, body.password), request, response)


@router.post("/auth/redeem")
async def redeem(body: LinkSecret, request: Request, response: Response, tenancy: Service) -> dict[str, Any]:
    """Begin a session with a one-time login link."""
    return _begun(await tenancy.redeem_login_link(body.secret), request, response)


@router.post("/auth/logout", status_code=204)
async def logout(request: Request, response: Response, tenancy: Service, _who: Who) -> None:
    """End the session of the cookie."""
    await tenancy.logout(request.cookies.get(COOKIE, ""))
    response.delete_cookie(COOKIE, path="/")


@router.post("/auth/password", status_code=204)
async def set_password(body: NewPassword, tenancy: Service, who: Who) -> None:
    """Set one's own password."""
    await tenancy.set_password(who, body.password, body.current)


@router.get("/auth/whoami")
async def whoami(who: Who) -> dict[str, Any]:
    """Who this request is made by, and what they may do."""
    return principal_json(who)


@router.get("/people")
async def people(tenancy: Service, who: Who) -> dict[str, Any]:
    """Everybody of the organisation."""
    return {"items": [person_json(p) for p in await tenancy.people(who)]}


@router.post("/people", status_code=201)
async def add_person(body: PersonRequest, tenancy: Service, who: Who) -> dict[str, Any]:
    """Add somebody; the answer holds the one-time login link's secret."""
    return link_json(await tenancy.add_person(who, body.email, body.name, body.roles))


@router.put("/people/{person_id}/roles", response_model=None, responses=WAITS)
async def set_roles(
    request: Request, person_id: str, body: RolesRequest, tenancy: Service, who: Who
) -> dict[str, Any] | JSONResponse:
    """Replace a person's roles: at once where nothing is gained, else when a second person has agreed."""
    found = await tenancy.set_roles(who, person_id, body.roles)
    return person_json(found) if isinstance(found, Person) else asked(request, found)


@router.post("/people/{person_id}/disable")
async def disable(person_id: str, tenancy: Service, who: Who) -> dict[str, Any]:
    """End a person's sessions and tokens for good."""
    return person_json(await tenancy.disable_person(who, person_id))


@router.post("/people/{person_id}/login-link", status_code=201)
async def login_link(person_id: str, tenancy: Service, who: Who) -> dict[str, Any]:
    """A one-time login link for a person who lost the password."""
    return link_json(await tenancy.login_link(who, person_id))


@router.get("/tokens")
async def tokens(tenancy: Service, who: Who) -> dict[str, Any]:
    """The organisation's API tokens, without their secrets."""
    return {"items": [token_json(t) for t in await tenancy.tokens(who)]}


@router.post("/tokens", status_code=201)
async def create_token(body: TokenRequest, tenancy: Service, who: Who) -> dict[str, Any]:
    """Make a token; its secret is in this answer and nowhere else."""
    made = await tenancy.create_token(who, body.name, body.permissions, body.ttl_s)
    return {**token_json(made.token), "secret": made.secret}


@router.delete("/tokens/{token_id}", status_code=204)
async def revoke_token(token_id: str, tenancy: Service, who: Who, keep_made: bool = False) -> None:
    """The token stops working at once, and every token that was made by it, unless `keep_made`."""
    await tenancy.revoke_token(who, token_id, keep_made=keep_made)


@router.post("/break-glass", status_code=201)
async def make_break_glass_code(request: Request, who: Who) -> dict[str, Any]:
    """A new break-glass code, shown this once: it stops things, also while the database is away. Voids the old one."""
    glass: BreakGlass = request.app.state.break_glass
    code, made_ms = await glass.make(who)
    return {"code": code, "made_ms": made_ms}


@router.get("/audit")
async def audit_entries(
    tenancy: Service, who: Who, cursor: str = "", limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> dict[str, Any]:
    """The audit log, newest first."""
    before = _sequence(decode_cursor("audit", cursor)) if cursor else None
    entries = await tenancy.audit_entries(who, before, limit)
    more = len(entries) == limit and entries[-1].sequence > 1
    return {
        "items": [entry_json(e) for e in entries],
        "next_cursor": encode_cursor("audit", entries[-1].sequence) if more else None,
    }


@router.get("/audit/verify")
async def audit_verify(tenancy: Service, who: Who) -> dict[str, Any]:
    """Check the whole chain of the audit log."""
    found = await tenancy.audit_verify(who)
    return {"intact": found.intact, "entries": found.entries, "end": found.end, "problem": found.problem}


def _sequence(position: tuple[str | int, ...]) -> int:
    if len(position) != 1 or not isinstance(position[0], int) or not 0 <= position[0] < 1 << 62:
        raise Invalid("the cursor is damaged; start again from the first page")
    return position[0]


def _begun(session: NewSession, request: Request, response: Response) -> dict[str, Any]:
    set_session(response, session, request.app.state.clock.now_ms())
    return {**principal_json(session.principal), "csrf_token": csrf_token(session.cookie)}


def principal_json(who: Principal) -> dict[str, Any]:
    return {
        "id": who.id, "kind": who.kind, "name": who.name, "tenant_id": who.tenant_id,
        "permissions": sorted(who.permissions),
    }  # fmt: skip


def person_json(p: Person) -> dict[str, Any]:
    return {
        "person_id": p.person_id, "email": p.email, "name": p.name, "roles": list(p.roles),
        "created_ms": p.created_ms, "disabled_ms": p.disabled_ms,
    }  # fmt: skip


def link_json(link: LoginLink) -> dict[str, Any]:
    return {**person_json(link.person), "login_path": f"/login/{link.secret}", "expires_ms": link.expires_ms}


def token_json(t: ApiToken) -> dict[str, Any]:
    return {
        "token_id": t.token_id, "name": t.name, "shown": t.shown, "permissions": list(t.permissions),
        "created_by": t.created_by, "created_ms": t.created_ms, "expires_ms": t.expires_ms, "revoked_ms": t.revoked_ms,
    }  # fmt: skip


def entry_json(e: Entry) -> dict[str, Any]:
    return {
        "sequence": e.sequence, "at_ms": e.at_ms, "actor_kind": e.actor_kind, "actor_id": e.actor_id,
        "actor_name": e.actor_name, "action": e.action, "object_id": e.object_id, "before": e.before,
        "after": e.after, "hash": e.hash.hex(),
    }  # fmt: skip
