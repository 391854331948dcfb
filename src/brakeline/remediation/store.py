"""SQL of policies and deployments. Rows <-> model, nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from brakeline.core.errors import Conflict
from brakeline.platform.database import Connection
from brakeline.protocol.codec import decode, encode_sparse
from brakeline.protocol.messages import Mode
from brakeline.remediation.model import Deployment, PinnedUpdate, Selection, SettingsPolicy, Target, Words

LEAVE = "leave"  # a policy that says nothing of the mode
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PolicyNameTaken(Conflict):
    """There is a policy of that name already."""

    code = "policy-name-taken"


async def insert_policy(conn: Connection, tenant_id: str, policy: SettingsPolicy) -> None:
    """Raises `PolicyNameTaken`."""
    try:
        await conn.execute(
            "INSERT INTO brakeline.settings_policy (tenant_id, policy_id, name, filter, mode, refresh_interval_s,"
            " inventory_interval_s, created_at, created_by, self_update, pin, words, led,"
            " channel)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            tenant_id, policy.id, policy.name, policy.filter, policy.mode.value if policy.mode else LEAVE,
            policy.refresh_interval_s, policy.inventory_interval_s, _stamp(policy.created_ms), policy.created_by,
            policy.self_update, policy.pin, encode_sparse(policy.words).decode(), policy.led,
            policy.channel,
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise PolicyNameTaken(name=policy.name) from None


async def delete_policy(conn: Connection, policy_id: str) -> SettingsPolicy | None:
    row = await conn.fetchrow("DELETE FROM brakeline.settings_policy WHERE policy_id = $1 RETURNING *", policy_id)
    return _policy(row) if row else None


async def policies(conn: Connection) -> tuple[SettingsPolicy, ...]:
    """All policies, oldest first."""
    rows = await conn.fetch("SELECT * FROM brakeline.settings_policy ORDER BY created_at, policy_id")
    return tuple(map(_policy, rows))


def _policy(r: Any) -> SettingsPolicy:
    return SettingsPolicy(
        r["policy_id"], r["name"], r["filter"], None if r["mode"] == LEAVE else Mode(r["mode"]),
        r["refresh_interval_s"], r["inventory_interval_s"],
        _millis(r["created_at"]), r["created_by"], r["self_update"], r["pin"],
        decode(Words, r["words"].encode()) if r["words"] else Words(), r["led"], r["channel"],
    )  # fmt: skip


async def revise(conn: Connection, tenant_id: str) -> None:
    """Policies have changed: orders to launchers get a higher number."""
    await conn.execute(
        "INSERT INTO brakeline.policy_revision AS r VALUES ($1, 1)"
        " ON CONFLICT (tenant_id) DO UPDATE SET revision = r.revision + 1",
        tenant_id,
    )


async def revision(conn: Connection) -> int:
    """How often policies have changed; 0 = never."""
    found: int | None = await conn.fetchval("SELECT revision FROM brakeline.policy_revision")
    return found or 0


async def insert_deployment(conn: Connection, tenant_id: str, made: Deployment, targets: Iterable[Target]) -> None:
    updates = [[u.name, u.version, u.endpoints, u.security] for u in made.updates]
    await conn.execute(
        "INSERT INTO brakeline.deployment VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        tenant_id, made.id, made.rollout_id, made.title, made.filter, made.selection.value, list(made.names),
        json.dumps(updates), made.digest, made.skipped, made.cves_before, list(made.closes), _stamp(made.created_ms),
        made.created_by,
    )  # fmt: skip
    await conn.execute(
        "INSERT INTO brakeline.deployment_endpoint SELECT $1, $2, unnest($3::text[])",
        tenant_id, made.id, [target.endpoint_id for target in targets],
    )  # fmt: skip


_DEPLOYMENT = """SELECT d.*, (SELECT count(*)::int FROM brakeline.deployment_endpoint e
                              WHERE e.deployment_id = d.deployment_id) AS endpoints
                 FROM brakeline.deployment d """


async def deployments(conn: Connection, before: str | None, limit: int) -> list[Deployment]:
    """Newest first; `before` = id after which the page begins."""
    rows = await conn.fetch(
        _DEPLOYMENT + "WHERE $1::text IS NULL OR d.deployment_id < $1 ORDER BY d.deployment_id DESC LIMIT $2",
        before, limit,
    )  # fmt: skip
    return list(map(_deployment, rows))


async def deployment(conn: Connection, some_id: str) -> Deployment | None:
    """By its own id or by that of its rollout."""
    row = await conn.fetchrow(_DEPLOYMENT + "WHERE d.deployment_id = $1 OR d.rollout_id = $1", some_id)
    return _deployment(row) if row else None


async def endpoints_of(conn: Connection, deployment_id: str) -> tuple[str, ...]:
    rows = await conn.fetch(
        "SELECT endpoint_id FROM brakeline.deployment_endpoint WHERE deployment_id = $1 ORDER BY endpoint_id",
        deployment_id,
    )
    return tuple(r["endpoint_id"] for r in rows)


def _deployment(r: Any) -> Deployment:
    return Deployment(
        id=r["deployment_id"], rollout_id=r["rollout_id"], title=r["title"], filter=r["filter"],
        selection=Selection(r["selection"]), names=tuple(r["names"]),
        updates=tuple(PinnedUpdate(*u) for u in json.loads(r["updates"])), endpoints=r["endpoints"],
        skipped=r["skipped"], digest=r["digest"], cves_before=r["cves_before"], closes=tuple(r["closes"]),
        created_ms=_millis(r["created_at"]), created_by=r["created_by"],
    )  # fmt: skip


def _stamp(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


def _millis(at: datetime) -> int:
    return round((at - _EPOCH) / timedelta(milliseconds=1))
