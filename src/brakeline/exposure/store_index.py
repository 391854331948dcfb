"""SQL of the packed index: values by id, a row per endpoint, what advisories did. Rows and bytes, nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from brakeline.exposure.news import ARRIVALS_MAX, Arrival
from brakeline.exposure.packed import digest_of
from brakeline.platform.database import Connection

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Value = tuple[str, str]  # kind, text
Found = dict[str, tuple[list[Any], list[int]]]  # by kind: values, and their ids


@dataclass(frozen=True, slots=True)
class Row:
    """One endpoint; ids are of `exposure_value`, packed."""

    endpoint_id: str
    inventory_ms: int
    rules: str
    packages: int
    missing: int
    lists_known: bool
    units: bytes
    offers: bytes
    gaps: bytes


async def values(conn: Connection) -> list[tuple[int, str, str]]:
    """Every value of the tenant: id, kind, text."""
    rows = await conn.fetch("SELECT value_id, kind, value FROM brakeline.exposure_value")
    return [(r[0], r[1], r[2]) for r in rows]


async def ids_of(conn: Connection, tenant_id: str, wanted: Sequence[Value]) -> dict[Value, int]:
    """Ids of these values; those that are new get one. `wanted` is sorted: two writers wait for each other in order."""
    digests = {digest_of(*value): value for value in wanted}
    await conn.execute(
        """INSERT INTO brakeline.exposure_value (tenant_id, kind, digest, value)
           SELECT $1, x.* FROM unnest($2::text[], $3::bytea[], $4::text[]) AS x
           ON CONFLICT (tenant_id, digest) DO NOTHING""",
        tenant_id, [kind for kind, _ in digests.values()], list(digests), [text for _, text in digests.values()],
    )  # fmt: skip
    rows = await conn.fetch(
        "SELECT value_id, digest FROM brakeline.exposure_value WHERE digest = ANY ($1::bytea[])", list(digests)
    )
    return {digests[r["digest"]]: r["value_id"] for r in rows}


async def rows(conn: Connection, endpoint_ids: Sequence[str] | None = None) -> list[Row]:
    """Rows of some endpoints, None = of all, by endpoint id."""
    found = await conn.fetch(
        """SELECT endpoint_id, (extract(epoch FROM inventory_at) * 1000)::bigint, rules, packages, missing, lists_known,
                  units, offers, gaps
           FROM brakeline.exposure_row WHERE $1::text[] IS NULL OR endpoint_id = ANY ($1) ORDER BY endpoint_id""",
        None if endpoint_ids is None else list(endpoint_ids),
    )
    return [Row(*r) for r in found]


async def stamps(conn: Connection) -> dict[str, tuple[int, str]]:
    """Of which inventory each row is, and by which rules."""
    found = await conn.fetch(
        "SELECT endpoint_id, (extract(epoch FROM inventory_at) * 1000)::bigint, rules FROM brakeline.exposure_row"
    )
    return {r[0]: (r[1], r[2]) for r in found}


async def set_rules(conn: Connection, before: str, rules: str) -> None:
    """Rows that the new rules judge as the old did."""
    await conn.execute("UPDATE brakeline.exposure_row SET rules = $2 WHERE rules = $1", before, rules)


async def save_rows(conn: Connection, tenant_id: str, rows: Sequence[Row]) -> None:
    """Write rows; one of an older inventory than what is there is left out."""
    await conn.execute(
        """INSERT INTO brakeline.exposure_row AS r
           SELECT $1, x.* FROM unnest($2::text[], $3::timestamptz[], $4::text[], $5::int[], $6::int[], $7::bool[],
                                      $8::bytea[], $9::bytea[], $10::bytea[]) AS x
           ON CONFLICT (tenant_id, endpoint_id) DO UPDATE SET inventory_at = excluded.inventory_at,
             rules = excluded.rules, packages = excluded.packages, missing = excluded.missing,
             lists_known = excluded.lists_known, units = excluded.units, offers = excluded.offers, gaps = excluded.gaps
           WHERE r.inventory_at <= excluded.inventory_at""",
        tenant_id, [r.endpoint_id for r in rows], [_stamp(r.inventory_ms) for r in rows], [r.rules for r in rows],
        [r.packages for r in rows], [r.missing for r in rows], [r.lists_known for r in rows],
        [r.units for r in rows], [r.offers for r in rows], [r.gaps for r in rows],
    )  # fmt: skip


async def still_true(conn: Connection, endpoint_ids: Sequence[str], before: str, advisories: str, now_ms: int) -> None:
    """Figures that new advisories did not change are of those advisories now."""
    await conn.execute(
        """UPDATE brakeline.endpoint_exposure SET advisories = $3, assessed_at = $4
           WHERE advisories = $2 AND endpoint_id = ANY ($1)""",
        list(endpoint_ids), before, advisories, _stamp(now_ms),
    )  # fmt: skip


async def standing(conn: Connection) -> Mapping[str, tuple[str, int]]:
    """endpoint id -> (advisories, time of the inventory) that its figures are of."""
    rows = await conn.fetch(
        """SELECT endpoint_id, advisories, (extract(epoch FROM inventory_at) * 1000)::bigint
           FROM brakeline.endpoint_exposure"""
    )
    return {r[0]: (r[1], r[2]) for r in rows}


async def save_arrivals(conn: Connection, tenant_id: str, arrivals: Sequence[Arrival]) -> frozenset[str]:
    """Write them; only the newest are kept. Gives the CVEs of those that nobody had written before."""
    written = await conn.fetch(
        """INSERT INTO brakeline.exposure_arrival
           SELECT $1, x.* FROM unnest($2::timestamptz[], $3::text[], $4::text[], $5::int[], $6::int[], $7::int[]) AS x
           ON CONFLICT (tenant_id, arrived_at, cve) DO NOTHING RETURNING cve""",
        tenant_id, [_stamp(a.at_ms) for a in arrivals], [a.cve for a in arrivals],
        [" ".join(a.sources) for a in arrivals], [a.opened for a in arrivals], [a.closed for a in arrivals],
        [a.patchable for a in arrivals],
    )  # fmt: skip
    await conn.execute(
        """DELETE FROM brakeline.exposure_arrival WHERE (arrived_at, cve) IN (
             SELECT arrived_at, cve FROM brakeline.exposure_arrival ORDER BY arrived_at DESC, cve OFFSET $1)""",
        ARRIVALS_MAX,
    )
    return frozenset(r["cve"] for r in written)


async def arrivals(conn: Connection, limit: int) -> list[Arrival]:
    """The newest first; of one moment those that opened most."""
    rows = await conn.fetch(
        """SELECT (extract(epoch FROM arrived_at) * 1000)::bigint, cve, sources, opened, closed, patchable
           FROM brakeline.exposure_arrival ORDER BY arrived_at DESC, opened DESC, closed DESC, cve LIMIT $1""",
        limit,
    )
    return [Arrival(r[0], r[1], tuple(r[2].split()), r[3], r[4], r[5]) for r in rows]


def _stamp(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)
