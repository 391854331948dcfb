"""SQL of filters that are followed, and of their days, one organisation at a time. Rows <-> model, nothing else."""

from __future__ import annotations

from typing import Final

from brakeline.exposure.times import ExposureDay, Followed
from brakeline.platform.database import Connection

_HOLD: Final = "SELECT pg_advisory_xact_lock(hashtextextended('brakeline.followed:' || brakeline.current_tenant(), 0))"


async def followed(conn: Connection) -> tuple[Followed, ...]:
    """In the order in which they began."""
    rows = await conn.fetch("SELECT query, since, by_name FROM brakeline.exposure_followed ORDER BY since, query")
    return tuple(Followed(*tuple(r)) for r in rows)


async def hold(conn: Connection) -> None:
    """One at a time counts those of its organisation and adds to them, until its transaction ends."""
    await conn.execute(_HOLD)


async def add(conn: Connection, tenant_id: str, one: Followed) -> None:
    """What is not followed yet; whoever adds holds (`hold`)."""
    await conn.execute(
        "INSERT INTO brakeline.exposure_followed VALUES ($1, $2, $3, $4)", tenant_id, one.query, one.since, one.by
    )


async def remove(conn: Connection, query: str) -> bool:
    """Its days stay as long as any. False = nobody follows it."""
    done: str = await conn.execute("DELETE FROM brakeline.exposure_followed WHERE query = $1", query)
    return done.endswith(" 1")


async def set_day(conn: Connection, tenant_id: str, query: str, line: ExposureDay) -> None:
    """Write the line of a day anew; nothing where nobody follows it any more."""
    await conn.execute(
        """INSERT INTO brakeline.exposure_followed_day
           SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
           WHERE EXISTS (SELECT FROM brakeline.exposure_followed WHERE query = $2)
           ON CONFLICT (tenant_id, query, day) DO UPDATE SET endpoints = $4, assessed = $5, vulnerable = $6, cves = $7,
             kev = $8, overdue = $9, accepted = $10""",
        tenant_id, query, *line,
    )  # fmt: skip


async def days(conn: Connection, query: str, since: str) -> tuple[ExposureDay, ...]:
    """Oldest first; a day on which nobody looked is missing."""
    rows = await conn.fetch(
        """SELECT day, endpoints, assessed, vulnerable, cves, kev, overdue, accepted
           FROM brakeline.exposure_followed_day WHERE query = $1 AND day >= $2 ORDER BY day""",
        query, since,
    )  # fmt: skip
    return tuple(ExposureDay(*tuple(r)) for r in rows)


async def forget_before(conn: Connection, day: str) -> None:
    await conn.execute("DELETE FROM brakeline.exposure_followed_day WHERE day < $1", day)
