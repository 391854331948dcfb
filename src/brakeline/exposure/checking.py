"""The index compares itself with the database, a random sample at a time, for as long as the server runs.

Each round judges the inventories of some endpoints anew, as the database has them now, and compares everything that the
index says of them: units, offers, gaps, figures, and that each bitmap has them and no other has. It also compares some
units' bitmaps with all rows, figures over all CVEs with the same made whole (`sums`), and advisories with a whole
reading (`proving`). A difference is told (log, metric, `IndexStatus`) and mended by recomputing that part. A round that
cannot be made leaves the last one's age to be seen; nothing is called checked that was not.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from prometheus_client import Counter

from brakeline.core.errors import NotFound
from brakeline.exposure import store, store_index
from brakeline.exposure.index import EndpointView, Exposed, TenantIndex, counts_of
from brakeline.exposure.news import Arrival
from brakeline.exposure.opening import Kept
from brakeline.exposure.postings import Postings
from brakeline.exposure.proving import Proving
from brakeline.exposure.standing import everywhere
from brakeline.exposure.sums import Sums
from brakeline.platform.observe import REGISTRY, logger
from brakeline.tenancy.model import Principal

ENDPOINTS_A_ROUND: Final = 20  # judged anew: 0.3 s of a CPU
UNITS_A_ROUND: Final = 50
WEIGHED_EVERY_MS: Final = 60 * 1000
ARRIVALS_SHOWN: Final = 50
CHECKED = Counter("brakeline_exposure_index_checked", "Compared with the database", ["what"], registry=REGISTRY)
DIFFERENCES = Counter(
    "brakeline_exposure_index_differences", "What the index said otherwise than the database, and was mended", ["what"],
    registry=REGISTRY,
)  # fmt: skip


@dataclass(slots=True)
class Checks:
    """What the checks of one tenant came to since the server started."""

    rounds: int = 0
    endpoints: int = 0
    units: int = 0
    differences: int = 0
    last_ms: int = 0
    last_difference: str = ""
    last_difference_ms: int = 0


class Sizes(NamedTuple):
    """How large an index is, as it was counted last."""

    of: TenantIndex
    version: int
    units: int
    rows: int
    bytes: int
    weighed_ms: int  # when its bytes were counted


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """The index of one organisation: how large, where it came from, what its checks found, what advisories did."""

    endpoints: int
    units: int  # distinct (package, version), of all that are installed anywhere
    rows: int  # endpoints x their units
    bytes: int  # of the bitmaps, as of a minute ago at most
    origin: str  # snapshot | database | inventories
    refused: str  # why a snapshot was not used
    snapshot_ms: int  # 0 = none was written or loaded
    rounds: int
    checked_endpoints: int
    checked_units: int
    differences: int
    last_check_ms: int
    last_difference: str
    last_difference_ms: int
    arrivals: tuple[Arrival, ...]
    advisories: str  # how they were read, and whether that was proven


class Checking(Proving):
    """Base of `ranking.Ranking`."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._checks: dict[str, Checks] = {}
        self._sizes: dict[str, Sizes] = {}

    async def check(self, tenant_id: str, draw: random.Random) -> str:
        """One round; says what it came to."""
        await self._ensure(tenant_id)
        kept, checks = self._kept[tenant_id], self._checks.setdefault(tenant_id, Checks())
        known = sorted(kept.inventories.keys() | kept.index.roll.numbers.keys())
        chosen = draw.sample(known, min(ENDPOINTS_A_ROUND, len(known)))
        found = await self.prove()
        DIFFERENCES.labels("advisories").inc(len(found))
        found += [text for one in chosen for text in await self._check_endpoint(tenant_id, kept, one)]
        found += self._check_units(kept.index, draw, checks)
        found += await self._check_sums(tenant_id)
        checks.rounds, checks.last_ms = checks.rounds + 1, self._clock.now_ms()
        checks.endpoints += len(chosen)
        CHECKED.labels("endpoint").inc(len(chosen))
        for text in found:
            checks.differences, checks.last_difference, checks.last_difference_ms = (
                checks.differences + 1, text, checks.last_ms
            )  # fmt: skip
            logger.warning("index-differs", tenant_id=tenant_id, difference=text)
        return f"{len(chosen)} endpoints compared, {len(found)} differences, mended"

    async def _check_endpoint(self, tenant_id: str, kept: Kept, endpoint_id: str) -> list[str]:
        """What the index says otherwise of one endpoint; mended when this returns."""
        try:
            truth = await self._view(tenant_id, endpoint_id)
        except NotFound:
            truth = None
        index, now = kept.index, kept.index.inventory_ms(endpoint_id)
        if truth is not None and endpoint_id in kept.inventories:
            if (now or 0) > truth.inventory_ms or truth.inventory_ms > kept.inventories[endpoint_id]:
                return []  # a newer inventory has come meanwhile: another round's
            found = [f"{endpoint_id}: {text}" for text in differences(index, truth)]
        else:
            found = [f"{endpoint_id}: gone, and still in the index"] if now is not None else []
        if found:
            DIFFERENCES.labels("endpoint").inc(len(found))
            index.drop(endpoint_id)
            strays = _sweep(index)
            if truth is not None and endpoint_id in kept.inventories:
                await self.on_inventory(tenant_id, endpoint_id)
            logger.info("index-mended", endpoint_id=endpoint_id, strays=strays)
        elif truth is not None:
            found = await self._check_figures(tenant_id, truth)
        return found

    async def _check_figures(self, tenant_id: str, truth: EndpointView) -> list[str]:
        """Figures that were committed, of these advisories and this inventory, against what they should be."""
        known = await self.knowledge()
        async with self._db.tenant(tenant_id) as conn:
            stored = (await store.exposures(conn, [truth.endpoint_id])).get(truth.endpoint_id)
        if stored is None or (stored.advisories, stored.inventory_ms) != (known.fingerprint, truth.inventory_ms):
            return []  # counted anew by the next reconcile anyway
        c = counts_of(truth, self._book)
        wanted = (c.packages, c.not_assessed, c.cves, c.carrier_cves, c.kev, c.fixable, len(c.sources))
        said = (stored.packages, stored.not_assessed, stored.cves, stored.carrier_cves, stored.kev, stored.fixable,
                stored.sources)  # fmt: skip
        if wanted == said:
            return []
        DIFFERENCES.labels("figures").inc()
        await self.on_inventory(tenant_id, truth.endpoint_id)
        return [f"{truth.endpoint_id}: figures {said}, should be {wanted}"]

    def _check_units(self, index: TenantIndex, draw: random.Random, checks: Checks) -> list[str]:
        """Some bitmaps against all rows."""
        found = []
        for kind, postings in _postings(index):
            living = [one for one, _ in postings.living()]
            ids = draw.sample(living, min(UNITS_A_ROUND, len(living)))
            checks.units += len(ids)
            CHECKED.labels(kind).inc(len(ids))
            for one in postings.unlike(ids) if ids else ():
                DIFFERENCES.labels(kind).inc()
                found.append(f"{kind} {postings.values[one]!s:.120}: its endpoints are not those of the rows")
                postings.mend(one)
                index.version += 1
        return found

    async def _check_sums(self, tenant_id: str) -> list[str]:
        """Figures over all CVEs, and the order of their list, against the same made whole; given up if they differ."""
        found = ["figures of the fleet: not those of its endpoints"] if self._index(tenant_id).recount() else []
        sums, exposed = self._sums.get(tenant_id), self._exposed.get(tenant_id)
        if sums is not None and exposed is not None:  # else they are made whole by whoever looks first
            memo, entries = exposed[3], exposed[4]
            wrong = await asyncio.to_thread(_compared, sums.copy(), memo.vulnerable(), entries)
            if wrong and self._sums.get(tenant_id) is sums:
                del self._sums[tenant_id], self._exposed[tenant_id]
            found += wrong
        CHECKED.labels("sums").inc()
        DIFFERENCES.labels("sums").inc(len(found))
        return found

    async def index_status(self, principal: Principal) -> IndexStatus:
        """The index of this organisation, and what its checks found."""
        principal.require("exposure.read")
        tenant_id = principal.tenant_id
        await self._ensure(tenant_id)
        return self._status(tenant_id, await self.arrivals(principal))

    def _status(self, tenant_id: str, arrivals: tuple[Arrival, ...]) -> IndexStatus:
        kept, checks = self._kept[tenant_id], self._checks.get(tenant_id, Checks())
        index = kept.index
        sizes = self._size(tenant_id, index)
        return IndexStatus(
            len(index.views), sizes.units, sizes.rows, sizes.bytes, kept.origin, kept.refused, kept.snapshot_ms,
            checks.rounds, checks.endpoints, checks.units, checks.differences, checks.last_ms, checks.last_difference,
            checks.last_difference_ms, arrivals, self.advisories_read(),
        )  # fmt: skip

    async def arrivals(self, principal: Principal) -> tuple[Arrival, ...]:
        """What the newest advisories did here, the newest first."""
        principal.require("exposure.read")
        async with self._db.tenant(principal.tenant_id) as conn:
            return tuple(await store_index.arrivals(conn, ARRIVALS_SHOWN))

    def _size(self, tenant_id: str, index: TenantIndex) -> Sizes:
        """Counted anew where the index moved; its bytes, which cost most, once a minute at most."""
        known, now_ms = self._sizes.get(tenant_id), self._clock.now_ms()
        if known is None or known.of is not index or known.version != index.version:
            units, rows = sum(map(bool, index.keys.maps)), sum(map(len, index.keys.maps))
            if known is None or known.of is not index or now_ms - known.weighed_ms >= WEIGHED_EVERY_MS:
                size, weighed_ms = sum(postings.size() for _, postings in _postings(index)), now_ms
            else:
                size, weighed_ms = known.bytes, known.weighed_ms
            known = self._sizes[tenant_id] = Sizes(index, index.version, units, rows, size, weighed_ms)
        return known


