"""SQL of settings that endpoints have, and of versions that went by rollouts. Rows <-> model, nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from brakeline.platform.database import Connection
from brakeline.protocol.codec import decode, encode
from brakeline.protocol.messages import Settings
from brakeline.remediation.model import Had

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Version:
    """Settings as one rollout brought, or brings, them. `good_ms` 0 = it has not completed."""

    version: int
    rollout_id: str
    digest: str
    endpoints: int
    made_ms: int
    made_by: str
    good_ms: int


async def standing(conn: Connection) -> dict[str, Had]:
    """The last good settings of each endpoint that has any. Few are distinct: each is decoded once."""
    rows = await conn.fetch(
        "SELECT settings, version, since, array_agg(endpoint_id) AS ids FROM brakeline.endpoint_settings"
        " GROUP BY settings, version, since"
    )
    decoded = {text: _settings(text) for text in {r["settings"] for r in rows}}
    found = [(r["ids"], Had(decoded[r["settings"]], r["version"], _millis(r["since"]))) for r in rows]
    return {endpoint_id: had for ids, had in found for endpoint_id in ids}


async def save(
    conn: Connection, tenant_id: str, found: Iterable[tuple[str, Settings, bool]], version: int, now_ms: int
) -> None:
    """(endpoint, settings, given at once) of `version`; what an endpoint had before is replaced."""
    await conn.executemany(
        """INSERT INTO brakeline.endpoint_settings VALUES ($1, $2, $3, $4, $5, $6)
           ON CONFLICT (tenant_id, endpoint_id) DO UPDATE SET settings = $3, version = $4, since = $5, at_once = $6""",
        [(tenant_id, endpoint_id, encode(settings).decode(), version, _stamp(now_ms), at_once)
         for endpoint_id, settings, at_once in found],
    )  # fmt: skip


async def given_at_once(conn: Connection, since_ms: int) -> int:
    """How many endpoints that were there before their policy have got their first settings since then."""
    count: int = await conn.fetchval(
        "SELECT count(*) FROM brakeline.endpoint_settings WHERE at_once AND version = 0 AND since > $1",
        _stamp(since_ms),
    )
    return count


async def kept_policies(conn: Connection) -> frozenset[str]:
    """Policies from before settings went by rollouts whose endpoints have not been looked at since."""
    rows = await conn.fetch("SELECT policy_id FROM brakeline.settings_policy WHERE kept FOR UPDATE")
    return frozenset(r["policy_id"] for r in rows)


async def looked_at(conn: Connection) -> None:
    """From now on their endpoints have settings of their own."""
    await conn.execute("UPDATE brakeline.settings_policy SET kept = false WHERE kept")


async def lock(conn: Connection, tenant_id: str) -> None:
    """One at a time decides who gets first settings, and which version is next."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 140))", tenant_id)


async def add_version(
    conn: Connection, tenant_id: str, rollout_id: str, digest: str, endpoints: int, now_ms: int, by: str
) -> Version:
    """The next version; its number."""
    number: int = await conn.fetchval("SELECT coalesce(max(version), 0) + 1 FROM brakeline.settings_version")
    await conn.execute(
        "INSERT INTO brakeline.settings_version VALUES ($1, $2, $3, $4, $5, $6, $7)",
        tenant_id, number, rollout_id, digest, endpoints, _stamp(now_ms), by,
    )  # fmt: skip
    return Version(number, rollout_id, digest, endpoints, now_ms, by, 0)


async def set_good(conn: Connection, version: int, now_ms: int) -> None:
    await conn.execute("UPDATE brakeline.settings_version SET good_at = $2 WHERE version = $1", version, _stamp(now_ms))


async def is_open(conn: Connection, version: int) -> bool:
    """Whether nobody has taken it for good yet."""
    query = "SELECT good_at IS NULL FROM brakeline.settings_version WHERE version = $1"
    found: bool = await conn.fetchval(query, version)
    return found


async def good_rollouts(conn: Connection, limit: int = 20) -> frozenset[str]:
    """Rollouts of the newest versions that have completed and were taken for good."""
    return frozenset(v.rollout_id for v in await versions(conn, limit) if v.good_ms)


async def versions(conn: Connection, limit: int = 20) -> tuple[Version, ...]:
    """The newest versions, newest first."""
    rows = await conn.fetch("SELECT * FROM brakeline.settings_version ORDER BY version DESC LIMIT $1", limit)
    return tuple(map(_version, rows))


def _version(r: Any) -> Version:
    good_ms = _millis(r["good_at"]) if r["good_at"] else 0
    return Version(
        r["version"], r["rollout_id"], r["digest"], r["endpoints"], _millis(r["made_at"]), r["made_by"], good_ms
    )  # fmt: skip


def _settings(text: str) -> Settings:
    found: Settings = decode(Settings, text.encode())
    return found


def _stamp(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


def _millis(at: datetime) -> int:
    return round((at - _EPOCH) / timedelta(milliseconds=1))
