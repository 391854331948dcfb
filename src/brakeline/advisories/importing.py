"""Use cases of feeds that people and addresses bring: import a file, fetch from an address, say how old everything is.

Advisory data is the installation's, for all its organisations: only the one that runs it (the first) may import or
fetch by hand; every other sees what is live and how old it is, and its own fleet is weighed before anything is.
Invariants: what comes from an address goes the same way as a file; a feed that is broken, older or held changes
nothing, and the reason stands in its state; an address is asked every six hours, conditionally.
Ages are told as metrics, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from prometheus_client import Gauge

from brakeline.advisories import store_scores
from brakeline.advisories.arrivals import FILE, PACKED_BYTES_MAX, URL, Arrival, issued_on, kind_of
from brakeline.advisories.model import FeedState
from brakeline.advisories.service import AdvisoriesService
from brakeline.advisories.standing import KNOWN, Standing, missing, standing
from brakeline.advisories.store_scores import Arrived
from brakeline.core.clock import Clock
from brakeline.core.errors import Fault, Forbidden, Invalid
from brakeline.platform.database import Database
from brakeline.platform.fetching import Fetched, fetch
from brakeline.platform.observe import REGISTRY
from brakeline.tenancy import audit
from brakeline.tenancy.model import Principal

ASK_S: Final = 6 * 3600.0
FEED_AGE: Final = Gauge(
    "brakeline_feed_age_days", "Since what is live of a feed was issued; -1 = nothing is", ["feed"], registry=REGISTRY
)
FEED_KEPT: Final = Gauge(
    "brakeline_feed_kept_back", "1 = the last content of a feed is not live, and why stands beside it", ["feed"],
    registry=REGISTRY,
)  # fmt: skip
Fetch = Callable[[str, str, str, int], Awaitable[Fetched]]


class NotYours(Forbidden):
    """Advisory data belongs to the whole installation; the organisation that runs it imports it."""

    code = "not-your-installation"
    hint = "Ask the people of the first organisation. What is live, and how old: brakeline content status."


class Importing:
    """See the module. `addresses`: feed -> where it is fetched from, as the server's settings say."""

    def __init__(self, db: Database, clock: Clock, advisories: AdvisoriesService,
                 first_tenant: Callable[[], Awaitable[str]], addresses: Mapping[str, str],
                 get: Fetch = fetch) -> None:  # fmt: skip
        self._db, self._clock, self._advisories = db, clock, advisories
        self._first_tenant, self._addresses, self._get = first_tenant, dict(addresses), get
        for feed in self._addresses:
            kind_of(feed)
        advisories.ask = self.reconcile

    async def status(self, principal: Principal) -> tuple[Standing, ...]:
        """Every feed with its age, also those of which nothing ever came."""
        principal.require("exposure.read")
        return await self.standings()

    async def standings(self) -> tuple[Standing, ...]:
        """The same, for other parts."""
        now_ms, asked = self._clock.now_ms(), await self._asked()
        feeds = {feed.feed: feed for feed in await self._advisories.feeds()}
        kinds = {feed.kind for feed in feeds.values()}
        found = [standing(f, self._addresses.get(f.feed, ""), asked.get(f.feed, 0), now_ms) for f in feeds.values()]
        return (*found, *(missing(feed, kind, self._addresses.get(feed, ""), asked.get(feed, 0))
                          for feed, kind in KNOWN if kind not in kinds))  # fmt: skip

    async def import_file(self, principal: Principal, feed: str, data: bytes, day: str = "") -> FeedState:
        """Take a file; `day` is of one that does not say its own. Raises `BadFeed` or `NotNewer` where it changed
        nothing; held content is in the state."""
        await self._may(principal)
        kind_of(feed)
        if len(data) > PACKED_BYTES_MAX:
            raise Invalid(f"a feed has at most {PACKED_BYTES_MAX} bytes, packed", got=len(data))
        state = await self._receive(feed, data, FILE, "", Fetched(None), day)
        await self._record(principal, "content.import", feed, hashlib.sha256(data).hexdigest(), state)
        return state

    async def fetch(self, principal: Principal, feed: str) -> FeedState:
        """Ask the feed's address now. Raises what `import_file` does, `Unavailable` where nobody answers."""
        await self._may(principal)
        state = await self._fetch(feed)
        await self._record(principal, "content.fetch", feed, state.sha256, state)
        return state

    async def reconcile(self) -> str:
        """Ask each address whose last answer is six hours old; what went wrong stands in the feed's state."""
        asked, now_ms, done = await self._asked(), self._clock.now_ms(), 0
        for feed in self._addresses:
            if now_ms - asked.get(feed, 0) >= ASK_S * 1000:
                done += await self._quietly(feed)
        for each in await self.standings():
            FEED_AGE.labels(each.feed).set(-1 if each.age_days is None else each.age_days)
            FEED_KEPT.labels(each.feed).set(bool(each.problem))
        return f"{done} of {len(self._addresses)} addresses asked"

    async def _quietly(self, feed: str) -> int:
        try:
            await self._fetch(feed)
        except Invalid:
            pass  # its state says why already
        except Fault as e:
            await self._advisories.note(feed, kind_of(feed), str(e))
        return 1

    async def _fetch(self, feed: str) -> FeedState:
        address = self._addresses.get(feed)
        if address is None:
            there = ", ".join(sorted(self._addresses)) or "none"
            raise Invalid(
                f"no address is set for {feed[:40]}; there are: {there}. Settings: epss_url, kev_url, cvss_url, "
                "feed_urls"
            )
        last = (await self._last()).get(feed) or Arrived(feed, "", URL)
        same = last.address == address
        found = await self._get(
            address, last.etag if same else "", last.last_modified if same else "", PACKED_BYTES_MAX
        )  # fmt: skip
        if found.data is not None:
            day = issued_on(feed, found.last_modified, self._clock.now_ms())
            return await self._receive(feed, found.data, URL, address, found, day)
        return await self._advisories.note(feed, kind_of(feed), "")

    async def _receive(
        self, feed: str, data: bytes, origin: str, address: str, found: Fetched, day: str = ""
    ) -> FeedState:
        now, sha256 = self._clock.now_ms(), hashlib.sha256(data).hexdigest()
        arrival = Arrival(feed, kind_of(feed), feed, sha256, origin, version=day)
        came = Arrived(feed, sha256, origin, address, found.etag, found.last_modified, now, now, day=day)
        return await self._advisories.receive(arrival, data, came)

    async def _asked(self) -> dict[str, int]:
        return {feed: last.asked_ms for feed, last in (await self._last()).items() if last.origin == URL}

    async def _last(self) -> dict[str, Arrived]:
        async with self._db.system() as conn:
            return {a.feed: a for a in await store_scores.arrivals(conn)}

    async def _may(self, principal: Principal) -> None:
        principal.require("policy.write")
        if principal.tenant_id != await self._first_tenant():
            raise NotYours()

    async def _record(self, principal: Principal, act: str, feed: str, sha256: str, state: FeedState) -> None:
        facts = {"sha256": sha256, "live": state.sha256 == sha256, "version": state.version, "problem": state.problem}
        async with self._db.tenant(principal.tenant_id) as conn:
            await audit.append(conn, self._clock, principal, act, feed, None, facts)
