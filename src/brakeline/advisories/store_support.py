"""SQL of releases and until when they are looked after. Rows <-> model, nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from brakeline.advisories.support import Release

if TYPE_CHECKING:
    from brakeline.platform.database import Connection

_COLUMNS: Final = ["product", "release", "label", "ended", "extended", "build"]


async def replace_support(conn: Connection, feed: str, rows: Iterable[Release]) -> None:
    """All releases of `feed` are those of `rows` afterwards."""
    await conn.execute("DELETE FROM brakeline.support_end WHERE feed = $1", feed)
    records = [(feed, *row) for row in rows]
    await conn.copy_records_to_table(
        "support_end", schema_name="brakeline", columns=["feed", *_COLUMNS], records=records
    )


async def releases_of(conn: Connection, products: Sequence[str]) -> list[Release]:
    """Every release of these products."""
    rows = await conn.fetch(
        f"SELECT {', '.join(_COLUMNS)} FROM brakeline.support_end WHERE product = ANY($1)",  # noqa: S608 -- our words
        list(products),
    )
    return [Release(*row) for row in rows]