def differences(index: TenantIndex, truth: EndpointView) -> list[str]:
    """What the index says otherwise of one endpoint than its inventory, in words. Pure."""
    number = index.roll.numbers.get(truth.endpoint_id)
    if number is None:
        return ["not in the index"]
    said, found = index.view(truth.endpoint_id), []
    if said.keys != truth.keys:
        found.append(f"{len(said.keys - truth.keys)} units too many, {len(truth.keys - said.keys)} missing")
    if said.offered != truth.offered:
        found.append("other updates on offer")
    if frozenset(said.not_assessed) != frozenset(truth.not_assessed):
        found.append("others not assessed")
    if (said.packages, said.missing, said.lists_known) != (truth.packages, truth.missing, truth.lists_known):
        found.append("other figures")
    for kind, postings in _postings(index):
        row = set(postings.of(number))
        pairs = zip(postings.values, postings.maps, strict=True)
        strays = sum((number in held) != (value in row) for value, held in pairs)
        if strays:
            found.append(f"{strays} bitmaps of {kind}s that are not what its row says")
    return found


def _compared(sums: Sums, vulnerable: int, entries: Mapping[str, Exposed]) -> list[str]:
    found = [f"figures of all CVEs: {text}" for text in sums.unlike(sums.again())]
    right = everywhere([entry for entry in entries.values() if entry.endpoints])
    return [*found, *([f"vulnerable endpoints: {vulnerable}, should be {right}"] if vulnerable != right else [])]


def _sweep(index: TenantIndex) -> int:
    """Take endpoints that are gone out of every bitmap; gives of how many bitmaps."""
    gone = 0
    for _, postings in _postings(index):
        for one, held in enumerate(postings.maps):
            if not held.issubset(index.present):  # never what was given up, which is empty
                gone += 1
                postings.maps[one] = held & index.present
                postings.moved.add(one)
    return gone


def _postings(index: TenantIndex) -> tuple[tuple[str, Postings[Any]], ...]:
    return ("unit", index.keys), ("offer", index.offers), ("gap", index.gaps)
