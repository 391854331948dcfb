"""Proves that advisories which were read feed by feed are what they would be, read whole; and mends them if not.

Invariants: after each revision the whole of it is read once more, beside everybody's work and within a round of the
index's checks, and compared row by row and name by name; a difference is told as those of the index are (log, metric,
`IndexStatus`) and the whole reading takes the place of what stood in memory, in every fleet: what it moves is told, and
figures of those whom it concerns are counted anew. Where it cannot be read, nothing is called proven.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from brakeline.advisories.by_feed import differing
from brakeline.advisories.service import Knowledge
from brakeline.exposure.books import book_of, sheaf_of
from brakeline.exposure.match import Book
from brakeline.exposure.news import moved
from brakeline.exposure.upkeep import COUNTED_AT_ONCE, Upkeep, batches

NAMED_MAX: Final = 5  # packages that a difference names
WHOLE: Final = "all feeds were read together"
UNPROVEN: Final = "a feed that changed was read alone; it is compared with a whole reading within a minute or two"
PROVEN: Final = "feeds that changed were read alone, and compared with a whole reading since"


class Proving(Upkeep):
    """Base of `checking.Checking`."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._proven = False  # whether any revision was compared since the advisories were last read whole

    def advisories_read(self) -> str:
        """How the advisories in memory were read, in one sentence."""
        if self.unproven:
            return UNPROVEN
        return PROVEN if self._proven else WHOLE

    async def prove(self) -> list[str]:
        """What the advisories in memory said otherwise than a whole reading; mended when this returns."""
        if not self.unproven:
            return []
        known = await self.knowledge()
        book, whole = self._book, await self._advisories.knowledge()
        if whole.scored != known.scored:
            return []  # newer ones have come meanwhile: the next round's
        found, right = await asyncio.to_thread(_compared, known, book, whole)
        async with self._reading:
            if self._book is not book:
                return []
            self.unproven, self._proven = False, not found
            if found:
                await self._mend(whole, right)
        return found

    async def _mend(self, whole: Knowledge, right: Book) -> None:
        wrong, self._book, self._known, self._before = self._book, right, whole, None
        self._sheaves = {feed: sheaf_of(rows) for feed, rows in whole.by_feed.items()}
        self._weighed = None
        for remembered in (self._exposed, self._ranks, self._marks, self._sums):
            remembered.clear()
        for tenant_id, kept in list(self._kept.items()):
            kept.told, ids = "", kept.index.roll.ids  # what it moves is told by the next look
            concerned = [ids[n] for n in moved(kept.index, wrong, right).endpoints]
            for some in batches(concerned, COUNTED_AT_ONCE):
                async with self._db.tenant(tenant_id) as conn:
                    changed = await self._save(conn, tenant_id, [kept.index.view(one) for one in some], whole)
                for endpoint_id in changed:
                    await self._bus.publish(f"finding:{tenant_id}", endpoint_id)


def _compared(known: Knowledge, book: Book, whole: Knowledge) -> tuple[list[str], Book]:
    """What differs, in words, and the book of the whole reading."""
    kev = frozenset(whole.exploited)
    right = book_of({feed: sheaf_of(rows) for feed, rows in whole.by_feed.items()}, kev)
    found = [f"advisories of {feed}: not what is stored" for feed in differing(known.by_feed, whole.by_feed)]
    names = sorted(right.differing(book))
    if names:
        shown = ", ".join(f"{ecosystem} {name}" for ecosystem, name in names[:NAMED_MAX])
        found.append(f"advisories of {len(names)} packages ({shown}): not what all feeds say of them")
    if kev != book.kev:
        found.append(f"{len(kev ^ book.kev)} CVEs: marked as exploited, or not, otherwise than stored")
    if book.ecosystems != right.ecosystems:
        found.append(f"{len(book.ecosystems ^ right.ecosystems)} systems: known, or not, otherwise than stored")
    scores = (known.epss, known.cvss) != (whole.epss, whole.cvss)
    return [*found, *(["scores: not what is stored"] if scores else [])], right
