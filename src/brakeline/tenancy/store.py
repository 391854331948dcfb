"""Rows of tenancy to model and back; nothing else. Credentials are reached through SECURITY DEFINER functions only.

Every function runs inside the caller's transaction. Those that take a secret's hash need no tenant: the secret
names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from brakeline.platform.database import Connection
from brakeline.tenancy.model import ApiToken, Person, Tenant

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(ms: int) -> datetime:
    """Unix milliseconds as a timestamptz, exactly."""
    return EPOCH + timedelta(milliseconds=ms)


def ms(moment: datetime | None) -> int | None:
    """A timestamptz as Unix milliseconds, exactly."""
    return None if moment is None else (moment - EPOCH) // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Credential:
    """How somebody signs in."""

    tenant_id: str
    person_id: str
    password_hash: str | None
    failures: int
    locked_until_ms: int | None


@dataclass(frozen=True, slots=True)
class TokenRow:
    """What a token's secret leads to."""

    tenant_id: str
    token_id: str
    name: str
    permissions: frozenset[str]
    expires_ms: int
    revoked: bool


async def tenants(conn: Connection) -> tuple[Tenant, ...]:
    return tuple(Tenant(r["tenant_id"], r["name"]) for r in await conn.fetch("SELECT * FROM brakeline.tenants()"))


async def create_tenant(conn: Connection, tenant: Tenant, now_ms: int) -> bool:
    """False when a tenant of that name is there already."""
    made: bool = await conn.fetchval(
        "SELECT brakeline.tenant_create($1, $2, $3)", tenant.tenant_id, tenant.name, at(now_ms)
    )
    return made


async def set_tenant(conn: Connection, tenant_id: str) -> None:
    """Go on in this transaction as `tenant_id`, once a secret has named it."""
    await conn.execute("SELECT set_config('brakeline.tenant', $1, true)", tenant_id)


async def people(conn: Connection) -> tuple[Person, ...]:
    return tuple(map(_person, await conn.fetch("SELECT * FROM brakeline.person ORDER BY person_id")))


async def person(conn: Connection, person_id: str, *, lock: bool = False) -> Person | None:
    tail = " FOR UPDATE" if lock else ""
    row = await conn.fetchrow(f"SELECT * FROM brakeline.person WHERE person_id = $1{tail}", person_id)  # noqa: S608
    return _person(row) if row else None


async def add_person(conn: Connection, tenant_id: str, p: Person) -> bool:
    """False when the address is taken (by anybody on this installation)."""
    if not await conn.fetchval(
        "SELECT brakeline.credential_create($1, $2, $3, $4)", p.person_id, p.email, at(p.created_ms), p.created_by
    ):
        return False
    await conn.execute(
        "INSERT INTO brakeline.person (tenant_id, person_id, email, name, roles, created_at, created_by) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)",
        tenant_id, p.person_id, p.email, p.name, list(p.roles), at(p.created_ms), p.created_by,
    )  # fmt: skip
    return True


async def set_roles(conn: Connection, person_id: str, roles: tuple[str, ...]) -> None:
    await conn.execute("UPDATE brakeline.person SET roles = $2 WHERE person_id = $1", person_id, list(roles))


async def set_disabled(conn: Connection, person_id: str, now_ms: int | None) -> None:
    moment = None if now_ms is None else at(now_ms)
    await conn.execute("UPDATE brakeline.person SET disabled_at = $2 WHERE person_id = $1", person_id, moment)


async def owners_for_update(conn: Connection) -> tuple[str, ...]:
    """Ids of enabled owners; their rows stay locked, so that two owners cannot remove each other at once."""
    rows = await conn.fetch(
        "SELECT person_id FROM brakeline.person WHERE 'owner' = ANY (roles) AND disabled_at IS NULL "
        "ORDER BY person_id FOR UPDATE"
    )
    return tuple(r["person_id"] for r in rows)


async def credential(conn: Connection, email: str) -> Credential | None:
    row = await conn.fetchrow("SELECT * FROM brakeline.credential_of($1)", email)
    if row is None:
        return None
    return Credential(
        row["tenant_id"], row["person_id"], row["password_hash"], row["failures"], ms(row["locked_until"])
    )


