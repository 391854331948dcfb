"""SQL of EPSS and CVSS, and of what arrives by file or address. Rows <-> model, nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from brakeline.advisories.model import Epss, Severity
from brakeline.advisories.store import millis, stamp

if TYPE_CHECKING:
    from brakeline.platform.database import Connection

_NAMED = """SELECT cve FROM brakeline.advisory UNION SELECT id FROM brakeline.advisory_span
  UNION SELECT unnest(aliases) FROM brakeline.advisory_span UNION SELECT unnest(related) FROM brakeline.advisory_span"""
_GIVEN = "SELECT unnest($1::text[])"


@dataclass(frozen=True, slots=True)
class Arrived:
    """The last that came of a feed. `data` only while it is held; times are Unix milliseconds, 0 = never."""

    feed: str
    sha256: str
    origin: str
    address: str = ""
    etag: str = ""
    last_modified: str = ""
    asked_ms: int = 0
    arrived_ms: int = 0
    data: bytes | None = None
    day: str = ""  # of a file that does not say its own


async def replace_epss(conn: Connection, feed: str, rows: Iterable[Epss]) -> None:
    """All scores are those of `rows` afterwards."""
    records = [(r.cve, feed, r.score, r.percentile) for r in rows]
    await conn.execute("DELETE FROM brakeline.epss WHERE feed = $1", feed)
    columns = ["cve", "feed", "score", "percentile"]
    await conn.copy_records_to_table("epss", schema_name="brakeline", columns=columns, records=records)


async def replace_cvss(conn: Connection, feed: str, rows: Iterable[Severity]) -> None:
    """All severities of `feed` are those of `rows` afterwards."""
    records = [(feed, r.cve, r.vector, r.version, r.score, r.source) for r in rows]
    await conn.execute("DELETE FROM brakeline.cvss WHERE feed = $1", feed)
    columns = ["feed", "cve", "vector", "version", "score", "source"]
    await conn.copy_records_to_table("cvss", schema_name="brakeline", columns=columns, records=records)


async def likely(conn: Connection, bound: float) -> frozenset[str]:
    """CVEs whose probability is at least `bound`."""
    return frozenset(r["cve"] for r in await conn.fetch("SELECT cve FROM brakeline.epss WHERE score >= $1", bound))


async def severe(conn: Connection, bound: float) -> frozenset[str]:
    """CVEs that some feed gives at least this score."""
    rows = await conn.fetch("SELECT DISTINCT cve FROM brakeline.cvss WHERE score >= $1", bound)
    return frozenset(r["cve"] for r in rows)


async def epss_of_advisories(conn: Connection) -> dict[str, Epss]:
    """The scores of CVEs that some advisory names: of 300,000 the few that can stand open here."""
    return await _epss(conn, _NAMED)


async def epss_of(conn: Connection, cves: Iterable[str]) -> dict[str, Epss]:
    """The same of these CVEs."""
    return await _epss(conn, _GIVEN, list(cves))


async def cvss_of_advisories(conn: Connection) -> dict[str, Severity]:
    """The same for severities. Where several feeds speak: newest version of the standard, then the highest score."""
    return await _cvss(conn, _NAMED)


async def cvss_of(conn: Connection, cves: Iterable[str]) -> dict[str, Severity]:
    """The same of these CVEs."""
    return await _cvss(conn, _GIVEN, list(cves))


async def _epss(conn: Connection, named: str, *given: list[str]) -> dict[str, Epss]:
    rows = await conn.fetch(
        f"SELECT e.cve, e.score, e.percentile FROM brakeline.epss e WHERE e.cve IN ({named})",  # noqa: S608 -- our words
        *given,
    )
    return {r["cve"]: Epss(*r) for r in rows}


async def _cvss(conn: Connection, named: str, *given: list[str]) -> dict[str, Severity]:
    rows = await conn.fetch(
        f"""SELECT DISTINCT ON (c.cve) c.cve, c.vector, c.version, c.score, c.source FROM brakeline.cvss c
           WHERE c.cve IN ({named})
           ORDER BY c.cve, c.version DESC, c.score DESC, c.vector""",  # noqa: S608 -- our own words
        *given,
    )
    return {r["cve"]: Severity(*r) for r in rows}


async def save_arrival(conn: Connection, a: Arrived) -> None:
    await conn.execute(
        """INSERT INTO brakeline.feed_arrival
             (feed, sha256, data, origin, address, etag, last_modified, asked_at, arrived_at, day)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
           ON CONFLICT (feed) DO UPDATE SET sha256 = $2, data = $3, origin = $4, address = $5, etag = $6,
             last_modified = $7, asked_at = $8, arrived_at = $9, day = $10""",
        a.feed, a.sha256, a.data, a.origin, a.address, a.etag, a.last_modified, stamp(a.asked_ms),
        stamp(a.arrived_ms) if a.arrived_ms else None, a.day,
    )  # fmt: skip


async def drop_data(conn: Connection, feed: str, sha256: str) -> None:
    """It is live, or can never be: its bytes are no longer needed."""
    await conn.execute("UPDATE brakeline.feed_arrival SET data = NULL WHERE feed = $1 AND sha256 = $2", feed, sha256)


async def is_waiting(conn: Connection, feed: str) -> bool:
    """Whether content of it is held."""
    found = await conn.fetchval("SELECT data IS NOT NULL FROM brakeline.feed_arrival WHERE feed = $1", feed)
    return bool(found)


async def asked(conn: Connection, feed: str, now_ms: int) -> None:
    await conn.execute("UPDATE brakeline.feed_arrival SET asked_at = $2 WHERE feed = $1", feed, stamp(now_ms))


async def arrivals(conn: Connection, *, waiting: bool = False) -> list[Arrived]:
    """What came last of each feed; `waiting`: those that are held, with their bytes."""
    data = "data" if waiting else "NULL::bytea AS data"
    rows = await conn.fetch(
        f"""SELECT feed, sha256, origin, address, etag, last_modified, asked_at, arrived_at, day, {data}
            FROM brakeline.feed_arrival WHERE NOT $1 OR data IS NOT NULL ORDER BY feed""",  # noqa: S608 -- our own words
        waiting,
    )
    return [
        Arrived(
            r["feed"], r["sha256"], r["origin"], r["address"], r["etag"], r["last_modified"], millis(r["asked_at"]),
            millis(r["arrived_at"]) if r["arrived_at"] else 0, r["data"], r["day"],
        )
        for r in rows
    ]  # fmt: skip
