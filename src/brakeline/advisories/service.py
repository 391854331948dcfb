"""Use cases of advisories: load the seed, say what is known and how old it is, give the rows to exposure.

Invariants: loading is idempotent (a feed whose bytes are loaded already is left alone) and happens under the feed's
role in one transaction per feed; whatever is wrong with new content (not the bytes of the manifest, garbled, or most
of it gone) is recorded as the feed's `problem`, and the last good content stays. So it is with content that would flip
more findings than is allowed: the `gate` (`exposure.holding`) weighs it before it is live.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from brakeline.advisories import importers, seed, store
from brakeline.advisories.importers import BadFeed
from brakeline.advisories.model import Advisory, FeedState, KnownExploited
from brakeline.core.clock import Clock
from brakeline.core.errors import Invalid
from brakeline.platform.database import Connection, Database

SHRINK_MAX = 0.5  # a new version of a feed that lost more than half of its rows is a broken feed, not good news


class Held(Invalid):
    """The content waits before it is live; the last good content stays."""

    code = "content-held"


class Gate(Protocol):
    """Weighs new content against fleets (`exposure.holding.Holding`)."""

    async def weigh(
        self, feed: str, sha256: str, version: str, rows: list[Advisory], kev: frozenset[str], *, catalogue: bool
    ) -> str: ...
    async def live(self, feed: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Knowledge:
    """All that is known at one moment. `fingerprint` changes whenever rows do."""

    rows: list[Advisory]
    exploited: dict[str, KnownExploited]
    feeds: tuple[FeedState, ...]
    fingerprint: str

    @property
    def limits(self) -> tuple[str, ...]:
        """What this knowledge cannot contain, one sentence a feed: to be shown with every answer."""
        return tuple(feed.limits for feed in self.feeds if feed.limits)


class AdvisoriesService:
    """What the server asks about advisories."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock
        self.gate: Gate | None = None  # without one (no fleets here) nothing is weighed
        self._directory = seed.SEED_DIR

    async def reload(self) -> tuple[FeedState, ...]:
        """Look again where content came from last: something that was held may go live."""
        return await self.load_seed(self._directory)

    async def load_seed(self, directory: Path = seed.SEED_DIR) -> tuple[FeedState, ...]:
        """Load what came with the product, where it is not loaded yet. Never raises for bad content: see `feeds()`."""
        self._directory = directory
        try:
            entries = seed.manifest(directory)
        except BadFeed:
            return await self.feeds()  # nothing new can be had; what is loaded stays
        for entry in entries:
            await self._load(entry, directory)
        return await self.feeds()

    async def _load(self, entry: seed.SeedFeed, directory: Path) -> None:
        now = self._clock.now_ms()
        async with self._db.feed() as conn:
            await store.lock_feeds(conn)
            known = {state.feed: state for state in await store.feeds(conn)}.get(entry.feed)
            if known and known.sha256 == entry.sha256 and not known.problem:
                return
            try:
                data = importers.unpacked(seed.read(entry, directory), entry.file)
                async with conn.transaction():
                    if entry.kind == "kev":
                        day, rows = await self._load_kev(conn, entry, data)
                    else:
                        day, rows = await self._load_rows(conn, entry, data, known)
                    if known and self.gate is not None:
                        await self._weigh(conn, self.gate, entry)
                state = FeedState(entry.feed, entry.version, entry.sha256, rows, day, now, now, "", entry.limits)
            except Invalid as e:
                base = known or FeedState(entry.feed, "", "", 0, "", now, now, "", entry.limits)
                state = base._replace(attempted_ms=now, problem=str(e))
            await store.save_feed(conn, state)
        if self.gate is not None and not state.problem:
            await self.gate.live(entry.feed)

    async def _weigh(self, conn: Connection, gate: Gate, entry: seed.SeedFeed) -> None:
        """Raises `Held`, which takes back what this transaction has written."""
        kev = frozenset(e.cve for e in await store.known_exploited(conn))
        why = await gate.weigh(
            entry.feed, entry.sha256, entry.version, await store.advisories(conn), kev, catalogue=entry.kind == "kev"
        )
        if why:
            raise Held(why)

    async def _load_kev(self, conn: Connection, entry: seed.SeedFeed, data: bytes) -> tuple[str, int]:
        _, entries = importers.known_exploited(data, entry.file)
        await store.replace_kev(conn, entry.feed, entries)
        return max(e.added for e in entries), len(entries)

    async def _load_rows(
        self, conn: Connection, entry: seed.SeedFeed, data: bytes, known: FeedState | None
    ) -> tuple[str, int]:
        rows = importers.advisories(data, entry.file, ecosystem=entry.ecosystem).advisories
        if len({(row.ecosystem, row.source, row.cve, row.introduced) for row in rows}) < len(rows):
            raise BadFeed("a row stands there twice", file=entry.file, rows=len(rows))
        if known and len(rows) < known.rows * SHRINK_MAX:
            raise BadFeed("most of the feed is gone", file=entry.file, rows=len(rows), before=known.rows)
        await store.replace_advisories(conn, entry.feed, rows)
        return max(row.date for row in rows), len(rows)

    async def feeds(self) -> tuple[FeedState, ...]:
        """What is loaded of each feed and how old it is."""
        async with self._db.system() as conn:
            return await store.feeds(conn)

    async def fingerprint(self) -> str:
        """Changes whenever rows do; cheap enough to ask before each use of remembered rows."""
        return fingerprint_of(await self.feeds())

    async def knowledge(self) -> Knowledge:
        """All rows, the catalogue and the state of the feeds, read in one transaction."""
        async with self._db.system() as conn:
            feeds = await store.feeds(conn)
            exploited = {entry.cve: entry for entry in await store.known_exploited(conn)}
            return Knowledge(await store.advisories(conn), exploited, feeds, fingerprint_of(feeds))

    async def advisories_of(self, cve: str) -> list[Advisory]:
        """The rows that speak of one CVE."""
        async with self._db.system() as conn:
            return await store.advisories_of(conn, cve)


def fingerprint_of(feeds: tuple[FeedState, ...]) -> str:
    """Names the rows that are live, whatever was tried since."""
    return "+".join(feed.sha256[:16] for feed in feeds) or "none"
