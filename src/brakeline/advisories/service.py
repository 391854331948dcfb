"""Use cases of advisories: load the seed, take what arrives, say what is known and how old it is.

Invariants: loading is idempotent (a feed whose bytes are loaded already is left alone) and happens under the feed's
role in one transaction per feed; whatever is wrong with new content (not the bytes of the manifest, garbled, older, or
most of it gone) is recorded as the feed's `problem`, and the last good content stays. So it is with content that would
flip more findings than is allowed: the `gate` (`exposure.holding`) weighs it before it is live. What people and
addresses bring is `importing`; it goes the same way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

from brakeline.advisories import reading, seed, store, store_corrections, store_scores
from brakeline.advisories.arrivals import (
    SEED,
    URL,
    Arrival,
    Content,
    NotNewer,
    age_of,
    check,
    content,
    kind_of,
    limits_of,
    settled,
)
from brakeline.advisories.by_feed import ROWS, FeedRows
from brakeline.advisories.corrections import Correction, corrections
from brakeline.advisories.importers import BadFeed
from brakeline.advisories.model import (
    HIGH,
    LIKELY,
    SCORES,
    Advisory,
    FeedState,
)
from brakeline.advisories.osv import feeds as osv
from brakeline.advisories.osv import store as osv_store
from brakeline.advisories.osv.model import Span
from brakeline.advisories.reading import Knowledge as Knowledge
from brakeline.advisories.reading import fingerprint_of
from brakeline.advisories.reading import scored_of as scored_of
from brakeline.advisories.store_scores import Arrived
from brakeline.advisories.store_support import releases_of, replace_support
from brakeline.advisories.support import KIND as SUPPORT
from brakeline.advisories.support import candidates, ended
from brakeline.core.clock import Clock
from brakeline.core.days import DAY_MS, day_of
from brakeline.core.errors import Invalid
from brakeline.platform.database import Connection, Database

MARKS: Final = {"epss": "marks of what is likely to be exploited", "cvss": "marks of high severity"}


class Held(Invalid):
    """The content waits before it is live; the last good content stays."""

    code = "content-held"


class Gate(Protocol):
    """Weighs new content against fleets (`exposure.holding.Holding`)."""

    async def weigh(
        self, feed: str, sha256: str, version: str, rows: FeedRows | None, kev: frozenset[str] | None
    ) -> str: ...
    async def weigh_marks(
        self, feed: str, sha256: str, version: str, before: frozenset[str], after: frozenset[str], what: str
    ) -> str: ...
    async def live(self, feed: str) -> None: ...


class AdvisoriesService:
    """What the server asks about advisories."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock
        self.gate: Gate | None = None  # without one (no fleets here) nothing is weighed
        self.ask: Callable[[], Awaitable[object]] = _nobody  # asks the addresses of feeds, where there are any
        self.on_live: Callable[[str], Awaitable[None]] = _nothing  # told which feed has new content, after the commit
        self._directory = seed.SEED_DIR
        self._handed: FeedRows | None = None  # what was weighed last, to be used where it is live

    async def reload(self) -> tuple[FeedState, ...]:
        """Look again where content came from last, and at what waits: something that was held may go live."""
        await self.load_seed(self._directory)
        async with self._db.system() as conn:
            waiting = await store_scores.arrivals(conn, waiting=True)
        for arrived in waiting:
            await self._again(arrived)
        return await self.feeds()

    async def load_seed(self, directory: Path = seed.SEED_DIR) -> tuple[FeedState, ...]:
        """Load what came with the product, where it is not loaded yet. Never raises for bad content: see `feeds()`."""
        self._directory = directory
        try:
            entries = seed.manifest(directory)
        except BadFeed:
            return await self.feeds()  # nothing new can be had; what is loaded stays
        for entry in entries:
            await self._take(_of_seed(entry), lambda e=entry: seed.read(e, directory))  # type: ignore[misc]
        return await self.feeds()

    async def receive(self, arrival: Arrival, data: bytes, arrived: Arrived) -> FeedState:
        """Content that a person or an address brings. Raises `NotNewer`, or `BadFeed`, which the feed's state keeps;
        held content is kept to be tried again. `arrived` says where it came from."""
        state, fault = await self._take(arrival, lambda: data)
        if fault is not None and not isinstance(fault, Held):
            raise fault
        async with self._db.feed() as conn:
            await store_scores.save_arrival(conn, replace(arrived, data=data if fault is not None else None))
        return state

    async def note(self, feed: str, kind: str, problem: str) -> FeedState:
        """Its address was asked and brought nothing: why, or "" where it has nothing newer."""
        now = self._clock.now_ms()
        async with self._db.feed() as conn:
            await store.lock_feeds(conn)
            known = {state.feed: state for state in await store.feeds(conn)}.get(feed)
            base = known or FeedState(feed, "", "", 0, "", now, now, kind=kind)
            answered = not problem  # else it is asked again within the hour
            if answered and base.problem and base.tried == URL and await store_scores.is_waiting(conn, feed):
                problem = base.problem  # it is held, and nothing newer has come
            state = base._replace(attempted_ms=now, problem=problem, tried=URL)
            await store.save_feed(conn, state)
            if answered:
                await store_scores.asked(conn, feed, now)
        return state

    async def _again(self, a: Arrived) -> None:
        arrival = Arrival(a.feed, kind_of(a.feed), a.feed, a.sha256, a.origin, version=a.day)
        _, fault = await self._take(arrival, lambda: a.data or b"")
        if not isinstance(fault, Held):
            async with self._db.feed() as conn:
                await store_scores.drop_data(conn, a.feed, a.sha256)

    async def _take(self, arrival: Arrival, read: Callable[[], bytes]) -> tuple[FeedState, Invalid | None]:
        """Make it live, or keep what is there and record why."""
        now, fault = self._clock.now_ms(), None
        async with self._db.feed() as conn:
            await store.lock_feeds(conn)
            known = {state.feed: state for state in await store.feeds(conn)}.get(arrival.feed)
            if known is not None and settled(arrival, known):
                return known, None
            try:
                state = await self._live(conn, arrival, read, known, now)
            except NotNewer as e:
                assert known is not None
                return known, e  # an old file says nothing of the feed
            except Invalid as e:
                fault, base = e, known or FeedState(arrival.feed, "", "", 0, "", now, now, "", arrival.limits)
                state = base._replace(attempted_ms=now, problem=str(e), kind=arrival.kind, tried=arrival.origin)
            await store.save_feed(conn, state)
        if self.gate is not None and not state.problem:
            await self.gate.live(arrival.feed)
        if not state.problem and (known is None or known.sha256 != state.sha256):
            await self.on_live(arrival.feed)
        return state, fault

    async def _live(
        self, conn: Connection, arrival: Arrival, read: Callable[[], bytes], known: FeedState | None, now: int
    ) -> FeedState:
        if known is not None and known.sha256 == arrival.sha256:  # the same once more: looked at again, and all is well
            return known._replace(attempted_ms=now, problem="", tried=arrival.origin)
        new = await asyncio.to_thread(lambda: content(arrival, read()))
        if known is not None and known.sha256 and arrival.origin == URL and new.issued <= age_of(known):
            return known._replace(attempted_ms=now, problem="", tried=URL)  # what is there is newer than the address
        check(arrival, new, known, day_of(now + DAY_MS))
        state = FeedState(
            arrival.feed, new.version, arrival.sha256, len(new.rows), new.day, now, now, "", limits_of(arrival, new),
            arrival.kind, new.issued, arrival.origin, arrival.origin,
        )  # fmt: skip
        async with conn.transaction():
            marked = await _marks(conn, arrival.kind)
            if known is not None and known.sha256:
                await _correct(conn, arrival, new, now)
            await _write(conn, arrival, new)
            if self.gate is not None and (arrival.kind == osv.KIND or (known is not None and known.sha256)):
                await self._weigh(conn, self.gate, arrival, state, marked)
        return state

    async def _weigh(
        self, conn: Connection, gate: Gate, arrival: Arrival, state: FeedState, marked: frozenset[str]
    ) -> None:
        """Raises `Held`, which takes back what this transaction has written."""
        feed, sha256, kind, version = arrival.feed, arrival.sha256, arrival.kind, state.version
        if kind in SCORES:
            why = await gate.weigh_marks(feed, sha256, version, marked, await _marks(conn, kind), MARKS[kind])
        else:
            kev = frozenset(e.cve for e in await store.known_exploited(conn)) if kind == "kev" else None
            rows = await reading.feed_of(conn, state) if kind in ROWS else None
            why = await gate.weigh(feed, sha256, version, rows, kev)
            self._handed = rows or self._handed  # used by its stamp, which only a commit gives to the feed
        if why:
            raise Held(why)

    async def feeds(self) -> tuple[FeedState, ...]:
        """What is loaded of each feed and how old it is."""
        async with self._db.system() as conn:
            return await store.feeds(conn)

    async def fingerprint(self) -> str:
        """Changes whenever rows do; cheap enough to ask before each use of remembered rows."""
        return fingerprint_of(await self.feeds())

    async def support_ended(self, os_id: str, os_version: str) -> str:
        """Why the vendor of a system no longer assesses it, in one sentence; "" = it does, or nothing is known."""
        async with self._db.system() as conn:
            rows = await releases_of(conn, candidates(os_id))
        return ended(rows, os_id, os_version, day_of(self._clock.now_ms()))

    async def knowledge(self) -> Knowledge:
        """All rows, the catalogue and the state of the feeds, read in one transaction."""
        async with self._db.system() as conn:
            return await reading.whole(conn)

    async def newer(self, known: Knowledge) -> Knowledge:
        """The same, where only feeds that changed since `known` are read; what does not fit is read whole."""
        async with self._db.system() as conn:
            return await reading.newer(conn, known, self._handed) or await reading.whole(conn)

    async def corrections_of(self, names: Sequence[str]) -> list[Correction]:
        """What feeds have corrected of advisories with these ids or CVEs, the newest first."""
        async with self._db.system() as conn:
            return await store_corrections.naming(conn, names)

    async def advisories_of(self, cve: str) -> tuple[list[Advisory], list[Span]]:
        """The rows, and the spans, that speak of one CVE, or of an advisory by its own id."""
        async with self._db.system() as conn:
            return await store.advisories_of(conn, cve), await osv_store.spans_naming(conn, cve)


