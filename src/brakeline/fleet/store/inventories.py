"""Packages, pending updates and status of one endpoint: read whole, written as differences."""

from __future__ import annotations

from collections.abc import Iterable

from brakeline.fleet.decide import Apply, Held
from brakeline.fleet.store.rows import Connection, stamp
from brakeline.protocol.codec import encode
from brakeline.protocol.digests import package_key
from brakeline.protocol.messages import Facts, Package, PendingUpdate, Status, UpdateState

_PACKAGE = 'name, architecture, version, source, source_version, state, origin, ecosystem, owner, module, "where"'
_PENDING = "name, architecture, installed, candidate, suite, security, state, reason, download_bytes"


async def lock_held(conn: Connection, endpoint_id: str) -> Held:
    """What is held, locked until the transaction ends: inventories of one endpoint are applied one at a time."""
    await conn.fetchval("SELECT 1 FROM brakeline.endpoint WHERE endpoint_id = $1 FOR NO KEY UPDATE", endpoint_id)
    row = await conn.fetchrow(
        "SELECT sequence, digest FROM brakeline.endpoint_status WHERE endpoint_id = $1", endpoint_id
    )
    return Held(row["sequence"], row["digest"]) if row else Held()


async def packages(conn: Connection, endpoint_id: str) -> dict[str, Package]:
    """Installed packages by `name:architecture`, sorted by name."""
    rows = await conn.fetch(
        f"SELECT {_PACKAGE} FROM brakeline.endpoint_package WHERE endpoint_id = $1 ORDER BY name, architecture",  # noqa: S608
        endpoint_id,
    )
    return {package_key(r["name"], r["architecture"]): Package(**r) for r in rows}


async def write_packages(conn: Connection, tenant_id: str, endpoint_id: str, change: Apply) -> None:
    """Write the difference. Rows go as one statement of arrays: constant number of round trips."""
    if change.removals:
        pairs = [key.rpartition(":") for key in change.removals]
        await conn.execute(
            "DELETE FROM brakeline.endpoint_package d USING unnest($2::text[], $3::text[]) AS u(name, architecture)"
            " WHERE d.endpoint_id = $1 AND d.name = u.name AND d.architecture = u.architecture",
            endpoint_id, [p[0] for p in pairs], [p[2] for p in pairs],
        )  # fmt: skip
    if change.upserts:
        await conn.execute(
            f"INSERT INTO brakeline.endpoint_package (tenant_id, endpoint_id, {_PACKAGE})"  # noqa: S608
            " SELECT $1, $2, u.* FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],"
            " $9::text[], $10::text[], $11::text[], $12::text[], $13::text[]) AS u"
            " ON CONFLICT (tenant_id, endpoint_id, name, architecture) DO UPDATE SET version = excluded.version,"
            " source = excluded.source, source_version = excluded.source_version, state = excluded.state,"
            " origin = excluded.origin, ecosystem = excluded.ecosystem, owner = excluded.owner,"
            ' module = excluded.module, "where" = excluded."where"',
            tenant_id, endpoint_id, *_columns(change.upserts, _PACKAGE),
        )  # fmt: skip


async def write_status(
    conn: Connection, tenant_id: str, endpoint_id: str, held: Held, total: int, status: Status | None, at_ms: int
) -> None:
    """Write sequence and digest, and the status when it came along."""
    await conn.execute(
        "INSERT INTO brakeline.endpoint_status (tenant_id, endpoint_id, sequence, digest, committed_at, packages)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant_id, endpoint_id) DO UPDATE SET"
        " sequence = excluded.sequence, digest = excluded.digest, committed_at = excluded.committed_at,"
        " packages = excluded.packages",
        tenant_id, endpoint_id, held.sequence, held.digest, stamp(at_ms), total,
    )  # fmt: skip
    if status is None:
        return
    await _write_facts(conn, endpoint_id, status.facts)
    await conn.execute(
        "UPDATE brakeline.endpoint_status SET pending_total = $2, pending_security = $3, reboot_required = $4,"
        " healthy = $5, reboot = $6, health = $7, software = $8 WHERE endpoint_id = $1",
        endpoint_id, len(status.pending), sum(p.security for p in status.pending), status.reboot.required,
        status.health.healthy, encode(status.reboot).decode(), encode(status.health).decode(),
        "" if status.software is None else encode(status.software).decode(),
    )  # fmt: skip
    await _write_pending(conn, tenant_id, endpoint_id, status.pending)


async def _write_facts(conn: Connection, endpoint_id: str, facts: Facts) -> None:
    f = facts
    await conn.execute(
        "UPDATE brakeline.endpoint SET hostname = $2, os_id = $3, os_version = $4, os_name = $5, kernel = $6,"
        " architecture = $7, machine_class = $8, package_manager = $9,"
        " package_manager_version = $11,"
        " agent_version = CASE WHEN $10 = '' THEN agent_version ELSE $10 END WHERE endpoint_id = $1",
        endpoint_id, f.hostname, f.os_id, f.os_version, f.os_name, f.kernel, f.architecture, f.machine_class,
        f.package_manager, f.agent_version, f.package_manager_version,
    )  # fmt: skip


async def _write_pending(
    conn: Connection, tenant_id: str, endpoint_id: str, pending: tuple[PendingUpdate, ...]
) -> None:
    await conn.execute("DELETE FROM brakeline.pending_update WHERE endpoint_id = $1", endpoint_id)
    if pending:
        await conn.execute(
            f"INSERT INTO brakeline.pending_update (tenant_id, endpoint_id, {_PENDING})"  # noqa: S608
            " SELECT $1, $2, u.* FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[],"
            " $8::boolean[], $9::text[], $10::text[], $11::bigint[]) AS u",
            tenant_id, endpoint_id, *_columns(pending, _PENDING),
        )  # fmt: skip


async def pending(conn: Connection, endpoint_id: str) -> tuple[PendingUpdate, ...]:
    """Pending updates of one endpoint: security first, then by name."""
    rows = await conn.fetch(
        f"SELECT {_PENDING} FROM brakeline.pending_update WHERE endpoint_id = $1"  # noqa: S608
        " ORDER BY security DESC, name, architecture",
        endpoint_id,
    )
    return tuple(PendingUpdate(**{**r, "state": UpdateState(r["state"])}) for r in rows)


def _columns(items: Iterable[object], names: str) -> list[list[object]]:
    """One list a column, in the order of `names`."""
    return [[getattr(item, name.strip('"')) for item in items] for name in names.split(", ")]
