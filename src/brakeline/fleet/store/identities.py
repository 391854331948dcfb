"""Identities, their counters, and enrolment tokens: the system tables, reached through their functions only.

A connection from `Database.system()` has no tenant; `adopt_tenant` sets it once the database has said which tenant
an enrolment token belongs to, so that spending the token and making the endpoint are one transaction.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from brakeline.fleet.model import CounterState, EndpointIdentity, EndpointState, EnrolToken
from brakeline.fleet.store.rows import Connection, millis, stamp
from brakeline.protocol.messages import EnrolRequest


@dataclass(frozen=True, slots=True)
class TokenUse:
    """What came of spending a token: ok | unknown | used | expired | revoked."""

    outcome: str
    token_id: str
    tenant_id: str
    region: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """An identity with what was heard from it last."""

    identity: EndpointIdentity
    counter: CounterState
    sequence: int
    digest: str
    scan: int


def _counter_json(state: CounterState) -> str:
    return json.dumps({"boot": state.boot_id, "recent": state.recent, "retired": state.retired})


def _counter(text: str) -> CounterState:
    raw = json.loads(text)
    return CounterState(raw["boot"], tuple((c, d) for c, d in raw["recent"]), tuple(raw["retired"]))


async def adopt_tenant(conn: Connection, tenant_id: str) -> None:
    """From here to the end of the transaction, `tenant_id` is the tenant."""
    await conn.execute("SELECT set_config('brakeline.tenant', $1, true)", tenant_id)


async def find(conn: Connection, endpoint_id: str) -> Known | None:
    """Who `endpoint_id` is; sets the tenant of the transaction to the endpoint's."""
    key = await conn.fetchrow("SELECT * FROM brakeline.endpoint_identity($1)", endpoint_id)
    if key is None:
        return None
    await adopt_tenant(conn, key["tenant_id"])
    row = await conn.fetchrow(
        "SELECT e.region, e.tags, e.machine_class, e.scan, s.sequence, s.digest FROM brakeline.endpoint e"
        " LEFT JOIN brakeline.endpoint_status s USING (tenant_id, endpoint_id) WHERE e.endpoint_id = $1",
        endpoint_id,
    )
    assert row is not None, "a key without its endpoint: both are made in one transaction"
    identity = EndpointIdentity(
        key["tenant_id"], endpoint_id, bytes(key["public_key"]), EndpointState(key["state"]),
        row["region"], tuple(row["tags"]), row["machine_class"],
    )  # fmt: skip
    return Known(identity, _counter(key["counter"]), row["sequence"] or 0, row["digest"] or "", row["scan"])


async def use_token(conn: Connection, token_hash: bytes, at_ms: int) -> TokenUse:
    """Spend one use of the token, if it has one."""
    row = await conn.fetchrow("SELECT * FROM brakeline.use_enrol_token($1, $2)", token_hash, stamp(at_ms))
    assert row is not None, "the function always returns a row"
    return TokenUse(row["outcome"], row["token_id"], row["tenant_id"], row["region"], tuple(row["tags"]))


async def enrolled_with(conn: Connection, public_key: bytes, token_id: str) -> str | None:
    """The active endpoint that this key made with this token, if any."""
    found: str | None = await conn.fetchval("SELECT brakeline.enrolled_with($1, $2)", public_key, token_id)
    return found


async def add_endpoint(
    conn: Connection,
    identity: EndpointIdentity,
    request: EnrolRequest,
    use: TokenUse,
    counter: CounterState,
    at_ms: int,
) -> bool:
    """Write a new endpoint and its key; False when the key belongs to an endpoint already."""
    f = request.facts
    if not await conn.fetchval(
        "SELECT brakeline.register_endpoint_key($1, $2, $3, $4)",
        identity.endpoint_id, identity.public_key, use.token_id, _counter_json(counter),
    ):  # fmt: skip
        return False
    await conn.execute(
        "INSERT INTO brakeline.endpoint (tenant_id, endpoint_id, region, tags, hostname, os_id, os_version, os_name,"
        " kernel, architecture, machine_class, agent_version, package_manager, enrolled_at, enrolled_by)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        identity.tenant_id, identity.endpoint_id, identity.region, list(identity.tags), request.hostname, f.os_id,
        f.os_version, f.os_name, f.kernel, f.architecture, f.machine_class, request.agent_version or f.agent_version,
        f.package_manager, stamp(at_ms), use.token_id,
    )  # fmt: skip
    return True


async def save_counter(conn: Connection, endpoint_id: str, state: CounterState) -> None:
    """Remember durably what was heard from an identity."""
    await conn.execute("SELECT brakeline.save_endpoint_counter($1, $2)", endpoint_id, _counter_json(state))


async def stop(conn: Connection, endpoint_id: str, state: EndpointState, reason: str) -> bool:
    """Make an identity cloned or retired for good; False when it already was. Needs the tenant."""
    if not await conn.fetchval("SELECT brakeline.stop_endpoint_key($1, $2)", endpoint_id, state.value):
        return False
    await conn.execute(
        "UPDATE brakeline.endpoint SET state = $2, state_reason = $3 WHERE endpoint_id = $1",
        endpoint_id, state.value, reason,
    )  # fmt: skip
    return True


async def add_token(conn: Connection, token: EnrolToken, token_hash: bytes) -> None:
    """Write a token, hashed, for the tenant of the transaction."""
    await conn.execute(
        "SELECT brakeline.create_enrol_token($1, $2, $3, $4, $5, $6, $7, $8)",
        token.id, token_hash, token.region, list(token.tags), token.uses, stamp(token.created_ms), token.created_by,
        stamp(token.expires_ms),
    )  # fmt: skip


async def list_tokens(conn: Connection) -> tuple[EnrolToken, ...]:
    """The newest 500 tokens of the tenant, newest first."""
    rows = await conn.fetch("SELECT * FROM brakeline.list_enrol_tokens()")
    return tuple(
        EnrolToken(
            r["token_id"], r["region"], tuple(r["tags"]), r["uses"], r["used"], millis(r["created_at"]),
            millis(r["expires_at"]), r["created_by"], r["revoked"],
        )
        for r in rows
    )  # fmt: skip


async def revoke_token(conn: Connection, token_id: str) -> bool:
    """False when the tenant has no such token."""
    return bool(await conn.fetchval("SELECT brakeline.revoke_enrol_token($1)", token_id))
