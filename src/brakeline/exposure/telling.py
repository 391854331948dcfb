"""Events of exposure: what an inventory has changed on an endpoint, as other programs want to know it.

`finding.exploited`: more that is known to be exploited stands open there than before. `finding.closed`: findings are
closed there, proven by the inventory. In the transaction that moves the counts, so each is told once.
`advisory.arrived`: what new advisories did in a fleet, by CVE, before any endpoint's figures follow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from brakeline.events import outbox
from brakeline.exposure import store
from brakeline.exposure.index import Counts
from brakeline.exposure.news import Arrival
from brakeline.exposure.times import Key, Span, Spread
from brakeline.platform.database import Connection

EXPLOITED = "finding.exploited"
CLOSED = "finding.closed"
ARRIVED = "advisory.arrived"
ARRIVALS_TOLD: Final = 20  # by name; the others are counted


async def exploited_before(conn: Connection, endpoint_id: str) -> int:
    """How many that are known to be exploited stood open there; 0 of an endpoint that was never assessed."""
    row = (await store.exposures(conn, [endpoint_id])).get(endpoint_id)
    return row.kev if row else 0


async def tell(
    conn: Connection, tenant_id: str, endpoint_id: str, kev_before: int, counts: Counts, gone: Mapping[Key, Spread],
    now_ms: int,
) -> None:  # fmt: skip
    if counts.kev > kev_before:
        data = {"exploited": counts.kev, "exploited_before": kev_before, "open": counts.cves}
        await outbox.emit(conn, tenant_id, EXPLOITED, endpoint_id, data, now_ms)
    closed = Counter[str]()
    for key, spread in gone.items():
        if key.span is Span.HERE:
            closed[f"{key.way.value}_{key.kind}"] += spread.total
    if closed:
        ring = next(iter(gone)).ring
        told: dict[str, Any] = {"closed": sum(closed.values()), "by": dict(closed), "ring": ring, "open": counts.cves}
        await outbox.emit(conn, tenant_id, CLOSED, endpoint_id, told, now_ms)


async def tell_arrivals(conn: Connection, tenant_id: str, found: Sequence[Arrival], at_ms: int) -> None:
    """One event for one change of advisories, those that concern most endpoints first; nothing without any."""
    if not found:
        return
    named = [
        {"cve": a.cve, "sources": list(a.sources), "opened": a.opened, "patchable": a.patchable, "closed": a.closed}
        for a in found[:ARRIVALS_TOLD]
    ]
    await outbox.emit(conn, tenant_id, ARRIVED, found[0].cve, {"cves": len(found), "named": named}, at_ms)
