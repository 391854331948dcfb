"""SQL of closings and of the days of exposure, one organisation at a time. Rows <-> model, nothing else."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from brakeline.exposure.times import ExposureDay, Key, Span, Spread, Way
from brakeline.platform.database import Connection

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Standing:
    """A source that stands open on an endpoint, as it was written down last. `offered_ms` 0 = no fix is offered."""

    source: str
    version: str
    first_seen_ms: int
    offered_ms: int


async def standing(conn: Connection, endpoint_id: str) -> tuple[Standing, ...]:
    """Open sources of an endpoint, locked: of two who look at the same inventory only one finds the change."""
    rows = await conn.fetch(
        """SELECT source, version, first_seen, offered_at FROM brakeline.endpoint_exposure_source
           WHERE endpoint_id = $1 AND resolved_at IS NULL ORDER BY source FOR UPDATE""",
        endpoint_id,
    )
    return tuple(
        Standing(r["source"], r["version"], _millis(r["first_seen"]), _millis(r["offered_at"])) for r in rows
    )  # fmt: skip


async def set_offered(conn: Connection, endpoint_id: str, sources: Collection[str], now_ms: int) -> None:
    """Since when a fix is among the pending updates; forgotten where it is not any more."""
    await conn.execute(
        """UPDATE brakeline.endpoint_exposure_source
           SET offered_at = CASE WHEN source = ANY ($2) THEN $3::timestamptz END
           WHERE endpoint_id = $1 AND resolved_at IS NULL AND (offered_at IS NULL) = (source = ANY ($2))""",
        endpoint_id, sorted(sources), _stamp(now_ms),
    )  # fmt: skip


async def add(conn: Connection, tenant_id: str, day: str, more: Mapping[Key, Spread]) -> None:
    """Add to the histograms of a day, in one order for all, so that two never wait for each other."""
    for key, spread in sorted(more.items()):
        await conn.execute(
            """INSERT INTO brakeline.finding_closing AS c VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
               ON CONFLICT (tenant_id, day, kind, ring, way, span) DO UPDATE SET hours = c.hours + excluded.hours,
                 counts = ARRAY(SELECT a + b FROM unnest(c.counts, excluded.counts) WITH ORDINALITY AS x (a, b, i)
                                ORDER BY i)""",
            tenant_id, day, key.kind, key.ring, key.way.value, key.span.value, list(spread.counts), spread.hours,
        )  # fmt: skip


async def closings(conn: Connection, since: str) -> dict[Key, Spread]:
    """Histograms over all days from `since` on."""
    rows = await conn.fetch(
        "SELECT kind, ring, way, span, counts, hours FROM brakeline.finding_closing WHERE day >= $1", since
    )
    found: dict[Key, Spread] = {}
    for r in rows:
        key = Key(r["kind"], r["ring"], Way(r["way"]), Span(r["span"]))
        found[key] = found.get(key, Spread()).plus(Spread(tuple(r["counts"]), r["hours"]))
    return found


async def set_day(conn: Connection, tenant_id: str, line: ExposureDay, now_ms: int) -> bool:
    """Gives whether this day had no line yet."""
    new: bool = await conn.fetchval(
        """INSERT INTO brakeline.exposure_day VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
           ON CONFLICT (tenant_id, day) DO UPDATE SET endpoints = $3, assessed = $4, vulnerable = $5, cves = $6,
             kev = $7, overdue = $8, accepted = $9, looked_at = $10
           RETURNING xmax = 0""",
        tenant_id, line.day, line.endpoints, line.assessed, line.vulnerable, line.cves, line.kev, line.overdue,
        line.accepted, _stamp(now_ms),
    )  # fmt: skip
    return new


async def days(conn: Connection, since: str) -> tuple[ExposureDay, ...]:
    """Oldest first; a day on which nobody looked is missing."""
    rows = await conn.fetch(
        """SELECT day, endpoints, assessed, vulnerable, cves, kev, overdue, accepted FROM brakeline.exposure_day
           WHERE day >= $1 ORDER BY day""",
        since,
    )
    return tuple(ExposureDay(*tuple(r)) for r in rows)


async def forget_before(conn: Connection, day: str) -> None:
    await conn.execute("DELETE FROM brakeline.finding_closing WHERE day < $1", day)
    await conn.execute("DELETE FROM brakeline.exposure_day WHERE day < $1", day)


def _stamp(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


def _millis(at: datetime | None) -> int:
    return round((at - _EPOCH) / timedelta(milliseconds=1)) if at is not None else 0