async def _nobody() -> None:
    """No address is set."""


async def _nothing(_: str) -> None:
    """Nobody waits for content."""


def _of_seed(entry: seed.SeedFeed) -> Arrival:
    return Arrival(entry.feed, entry.kind, entry.file, entry.sha256, SEED, entry.ecosystem, entry.version, entry.limits)


async def _correct(conn: Connection, arrival: Arrival, new: Content, now: int) -> None:
    """Keep what is said otherwise than before."""
    old: Sequence[Advisory | Span] = ()
    if arrival.kind == osv.KIND:
        old = await osv_store.spans_of_feed(conn, arrival.feed)
    elif arrival.kind == "advisories":
        old = await store.advisories_of_feed(conn, arrival.feed)
    found = await asyncio.to_thread(corrections, old, new.rows if old else ())
    await store_corrections.keep(conn, arrival.feed, arrival.sha256, found, now)


async def _write(conn: Connection, arrival: Arrival, new: Content) -> None:
    if arrival.kind == "kev":
        await store.replace_kev(conn, arrival.feed, new.rows)
    elif arrival.kind == SUPPORT:
        await replace_support(conn, arrival.feed, new.rows)
    elif arrival.kind == "epss":
        await store_scores.replace_epss(conn, arrival.feed, new.rows)
    elif arrival.kind == "cvss":
        await store_scores.replace_cvss(conn, arrival.feed, new.rows)
    elif arrival.kind == osv.KIND:
        await osv_store.replace_spans(conn, arrival.feed, new.rows)
    else:
        await store.replace_advisories(conn, arrival.feed, new.rows)


async def _marks(conn: Connection, kind: str) -> frozenset[str]:
    """What a feed of scores says of CVEs that people act upon."""
    if kind == "epss":
        return await store_scores.likely(conn, LIKELY)
    return await store_scores.severe(conn, HIGH) if kind == "cvss" else frozenset()
