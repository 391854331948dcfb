"""SQL of OSV rows, rows <-> model, nothing else. Reading takes the application's role, writing the feed's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from sys import intern
from typing import TYPE_CHECKING, Any, Final

from brakeline.advisories.osv.model import Span

if TYPE_CHECKING:
    from brakeline.platform.database import Connection

_COLUMNS: Final = [
    "ecosystem", "name", "id", "part", "introduced", "fixed", "last_affected", "versions", "aliases", "state",
    "severity", "published", "modified", "withdrawn", "module", "summary", "related", "reason",
]  # fmt: skip


async def replace_spans(conn: Connection, feed: str, rows: Iterable[Span]) -> None:
    """All rows of `feed` are those of `rows` afterwards."""
    await conn.execute("DELETE FROM brakeline.advisory_span WHERE feed = $1", feed)
    records = [
        (feed, *row[:7], list(row.versions), list(row.aliases), *row[9:-2], list(row.related), row.reason)
        for row in rows
    ]
    await conn.copy_records_to_table(
        "advisory_span", schema_name="brakeline", columns=["feed", *_COLUMNS], records=records
    )


async def spans_of(conn: Connection, ecosystem: str, name: str) -> list[Span]:
    """Rows of one package, by id; without a release in `ecosystem`, of all releases."""
    rows = await conn.fetch(
        f"""SELECT {", ".join(_COLUMNS)} FROM brakeline.advisory_span
            WHERE name = $2 AND (ecosystem = $1 OR starts_with(ecosystem, $1 || ':'))
            ORDER BY id, ecosystem, feed, part""",  # noqa: S608  # names of columns, from above
        ecosystem, name,
    )  # fmt: skip
    return list(map(_span, rows))


AT_ONCE: Final = 2_000  # rows read without giving way: some 25 ms
_MATCHED: Final = """SELECT ecosystem, name, id, part, introduced, fixed, last_affected, versions, aliases, state,
    published, withdrawn, module, related, reason FROM brakeline.advisory_span"""


async def matched(conn: Connection, feed: str | None = None) -> dict[str, list[Span]]:
    """Every row by feed, as a match needs it; `feed`: of that one alone. Repeated texts are shared: one advisory names
    500 packages.

    Read a few at a time, because a registry's hundred thousands take seconds and others want to be served meanwhile.
    """
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}
    found: dict[str, list[Span]] = {}
    query, given = _MATCHED.replace("SELECT", "SELECT feed,", 1), () if feed is None else (feed,)
    query += "" if feed is None else " WHERE feed = $1"
    cursor = await conn.cursor(f"{query} ORDER BY feed, ecosystem, name, id, part", *given)
    while rows := await cursor.fetch(AT_ONCE):
        for name, *row in rows:
            found.setdefault(name, []).append(_slim(row, shared))
    return found


async def spans_naming(conn: Connection, name: str) -> list[Span]:
    """Rows that name a CVE, or are of the advisory with this id."""
    query = (
        f"{_MATCHED} WHERE aliases @> ARRAY[$1] OR related @> ARRAY[$1] OR id = $1 ORDER BY ecosystem, name, id, part"
    )
    return [_slim(r, {}) for r in await conn.fetch(query, name)]


def _slim(r: Any, shared: dict[tuple[str, ...], tuple[str, ...]]) -> Span:
    ecosystem, name, id_, part, introduced, fixed, last, *lists, state, published, withdrawn, module, related, why = r
    versions, aliases, others = (shared.setdefault(each, each) for each in map(tuple, (*lists, related)))
    return Span(
        intern(ecosystem), intern(name), intern(id_), part, intern(introduced), intern(fixed), intern(last), versions,
        aliases, intern(state), "", intern(published), "", intern(withdrawn), intern(module), "", others, intern(why),
    )  # fmt: skip


async def speaks_of(conn: Connection, feeds: Sequence[str], ecosystem: str) -> bool:
    """Whether any of these feeds has a row of this ecosystem and release."""
    query = "SELECT EXISTS (SELECT FROM brakeline.advisory_span WHERE feed = ANY($1) AND ecosystem = $2)"
    return bool(await conn.fetchval(query, list(feeds), ecosystem))


async def names_of(conn: Connection, ecosystem: str) -> list[str]:
    """The packages of an ecosystem that any feed names."""
    query = "SELECT DISTINCT name FROM brakeline.advisory_span WHERE ecosystem = $1 ORDER BY name"
    return [row["name"] for row in await conn.fetch(query, ecosystem)]


async def spans_of_feed(conn: Connection, feed: str) -> list[Span]:
    """Every row of a feed, in the order that a bundle has them."""
    rows = await conn.fetch(
        f"""SELECT {", ".join(_COLUMNS)} FROM brakeline.advisory_span WHERE feed = $1
            ORDER BY ecosystem, name, id, part""",  # noqa: S608
        feed,
    )
    return list(map(_span, rows))


def _span(r: Any) -> Span:
    said = tuple(r)
    return Span._make((*said[:7], tuple(said[7]), tuple(said[8]), *said[9:-2], tuple(said[-2]), said[-1]))
