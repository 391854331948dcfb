"""SQL of exposure: counts per endpoint, and since when each source stands open. Rows <-> model, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from brakeline.exposure.index import Counts
from brakeline.platform.database import Connection

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class EndpointExposure:
    """What the list of endpoints shows. Times are Unix milliseconds; `sources` counts sources with open CVEs."""

    endpoint_id: str
    assessed_ms: int
    inventory_ms: int
    advisories: str  # fingerprint of the rows that were used
    packages: int
    not_assessed: int
    cves: int
    carrier_cves: int
    kev: int
    fixable: int
    sources: int


@dataclass(frozen=True, slots=True)
class SourceTimes:
    """Since when a source stands open on an endpoint; `resolved_ms` None = it still does."""

    source: str
    version: str
    cves: int
    first_seen_ms: int
    resolved_ms: int | None


async def save(
    conn: Connection, tenant_id: str, endpoint_id: str, counts: Counts, advisories: str, now_ms: int, inventory_ms: int
) -> bool:
    """Write the counts and move the times; gives whether anything but the times of looking changed."""
    changed = await conn.fetchval(
        """WITH before AS (SELECT cves, carrier_cves, kev, fixable, not_assessed FROM brakeline.endpoint_exposure
                           WHERE tenant_id = $1 AND endpoint_id = $2),
                written AS (
             INSERT INTO brakeline.endpoint_exposure VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             ON CONFLICT (tenant_id, endpoint_id) DO UPDATE SET assessed_at = $3, inventory_at = $4, advisories = $5,
               packages = $6, not_assessed = $7, cves = $8, carrier_cves = $9, kev = $10, fixable = $11, sources = $12)
           SELECT NOT EXISTS (SELECT FROM before
             WHERE (cves, carrier_cves, kev, fixable, not_assessed) = ($8::int, $9::int, $10::int, $11::int, $7::int))
        """,
        tenant_id, endpoint_id, _stamp(now_ms), _stamp(inventory_ms), advisories, counts.packages, counts.not_assessed,
        counts.cves, counts.carrier_cves, counts.kev, counts.fixable, len(counts.sources),
    )  # fmt: skip
    await _save_sources(conn, tenant_id, endpoint_id, counts, now_ms)
    return bool(changed)


async def _save_sources(conn: Connection, tenant_id: str, endpoint_id: str, counts: Counts, now_ms: int) -> None:
    names = sorted(counts.sources)
    await conn.execute(
        """UPDATE brakeline.endpoint_exposure_source SET resolved_at = $3
           WHERE endpoint_id = $1 AND resolved_at IS NULL AND NOT source = ANY ($2)""",
        endpoint_id, names, _stamp(now_ms),
    )  # fmt: skip
    await conn.execute(  # one that comes back begins anew
        """INSERT INTO brakeline.endpoint_exposure_source AS s
             SELECT $1, $2, x.source, x.version, x.cves, $3, NULL
             FROM unnest($4::text[], $5::text[], $6::int[]) AS x (source, version, cves)
           ON CONFLICT (tenant_id, endpoint_id, source) DO UPDATE SET version = excluded.version, cves = excluded.cves,
             first_seen = CASE WHEN s.resolved_at IS NULL THEN s.first_seen ELSE excluded.first_seen END,
             resolved_at = NULL
           WHERE (s.version, s.cves, s.resolved_at IS NULL) IS DISTINCT FROM (excluded.version, excluded.cves, true)""",
        tenant_id, endpoint_id, _stamp(now_ms), names, [counts.sources[n][0] for n in names],
        [counts.sources[n][1] for n in names],
    )  # fmt: skip


async def exposures(conn: Connection, endpoint_ids: Sequence[str] | None = None) -> dict[str, EndpointExposure]:
    """Counts by endpoint id; None = the whole tenant."""
    rows = await conn.fetch(
        """SELECT endpoint_id, assessed_at, inventory_at, advisories, packages, not_assessed, cves, carrier_cves, kev,
                  fixable, sources
           FROM brakeline.endpoint_exposure WHERE $1::text[] IS NULL OR endpoint_id = ANY ($1)""",
        None if endpoint_ids is None else list(endpoint_ids),
    )
    return {
        r["endpoint_id"]: EndpointExposure(
            r["endpoint_id"], _millis(r["assessed_at"]), _millis(r["inventory_at"]), *tuple(r)[3:]
        )
        for r in rows
    }


async def source_times(conn: Connection, endpoint_id: str) -> dict[str, SourceTimes]:
    """Open and resolved sources of one endpoint, by name."""
    rows = await conn.fetch(
        """SELECT source, version, cves, first_seen, resolved_at FROM brakeline.endpoint_exposure_source
           WHERE endpoint_id = $1 ORDER BY source""",
        endpoint_id,
    )
    return {
        r["source"]: SourceTimes(
            r["source"], r["version"], r["cves"], _millis(r["first_seen"]),
            None if r["resolved_at"] is None else _millis(r["resolved_at"]),
        )
        for r in rows
    }  # fmt: skip


async def oldest(conn: Connection) -> dict[str, int]:
    """Source -> since when it stands open on any endpoint of the tenant."""
    rows = await conn.fetch(
        """SELECT source, min(first_seen) AS since FROM brakeline.endpoint_exposure_source
           WHERE resolved_at IS NULL GROUP BY source"""
    )
    return {r["source"]: _millis(r["since"]) for r in rows}


def _stamp(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


def _millis(at: datetime) -> int:
    return round((at - _EPOCH) / timedelta(milliseconds=1))
