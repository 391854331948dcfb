"""Presence rows: written in sorted batches, read by id. The hot path never comes here; `fleet.presence` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from brakeline.fleet import harms
from brakeline.fleet.model import Presence, Readings
from brakeline.fleet.store.rows import Connection, limits_said, limits_text, millis, said, stamp
from brakeline.platform.changed import WRITTEN_SINCE, low
from brakeline.protocol.codec import encode

_COLUMNS = (
    "endpoint_id, last_seen, boot_id, asleep, agent_version, failed_services, launcher, readings, settings, harms,"
    " local_limits"
)


async def write(conn: Connection, tenant_id: str, rows: Sequence[tuple[str, Presence]]) -> None:
    """Write one chunk, which the caller has sorted by endpoint id: unsorted batches deadlock with each other.

    ON CONFLICT is the only form whose cost does not grow with the table; a late flush cannot move time back.
    """
    await conn.execute(
        "INSERT INTO brakeline.presence AS p"
        " (tenant_id, endpoint_id, last_seen, boot_id, asleep, agent_version, failed_services, launcher, readings,"
        " settings, harms, local_limits)"
        " SELECT $1, u.endpoint_id, u.last_seen, u.boot_id, u.asleep, u.agent_version,"
        " string_to_array(u.failed, E'\\n'), u.launcher, u.readings, u.settings, u.harms, u.local_limits"
        " FROM unnest($2::text[], $3::timestamptz[], $4::text[], $5::boolean[], $6::text[], $7::text[], $8::text[],"
        " $9::text[], $10::text[], $11::text[], $12::text[])"
        " AS u(endpoint_id, last_seen, boot_id, asleep, agent_version, failed, launcher, readings, settings, harms,"
        " local_limits)"
        " ON CONFLICT (tenant_id, endpoint_id) DO UPDATE SET last_seen = excluded.last_seen,"
        " boot_id = excluded.boot_id, asleep = excluded.asleep, agent_version = excluded.agent_version,"
        " failed_services = excluded.failed_services, launcher = excluded.launcher,"
        " readings = excluded.readings, settings = excluded.settings, harms = excluded.harms,"
        " local_limits = excluded.local_limits"
        " WHERE p.last_seen < excluded.last_seen",
        tenant_id,
        [endpoint_id for endpoint_id, _ in rows],
        [stamp(p.last_check_in_ms) for _, p in rows],
        [p.boot_id for _, p in rows],
        [p.asleep for _, p in rows],
        [p.agent_version for _, p in rows],
        ["\n".join(s.replace("\n", " ") for s in p.failed_services) for _, p in rows],
        [encode(p.launcher).decode() if p.launcher else None for _, p in rows],
        [p.readings.text() if p.readings else "" for _, p in rows],
        [p.settings for _, p in rows],
        [harms.text(p.harms) for _, p in rows],
        [limits_text(p.local) for _, p in rows],
    )


async def read(conn: Connection, endpoint_ids: Sequence[str] | None) -> dict[str, Presence]:
    """Presence by endpoint id; None = of every endpoint of the tenant."""
    where = "" if endpoint_ids is None else " WHERE endpoint_id = ANY($1::text[])"
    rows = await conn.fetch(
        f"SELECT {_COLUMNS} FROM brakeline.presence{where}",  # noqa: S608
        *([] if endpoint_ids is None else [list(endpoint_ids)]),
    )
    return dict(map(_presence, rows))


async def read_since(conn: Connection, moment: int) -> dict[str, Presence]:
    """Presence written since (`platform.changed`). Nothing is indexed for it, so that writing costs what it did."""
    since = WRITTEN_SINCE.format(parameter="$1")
    rows = await conn.fetch(f"SELECT {_COLUMNS} FROM brakeline.presence WHERE {since}", low(moment))  # noqa: S608
    return dict(map(_presence, rows))


async def page(conn: Connection, after: str, limit: int) -> dict[str, Presence]:
    """The next ones by endpoint id, whenever written."""
    rows = await conn.fetch(
        f"SELECT {_COLUMNS} FROM brakeline.presence WHERE endpoint_id > $1 ORDER BY endpoint_id LIMIT $2",  # noqa: S608
        after, limit,
    )  # fmt: skip
    return dict(map(_presence, rows))


def _presence(r: Any) -> tuple[str, Presence]:
    return r["endpoint_id"], Presence(
        millis(r["last_seen"]), r["boot_id"], r["asleep"], r["agent_version"], tuple(r["failed_services"]),
        said(r["launcher"]), Readings.read(r["readings"]), r["settings"], harms.read(r["harms"]),
        limits_said(r["local_limits"]),
    )  # fmt: skip
