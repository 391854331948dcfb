"""Use cases of files between cells: a feed's live rows as a bundle, and what a file would change before it is imported.

Invariants: a bundle holds published advisories and nothing of any tenant; looking changes nothing. Reading takes the
permission to see exposure. Importing a bundle is `importing`, like any other file of the feed.
"""

from __future__ import annotations

import asyncio

from brakeline.advisories.osv import bundle, feeds, store
from brakeline.advisories.osv.bundle import Difference
from brakeline.advisories.service import AdvisoriesService
from brakeline.core.errors import Invalid, NotFound
from brakeline.platform.database import Database
from brakeline.tenancy.model import Principal


class NotCarried(Invalid):
    """This feed has no bundles."""

    code = "not-carried"
    hint = "Carry its file as it is published: brakeline content import FEED FILE. Bundles: rustsec, osv-…, vendors'."


class Carrying:
    """See the module."""

    def __init__(self, db: Database, advisories: AdvisoriesService) -> None:
        self._db, self._advisories = db, advisories

    async def bundle(self, principal: Principal, feed: str) -> bytes:
        """The live rows of a feed. Raises `NotFound` where nothing of it is live."""
        _may(principal, feed)
        state = {each.feed: each for each in await self._advisories.feeds()}.get(feed)
        if state is None or not state.sha256:
            raise NotFound(f"nothing of {feed} is live here; brakeline content import {feed} FILE")
        async with self._db.system() as conn:
            rows = await store.spans_of_feed(conn, feed)
        return await asyncio.to_thread(bundle.pack, feed, state.issued, rows)

    async def diff(self, principal: Principal, feed: str, data: bytes, day: str = "") -> Difference:
        """What this file would change. Raises `BadFeed` for one that would be refused."""
        _may(principal, feed)
        new = await asyncio.to_thread(feeds.read, feed, data, day)
        async with self._db.system() as conn:
            live = await store.spans_of_feed(conn, feed)
        return await asyncio.to_thread(bundle.difference, live, new.spans)


def _may(principal: Principal, feed: str) -> None:
    principal.require("exposure.read")
    if not feeds.is_feed(feed):
        raise NotCarried(feed=feed[:40])
