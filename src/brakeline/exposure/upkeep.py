"""Keeps exposure in step with inventories and advisories: the index in memory, counts and times in the database.

Invariants: an inventory's effect on the counts is committed before the event `finding:<tenant>` is published; every
step may run twice; the index holds no truth of its own. After a start it is opened from what was kept (`opening`), and
endpoints with newer inventories are judged anew. New advisories read no inventory: what moves is told by the index.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from pyroaring import BitMap

from brakeline.advisories.model import SCORES
from brakeline.advisories.service import Knowledge
from brakeline.core.days import DAY_MS
from brakeline.core.errors import Fault
from brakeline.exposure import store, store_index, store_values, telling
from brakeline.exposure.assessing import (
    PAGE_MAX,
    Assessing,
    as_installed,
    lists_known,
    release_ended,
    release_of,
    unprovided,
)
from brakeline.exposure.index import Exposed, Key, TenantIndex
from brakeline.exposure.match import Book
from brakeline.exposure.memo import Memo
from brakeline.exposure.news import arrivals, moved
from brakeline.exposure.opening import Kept
from brakeline.exposure.priority import INTERNET_TAG
from brakeline.exposure.snapshot import freeze, packed
from brakeline.platform.observe import logger

AT_ONCE_MAX: Final = 200  # endpoints that whoever looks waits for when advisories are new
COUNTED_AT_ONCE: Final = 50  # endpoints in one transaction: 0.1 s
SAME_AT_ONCE: Final = 5000
SNAPSHOT_EVERY_MS: Final = 5 * 60 * 1000
PRUNE_EVERY_MS: Final = DAY_MS
OLDEST_AGED_MS: Final = 10 * 60 * 1000  # what is made of it are days


class Upkeep(Assessing):
    """Base of `service.ExposureService`."""

    async def holders(self, tenant_id: str) -> Mapping[Key, BitMap]:
        """Who has what in a tenant's fleet, up to date."""
        await self._ensure(tenant_id)
        return self._index(tenant_id).holders

    async def counted_by(self, tenant_id: str, book: Book) -> tuple[TenantIndex, int] | None:
        """The index, up to date, and how many (endpoint, version, CVE) stand open by `book`; None = nobody has looked
        here yet, or these are not the advisories in use any more: then every unit is to be looked up."""
        if tenant_id not in self._exposed:
            return None
        await self._all(tenant_id)
        index, _, _, memo, _ = self._exposed[tenant_id]
        return (index, memo.states()) if memo.is_of(index, self._book) and self._book is book else None

    async def hear(self, tenants: Sequence[str]) -> str:
        """Content is live: what it did is written down and told in every fleet, before any figure is counted anew."""
        await self.knowledge()
        told, faults = 0, list[Fault]()
        for tenant_id in tenants:
            try:
                kept = await self._keep(tenant_id)
                if kept.moment or not kept.lacking:  # else `_ensure` reads the inventories first, and tells then
                    told += await self._tell(tenant_id, kept)
            except Fault as e:  # of one fleet; the others hear of it all the same
                faults.append(e)
        if faults:
            raise faults[0]
        return f"told in {told} of {len(tenants)} fleets"

    async def reconcile(self, tenants: Sequence[str]) -> str:
        """Assess every endpoint whose inventory or whose advisories are newer than its figures. Idempotent."""
        done = 0
        gone = self._kept.keys() - set(tenants)
        for tenant_id in gone & self._gone:  # one that has just come may not be in `tenants` yet
            del self._kept[tenant_id]
        self._gone = gone
        if self._snapshots is not None:
            await asyncio.to_thread(self._snapshots.keep, frozenset(tenants))
        for tenant_id in tenants:
            done += await self._ensure(tenant_id, whole=True)
            await self._write_down(tenant_id)
            await self._prune(tenant_id)
            looked_ms = self._oldest[tenant_id][0] if tenant_id in self._oldest else self._clock.now_ms()
            if self._clock.now_ms() - looked_ms >= OLDEST_AGED_MS:
                await self._look_at_oldest(tenant_id)
        return f"{done} endpoints assessed"

    async def _ensure(self, tenant_id: str, *, whole: bool = False) -> int:
        """Bring the index and the counts of a tenant up to date; gives how many endpoints were assessed.

        `whole`: look at every endpoint and count everything anew that new advisories moved. Else only at what was
        written since, and large fleets are counted by the next reconcile: whoever looks does not wait for it.
        """
        known, kept = await self.knowledge(), await self._keep(tenant_id)
        judged = await self._by_these_rules(tenant_id, kept)
        found, moment, everything = await self._fleet.inventoried(tenant_id, 0 if whole else kept.moment)
        if everything:
            kept.inventories, kept.internet, kept.roster = {}, set(), set()
        for one in found:
            kept.inventories.pop(one.endpoint_id, None)
            kept.internet.discard(one.endpoint_id)
            (kept.roster.discard if one.retired else kept.roster.add)(one.endpoint_id)
            if one.inventory_ms and not one.retired:
                kept.inventories[one.endpoint_id] = one.inventory_ms
                kept.internet |= {one.endpoint_id} if INTERNET_TAG in one.tags else set()
        index = kept.index
        looked = kept.inventories if everything else [one.endpoint_id for one in found]
        for endpoint_id in [one for one in (index.views if everything else looked) if one not in kept.inventories]:
            index.drop(endpoint_id)
        stale = [one for one in looked if (index.inventory_ms(one) or 0) < kept.inventories.get(one, 0)]
        for endpoint_id in stale:
            await self.on_inventory(tenant_id, endpoint_id)
        kept.moment = moment
        await self._tell(tenant_id, kept)
        if whole or (kept.counted != known.fingerprint and len(index.views) <= AT_ONCE_MAX):
            judged += await self._recount(tenant_id, kept, known)
        return judged + len(stale)

    async def _by_these_rules(self, tenant_id: str, kept: Kept) -> int:
        """Judge anew whom other ecosystems than before concern: what had no data, and what has none now."""
        text = self._rules()
        if kept.rules == text:
            return 0
        gaps = [one for one, gap in kept.index.gaps.living() if gap.code in ("no_data", "no_advisories")]
        known = self._book.ecosystems
        gone = [one for one, (unit, _) in kept.index.keys.living() if unit.ecosystem not in known]
        ids = kept.index.roll.ids
        suspects = [ids[n] for n in kept.index.gaps.union(gaps) | kept.index.keys.union(gone)]
        for endpoint_id in suspects:
            await self.on_inventory(tenant_id, endpoint_id)
        async with self._db.tenant(tenant_id) as conn:
            await store_index.set_rules(conn, kept.rules, text)
        kept.rules = text
        return len(suspects)

    async def _recount(self, tenant_id: str, kept: Kept, known: Knowledge) -> int:
        """Figures of older advisories, from the index: no inventory is read. Gives how many endpoints had such."""
        index, before = kept.index, self._before
        if self._known is not None and self._known.fingerprint != known.fingerprint:
            return 0  # newer ones have come meanwhile: the next run's
        async with self._db.tenant(tenant_id) as conn:
            standing = await store_index.standing(conn)
        none = ("", 0)
        stale = [
            one for one, ms in kept.inventories.items()
            if one in index.views and standing.get(one, none) != (known.fingerprint, ms)
        ]  # fmt: skip
        if stale and before is not None:
            news = moved(index, before[1], self._book)
            same = [
                one for one in stale
                if standing.get(one, none) == (before[0], kept.inventories[one])
                and index.roll.numbers[one] not in news.endpoints
            ]  # fmt: skip
            for some in batches(same, SAME_AT_ONCE):
                async with self._db.tenant(tenant_id) as conn:
                    await store_index.still_true(conn, some, before[0], known.fingerprint, self._clock.now_ms())
            done = frozenset(same)
        else:
            done = frozenset()
        for some in batches([one for one in stale if one not in done], COUNTED_AT_ONCE):
            async with self._db.tenant(tenant_id) as conn:
                changed = await self._save(conn, tenant_id, [index.view(one) for one in some], known)
            for endpoint_id in changed:
                await self._bus.publish(f"finding:{tenant_id}", endpoint_id)
        kept.counted = known.fingerprint
        return len(stale)

    async def _look_at_oldest(self, tenant_id: str) -> tuple[int, dict[str, int]]:
        """Since when each source stands open. What this process sees open from now on is added (`_save`), and what it
        has seen while this was asked stays."""
        before = self._oldest[tenant_id][1] if tenant_id in self._oldest else {}
        had = frozenset(before)
        async with self._db.tenant(tenant_id) as conn:
            found = await store.oldest(conn)
        meanwhile = {source: before[source] for source in before.keys() - had}
        looked = self._oldest[tenant_id] = (self._clock.now_ms(), meanwhile | found)
        return looked

    async def _tell(self, tenant_id: str, kept: Kept) -> bool:
        """Write down what new advisories did here, once, and tell whoever looks. Gives whether there were any.

        Their moment is the content's, so that two processes that both hear of it write the same lines.
        """
        async with kept.telling:
            before, book, known = kept.said, self._book, self._known
            if known is None or kept.told == known.scored:
                return False
            found = arrivals(moved(kept.index, before, book)) if before is not None and before is not book else []
            if found:
                at_ms = max(feed.loaded_ms for feed in known.feeds if feed.kind not in SCORES)
                async with self._db.tenant(tenant_id) as conn:
                    fresh = await store_index.save_arrivals(conn, tenant_id, [replace(a, at_ms=at_ms) for a in found])
                    await telling.tell_arrivals(conn, tenant_id, [a for a in found if a.cve in fresh], at_ms)
            kept.said, kept.told = book, known.scored
        await self._bus.publish(f"finding:{tenant_id}", "")  # also of scores: all stand in another order
        return True

    async def _prune(self, tenant_id: str) -> None:
        """Once a day: values that no endpoint has any more go, from the database and from this process's index."""
        kept, now_ms = self._kept[tenant_id], self._clock.now_ms()
        async with self._db.tenant(tenant_id) as conn:
            due = await store_values.is_due(conn, now_ms, PRUNE_EVERY_MS)
        if due:
            async with self._db.tenant(tenant_id) as conn:
                gone = await store_values.prune(conn, tenant_id, now_ms)
            if gone:
                logger.info("exposure-values-pruned", tenant_id=tenant_id, values=gone)
        if now_ms - kept.pruned_ms >= PRUNE_EVERY_MS:
            gone, kept.pruned_ms = kept.index.prune(), now_ms
            if gone:
                logger.info("exposure-index-pruned", tenant_id=tenant_id, values=gone)

    async def _write_down(self, tenant_id: str) -> None:
        """A snapshot, where the index changed since the last and that is long enough ago."""
        kept, now_ms = self._kept[tenant_id], self._clock.now_ms()
        unchanged = kept.snapshot_version == kept.index.version or not kept.index.views
        if self._snapshots is None or unchanged or now_ms - kept.snapshot_ms < SNAPSHOT_EVERY_MS:
            return
        frozen, version = freeze(kept.index), kept.index.version
        data = await asyncio.to_thread(packed, frozen, tenant_id, kept.rules, now_ms)
        try:
            await asyncio.to_thread(self._snapshots.write, tenant_id, data)
        except OSError as e:
            logger.warning("index-snapshot-not-written", tenant_id=tenant_id, reason=str(e))
            return
        kept.snapshot_version, kept.snapshot_ms = version, now_ms

    async def _all(self, tenant_id: str) -> tuple[Knowledge, dict[str, Exposed]]:
        """Every open CVE of a tenant, remembered until inventory or advisories change, and then but for what moved."""
        await self._ensure(tenant_id)
        known, index = await self.knowledge(), self._index(tenant_id)
        remembered = self._exposed.get(tenant_id)
        if remembered is None or remembered[0] is not index or remembered[1:3] != (index.version, known.fingerprint):
            memo = remembered[3] if remembered is not None and remembered[0] is index else Memo()
            remembered = (index, index.version, known.fingerprint, memo, memo.entries(index, self._book))
            self._exposed[tenant_id] = remembered
        return known, remembered[4]


def batches(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """`items` in pieces."""
    return (items[begun : begun + size] for begun in range(0, len(items), size))


__all__ = ["PAGE_MAX", "Upkeep", "as_installed", "batches", "lists_known", "release_ended", "release_of", "unprovided"]
