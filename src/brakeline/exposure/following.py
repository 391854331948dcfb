"""Filters of vulnerabilities that somebody follows: a line a day of what matches, beside the fleet's own.

Invariants: the past of a filter begins with the day on which somebody began to follow it, and is never made up from
what is known today; a day on which nobody looked is missing. Next: `trend`, which looks.
"""

from __future__ import annotations

from typing import Final

from brakeline.core.clock import Clock
from brakeline.core.days import day_of
from brakeline.core.errors import Conflict, Invalid, NotFound
from brakeline.exposure import store_following
from brakeline.exposure.listing import parse
from brakeline.exposure.service import ExposureService
from brakeline.exposure.times import ExposureDay, Followed
from brakeline.platform.database import Database
from brakeline.tenancy import audit
from brakeline.tenancy.model import Principal, system_principal

FOLLOWED_MAX: Final = 20  # of one organisation: each is a walk over its open CVEs, every ten minutes
QUERY_CHARS_MAX: Final = 200


class Following:
    """See the module."""

    def __init__(self, db: Database, clock: Clock, exposure: ExposureService) -> None:
        self._db, self._clock, self._exposure = db, clock, exposure

    async def follow(self, principal: Principal, query: str) -> Followed:
        """Its first line is written at once; twice is fine. Raises `Invalid`, and `Conflict` where there are many."""
        principal.require("policy.write")
        text, day = spelled(query), day_of(self._clock.now_ms())
        line, tenant_id = await self._exposure.line(principal, text, day), principal.tenant_id
        made = Followed(text, day, principal.name)
        async with self._db.tenant(tenant_id) as conn:
            await store_following.hold(conn)
            known = {one.query: one for one in await store_following.followed(conn)}
            if text in known:
                return known[text]
            if len(known) >= FOLLOWED_MAX:
                raise Conflict(f"{FOLLOWED_MAX} filters are followed already; stop following one of them first")
            await store_following.add(conn, tenant_id, made)
            await audit.append(conn, self._clock, principal, "exposure.follow", text[:60], None, {"query": text})
            await store_following.set_day(conn, tenant_id, text, line)
        return made

    async def unfollow(self, principal: Principal, query: str) -> None:
        """No more lines; those that there are come back with `follow`. Raises `NotFound`."""
        principal.require("policy.write")
        text = _plain(query)
        async with self._db.tenant(principal.tenant_id) as conn:
            if not await store_following.remove(conn, text):
                raise _nobody(text)
            await audit.append(conn, self._clock, principal, "exposure.unfollow", text[:60], {"query": text})

    async def followed(self, principal: Principal) -> tuple[Followed, ...]:
        """In the order in which they began."""
        principal.require("exposure.read")
        async with self._db.tenant(principal.tenant_id) as conn:
            return await store_following.followed(conn)

    async def days(self, principal: Principal, query: str, since: str) -> tuple[ExposureDay, ...]:
        """Lines of one that is followed, oldest first. Raises `NotFound`."""
        principal.require("exposure.read")
        text = _plain(query)
        async with self._db.tenant(principal.tenant_id) as conn:
            if text not in {one.query for one in await store_following.followed(conn)}:
                raise _nobody(text)
            return await store_following.days(conn, text, since)

    async def look(self, tenant_id: str, day: str) -> None:
        """Write the line of this day for each that is followed; one that means nothing any more is left out."""
        who = system_principal(tenant_id, "exposure")
        for one in await self.followed(who):
            try:
                line = await self._exposure.line(who, one.query, day)
            except Invalid:  # a word of an older version
                continue
            async with self._db.tenant(tenant_id) as conn:
                await store_following.set_day(conn, tenant_id, one.query, line)


def spelled(query: str) -> str:
    """The filter as it is kept. Raises `Invalid`."""
    text = _plain(query)
    if not text:
        raise Invalid("say what to follow, such as priority:act; the fleet as a whole has its own line")
    if len(text) > QUERY_CHARS_MAX:
        raise Invalid(f"a filter that is followed has at most {QUERY_CHARS_MAX} characters")
    parse(text)
    return text


def _plain(query: str) -> str:
    return " ".join(query.split())


def _nobody(text: str) -> NotFound:
    return NotFound(
        f"nobody follows {text[:80]!r}: its past is not known. brakeline exposure follow begins it today, "
        "brakeline exposure followed lists those that are"
    )