async def set_password(conn: Connection, person_id: str, password_hash: str | None, now_ms: int, by: str) -> None:
    await conn.execute(
        "SELECT brakeline.credential_set_password($1, $2, $3, $4)", person_id, password_hash, at(now_ms), by
    )


async def note_attempt(conn: Connection, person_id: str, good: bool, failures_max: int, locked_until_ms: int) -> None:
    await conn.execute(
        "SELECT brakeline.credential_tried($1, $2, $3, $4)", person_id, good, failures_max, at(locked_until_ms)
    )


async def add_login_link(conn: Connection, hashed: bytes, person_id: str, expires_ms: int, by: str) -> None:
    """`by`: the person who made it, "" for nobody known."""
    await conn.execute("SELECT brakeline.login_link_create($1, $2, $3, $4)", hashed, person_id, at(expires_ms), by)


async def redeem_login_link(conn: Connection, hashed: bytes, now_ms: int) -> tuple[str, str] | None:
    """(tenant_id, person_id), once; None afterwards."""
    row = await conn.fetchrow("SELECT * FROM brakeline.login_link_redeem($1, $2)", hashed, at(now_ms))
    return (row["tenant_id"], row["person_id"]) if row else None


async def login_link_state(conn: Connection, hashed: bytes, now_ms: int) -> str:
    """ "open", "used", "expired", or "" when there is no such link."""
    state: str = await conn.fetchval("SELECT brakeline.login_link_state($1, $2)", hashed, at(now_ms))
    return state


async def add_session(
    conn: Connection, hashed: bytes, session_id: str, person_id: str, now_ms: int, expires_ms: int
) -> None:
    await conn.execute(
        "SELECT brakeline.session_create($1, $2, $3, $4, $5)", hashed, session_id, person_id, at(now_ms), at(expires_ms)
    )


async def session(conn: Connection, hashed: bytes, now_ms: int) -> tuple[str, str, str] | None:
    """(tenant_id, person_id, session_id) of a session that has not ended."""
    row = await conn.fetchrow("SELECT * FROM brakeline.session_principal($1, $2)", hashed, at(now_ms))
    return (row["tenant_id"], row["person_id"], row["session_id"]) if row else None


async def end_session(conn: Connection, hashed: bytes) -> None:
    await conn.execute("SELECT brakeline.session_end($1)", hashed)


async def end_sessions_of(conn: Connection, person_id: str, except_session: str = "") -> None:
    await conn.execute("SELECT brakeline.sessions_end_of($1, $2)", person_id, except_session)


async def add_token(conn: Connection, token: ApiToken, hashed: bytes) -> None:
    await conn.execute(
        "SELECT brakeline.api_token_create($1, $2, $3, $4, $5, $6, $7, $8)",
        token.token_id, token.name, token.shown, hashed, list(token.permissions), token.created_by,
        at(token.created_ms), at(token.expires_ms),
    )  # fmt: skip


async def token(conn: Connection, hashed: bytes) -> TokenRow | None:
    row = await conn.fetchrow("SELECT * FROM brakeline.api_token_principal($1)", hashed)
    if row is None:
        return None
    return TokenRow(
        row["tenant_id"], row["token_id"], row["name"], frozenset(row["permissions"]), ms(row["expires_at"]) or 0,
        row["revoked_at"] is not None,
    )  # fmt: skip


async def tokens(conn: Connection) -> tuple[ApiToken, ...]:
    return tuple(map(_token, await conn.fetch("SELECT * FROM brakeline.api_tokens()")))


async def revoke_token(conn: Connection, token_id: str, now_ms: int) -> bool:
    """False when the tenant has no such token."""
    found: bool = await conn.fetchval("SELECT brakeline.api_token_revoke($1, $2)", token_id, at(now_ms))
    return found


def _person(row: Any) -> Person:
    return Person(
        row["person_id"], row["email"], row["name"], tuple(row["roles"]), ms(row["created_at"]) or 0,
        row["created_by"], ms(row["disabled_at"]),
    )  # fmt: skip


def _token(row: Any) -> ApiToken:
    return ApiToken(
        row["token_id"], row["name"], row["shown"], tuple(sorted(row["permissions"])), row["created_by"],
        ms(row["created_at"]) or 0, ms(row["expires_at"]) or 0, ms(row["revoked_at"]),
    )  # fmt: skip
