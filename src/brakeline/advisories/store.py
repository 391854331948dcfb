"""SQL of advisories, rows <-> model, nothing else. Reading takes the application's role, writing the feed's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from sys import intern
from typing import TYPE_CHECKING, Any

from brakeline.advisories.ecosystems import stored_key
from brakeline.advisories.model import Advisory, FeedState, KnownExploited

if TYPE_CHECKING:
    from brakeline.platform.database import Connection

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = [
    "feed", "ecosystem", "source", "cve", "introduced", "fixed", "introduced_key", "fixed_key",
    "state", "day", "urgency", "dist", "advisory_id", "aliases", "last_affected", "module", "reason",
]  # fmt: skip


async def replace_advisories(conn: Connection, feed: str, rows: Iterable[Advisory]) -> None:
    """All rows of `feed` are those of `rows` afterwards. Raises `BadVersion` before anything is written."""
    records = [_record(feed, row) for row in rows]
    await conn.execute("DELETE FROM brakeline.advisory WHERE feed = $1", feed)
    await conn.copy_records_to_table("advisory", schema_name="brakeline", columns=_COLUMNS, records=records)


def _record(feed: str, row: Advisory) -> tuple[Any, ...]:
    introduced_key = stored_key(row.ecosystem, row.introduced) or b""
    fixed_key = stored_key(row.ecosystem, row.fixed)
    return (
        feed, row.ecosystem, row.source, row.cve, row.introduced, row.fixed, introduced_key, fixed_key,
        row.state, row.date, row.urgency, row.dist, row.id, list(row.aliases), row.last_affected,
        row.module, row.reason,
    )  # fmt: skip


async def replace_kev(conn: Connection, feed: str, entries: Iterable[KnownExploited]) -> None:
    """All entries of the catalogue are those of `entries` afterwards."""
    columns = ["cve", "feed", "added", "due", "vendor", "product", "name", "ransomware"]
    records = [(e.cve, feed, e.added, e.due, e.vendor, e.product, e.name, e.ransomware) for e in entries]
    await conn.execute("DELETE FROM brakeline.kev WHERE feed = $1", feed)
    await conn.copy_records_to_table("kev", schema_name="brakeline", columns=columns, records=records)


async def save_feed(conn: Connection, state: FeedState) -> None:
    await conn.execute(
        """INSERT INTO brakeline.feed_state (feed, version, sha256, row_count, content_day, loaded_at, attempted_at,
             problem, limits, kind, issued, origin, tried)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
           ON CONFLICT (feed) DO UPDATE SET version = $2, sha256 = $3, row_count = $4, content_day = $5,
             loaded_at = $6, attempted_at = $7, problem = $8, limits = $9, kind = $10, issued = $11, origin = $12,
             tried = $13""",
        state.feed, state.version, state.sha256, state.rows, state.content_day, stamp(state.loaded_ms),
        stamp(state.attempted_ms), state.problem, state.limits, state.kind, state.issued, state.origin, state.tried,
    )  # fmt: skip


async def lock_feeds(conn: Connection) -> None:
    """One loader at a time, until the transaction ends: several server processes may start together."""
    await conn.execute("LOCK TABLE brakeline.feed_state IN SHARE ROW EXCLUSIVE MODE")


async def feeds(conn: Connection) -> tuple[FeedState, ...]:
    """Every feed that was ever tried, by name."""
    rows = await conn.fetch("SELECT * FROM brakeline.feed_state ORDER BY feed")
    return tuple(
        FeedState(
            r["feed"], r["version"], r["sha256"], r["row_count"], r["content_day"], millis(r["loaded_at"]),
            millis(r["attempted_at"]), r["problem"], r["limits"], r["kind"], r["issued"], r["origin"], r["tried"],
        )
        for r in rows
    )  # fmt: skip


_READ = """source, cve, fixed, day, urgency, dist, introduced, ecosystem, state, advisory_id, aliases,
             last_affected, module, reason"""
_ORDER = "ecosystem, source, cve, introduced, module, fixed"


async def advisories(conn: Connection) -> dict[str, list[Advisory]]:
    """Every row, by feed. Repeated texts are shared: 15,000 rows have 216 sources and 20 suites."""
    rows = await conn.fetch(f"SELECT feed, {_READ} FROM brakeline.advisory ORDER BY feed, {_ORDER}")  # noqa: S608
    found: dict[str, list[Advisory]] = {}
    for feed, *row in rows:
        found.setdefault(feed, []).append(_advisory(row))
    return found


async def advisories_of_feed(conn: Connection, feed: str) -> list[Advisory]:
    """The rows of one feed, as `advisories` has them."""
    rows = await conn.fetch(
        f"SELECT {_READ} FROM brakeline.advisory WHERE feed = $1 ORDER BY {_ORDER}",  # noqa: S608 -- our own words
        feed,
    )
    return list(map(_advisory, rows))


async def advisories_of(conn: Connection, cve: str) -> list[Advisory]:
    rows = await conn.fetch(
        """SELECT source, cve, fixed, day, urgency, dist, introduced, ecosystem, state, advisory_id, aliases,
             last_affected, module, reason
           FROM brakeline.advisory WHERE cve = $1 ORDER BY ecosystem, source, introduced, module, fixed""",
        cve,
    )
    return list(map(_advisory, rows))


def _advisory(r: Any) -> Advisory:
    source, cve, fixed, day, urgency, dist, introduced, ecosystem, state, advisory_id, aliases, last, module, why = r
    return Advisory(
        intern(source), intern(cve), intern(fixed), intern(day), intern(urgency), intern(dist), intern(introduced),
        intern(ecosystem), intern(state), advisory_id, tuple(aliases), intern(last), intern(module), intern(why),
    )  # fmt: skip


async def known_exploited(conn: Connection) -> Iterator[KnownExploited]:
    rows = await conn.fetch("SELECT cve, added, due, vendor, product, name, ransomware FROM brakeline.kev ORDER BY cve")
    return (KnownExploited(*r) for r in rows)


def stamp(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


def millis(at: datetime) -> int:
    return round((at - _EPOCH) / timedelta(milliseconds=1))
