"""Opens a tenant's index: from its snapshot, else from packed rows, else empty, to be filled from inventories.

Invariants: whatever was kept is compared with the database before anybody reads it; a row of other rules or another
inventory than the database's is left out; a snapshot that cannot be used is refused with the reason, dropped, and the
index made of rows: nothing is ever half believed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from brakeline.exposure import store_index, store_values
from brakeline.exposure.index import TenantIndex
from brakeline.exposure.match import Book
from brakeline.exposure.packed import Damaged
from brakeline.exposure.packing import Codes, index_of
from brakeline.exposure.snapshot import unpacked
from brakeline.exposure.snapshot_files import SnapshotFiles
from brakeline.platform.database import Database
from brakeline.platform.observe import logger

SNAPSHOT, DATABASE, INVENTORIES = "snapshot", "database", "inventories"


@dataclass(slots=True)
class Kept:
    """What one process keeps of one tenant."""

    index: TenantIndex
    codes: Codes
    rules: str
    origin: str  # snapshot | database | inventories
    refused: str = ""  # why the snapshot was not used
    lacking: bool = False  # rows of other rules, or damaged, were left out: these inventories are yet to be read
    moment: int = 0  # up to which inventories were seen (`platform.changed`)
    inventories: dict[str, int] = field(default_factory=dict)  # endpoint -> time of its newest
    roster: set[str] = field(default_factory=set)  # endpoints that are not retired, with an inventory or without
    internet: set[str] = field(default_factory=set)  # endpoints that are tagged so
    counted: str = ""  # advisories that every figure in the database is of
    told: str = ""  # advisories and scores of which was told what they did here
    said: Book | None = None  # the same advisories, to compare newer ones with
    telling: asyncio.Lock = field(default_factory=asyncio.Lock)  # of two that hear at once, one writes it down
    snapshot_version: int = -1  # of the index, when it was last written down
    snapshot_ms: int = 0
    pruned_ms: int = 0  # when the index last gave up what nobody has


async def opened(db: Database, tenant_id: str, rules: str, files: SnapshotFiles | None) -> Kept:
    """The index as it can be had soonest."""
    refused, snapshot, made_ms = "", None, 0
    data = await asyncio.to_thread(files.read, tenant_id) if files else None
    if data is not None and files is not None:
        try:
            snapshot, made_ms = await asyncio.to_thread(unpacked, data, tenant_id, rules)
        except Damaged as e:
            refused = str(e)
            logger.warning("index-snapshot-refused", tenant_id=tenant_id, reason=refused)
            await asyncio.to_thread(files.drop, tenant_id)
    codes, fresh, wanted = Codes(), set[str](), None
    async with db.tenant(tenant_id) as conn:  # only read: what is worked out meanwhile would hold the transaction open
        codes.times = await store_values.share(conn)
        values = await store_index.values(conn)
        if snapshot is not None:
            stamps = await store_index.stamps(conn)
            fresh = {one for one, stamp in stamps.items() if stamp == (snapshot.inventory_ms(one), rules)}
            wanted = [one for one in stamps if one not in fresh]
        kept = await store_index.rows(conn, wanted)
    rows = [row for row in kept if row.rules == rules]
    lacking = len(rows) < len(kept)
    try:
        found = await asyncio.to_thread(codes.load, values)
        index = await asyncio.to_thread(index_of, found, rows)
    except Damaged as e:
        logger.warning("index-rows-refused", tenant_id=tenant_id, reason=str(e))
        return Kept(TenantIndex(), Codes(), rules, INVENTORIES, refused or str(e), lacking=True)
    if snapshot is None:
        return Kept(index, codes, rules, DATABASE if rows else INVENTORIES, refused, lacking)
    _catch_up(snapshot, fresh, index)
    return Kept(
        snapshot, codes, rules, SNAPSHOT, lacking=lacking, snapshot_ms=made_ms, snapshot_version=snapshot.version
    )


def _catch_up(index: TenantIndex, fresh: set[str], newer: TenantIndex) -> None:
    """Make the index of a snapshot what the database's rows say by now: `fresh` are the same there."""
    for endpoint_id in [one for one in index.roll.numbers if one not in fresh]:
        index.drop(endpoint_id)
    for endpoint_id in newer.roll.numbers:
        index.put(newer.view(endpoint_id))
