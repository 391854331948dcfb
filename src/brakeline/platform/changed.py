"""The moment up to which everything that was committed has been seen, as a number of transactions.

Two ways to ask for rows written since: a column that a trigger fills (`xid8`, indexed; for tables that are written
rarely), or the row's own `xmin` (`WRITTEN_SINCE`; a scan, but it costs who writes nothing, so for tables that are
written every second). Both may give rows again that were seen already, and neither leaves one out.
"""

from __future__ import annotations

from typing import Final

from brakeline.platform.database import Connection

XID_BITS: Final = 32  # of xmin, which goes round; a row that is two thousand million transactions old is never new
# The parameter is `low(horizon)`. Ages are told from one transaction, so that a lap of the counter changes nothing.
WRITTEN_SINCE: Final = "age(xmin) <= (SELECT age({parameter}::text::xid))"


async def horizon(conn: Connection) -> int:
    """Ask before reading: every transaction below it is over, and seen by whatever is read afterwards."""
    text: str = await conn.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")
    return int(text)


def low(moment: int) -> str:
    """The part of it that a row's own `xmin` has."""
    return str(moment % (1 << XID_BITS))
