"""Use cases of held content: weigh it before it is live, show what waits, accept it, refuse it, set the bounds.

Invariants: content is live when nothing in any organisation's fleet is against it (`flips.verdict`); while it waits,
the last good content stays and its age is shown; each organisation decides for its own fleet and sees no other's; to
accept content that takes findings away, or to raise a bound, takes two people; to refuse takes one. Without figures
(a fault while weighing) content waits: the feed keeps what it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from brakeline.advisories.by_feed import FeedRows
from brakeline.advisories.model import FeedState
from brakeline.advisories.service import AdvisoriesService
from brakeline.core.clock import Clock
from brakeline.core.errors import Conflict, Invalid, NotFound
from brakeline.exposure import store_flips
from brakeline.exposure.flips import (
    LOSSES,
    SHARES,
    Bound,
    Flips,
    HeldRow,
    Hold,
    Moved,
    changes,
    differing,
    flips,
    held_by,
    in_all,
    marks,
    verdict,
)  # fmt: skip
from brakeline.exposure.index import TenantIndex
from brakeline.exposure.match import Book
from brakeline.exposure.model import Role, Unit
from brakeline.exposure.upkeep import Upkeep
from brakeline.platform.database import Database
from brakeline.tenancy import audit
from brakeline.tenancy.approvals import Agreed, Approvals
from brakeline.tenancy.model import Principal, system_principal
from brakeline.tenancy.two_people import Act, Request

BOUND: Final = "bound"  # object of a request to raise it
ACTIONS: Final = {"accepted": "content.accept", "refused": "content.refuse"}
REASON_CHARS_MAX: Final = 500
FINDINGS: Final = "findings"
Moves = Callable[[set[Unit]], dict[Unit, Moved]]


@dataclass(frozen=True, slots=True)
class Content:
    """Feeds as they are live, what waits here, and this organisation's bounds."""

    feeds: tuple[FeedState, ...]
    held: tuple[HeldRow, ...]
    bound: Bound


@dataclass(frozen=True, slots=True)
class Weighed:
    """Content that nothing is against, and what it moves in the fleet of each organisation where it moves anything."""

    sha256: str
    version: str
    flips: dict[str, Flips]


class Holding:
    """See the module. Puts itself before the loader of advisories, and into the approvals."""

    def __init__(self, db: Database, clock: Clock, upkeep: Upkeep, advisories: AdvisoriesService, approvals: Approvals,
                 tenants: Callable[[], Awaitable[Sequence[str]]]) -> None:  # fmt: skip
        self._db, self._clock, self._upkeep, self._advisories = db, clock, upkeep, advisories
        self._approvals, self._tenants = approvals, tenants
        self._weighed: dict[str, Weighed] = {}
        self.reload: Callable[[], Awaitable[object]] = advisories.reload  # what was accepted is live at once
        advisories.gate = self
        approvals.register(Act.CONTENT, self)

    # --- for the loader ----------------------------------------------------------------------------------------------

    async def weigh(
        self, feed: str, sha256: str, version: str, rows: FeedRows | None, kev: frozenset[str] | None
    ) -> str:
        """Why this content must wait, for everybody to read; "" = nothing is against it. `rows`: all that the feed
        would say then; `kev`: what a catalogue would."""
        before, after = await self._upkeep.books(rows, kev)

        async def found(tenant_id: str) -> Flips:
            mine = await self._upkeep.counted_by(tenant_id, before) if kev is None else None
            if mine is not None:
                return await _of_names(*mine, before, after)
            return await self._of_all(tenant_id, lambda units: changes(units, before, after, only_kev=kev is not None))

        return await self._against(feed, sha256, version, found, FINDINGS)

    async def weigh_marks(
        self, feed: str, sha256: str, version: str, before: frozenset[str], after: frozenset[str], what: str
    ) -> str:
        """The same for scores: the CVEs that carry a mark which people act upon, before and then."""
        book = await self._upkeep.book()

        async def found(tenant_id: str) -> Flips:
            return await self._of_all(tenant_id, lambda units: marks(units, book, before, after))

        return await self._against(feed, sha256, version, found, what)

    async def _of_all(self, tenant_id: str, moved: Moves) -> Flips:
        """Every unit looked up, which takes half a second."""
        holders = await self._upkeep.holders(tenant_id)
        units = {unit for unit, role in holders if role is Role.ACTIVE}
        return flips(holders, await asyncio.to_thread(moved, units))

    async def _against(
        self, feed: str, sha256: str, version: str, weigh: Callable[[str], Awaitable[Flips]], what: str
    ) -> str:
        kinds, weighed = set[str](), dict[str, Flips]()
        for tenant_id in await self._tenants():
            found = await weigh(tenant_id)
            if what == FINDINGS and (found.gained or found.lost):
                weighed[tenant_id] = found
            hold = await self._judge(tenant_id, HeldRow(feed, sha256, version, found, "", "", 0), what)
            kinds |= {hold.kind} if hold else set()
        if not kinds:
            self._weighed[feed] = Weighed(sha256, version, weighed)
            return ""
        does = "take away" if LOSSES in kinds else "add"
        return f"held: version {version} would {does} more {what} at once than an organisation allows here"

    async def _judge(self, tenant_id: str, new: HeldRow, what: str) -> Hold | None:
        now_ms = self._clock.now_ms()
        async with self._db.tenant(tenant_id) as conn:
            known = await store_flips.held_of(conn, new.feed, lock=True)
            if known is not None and (known.sha256 != new.sha256 or known.live_ms):
                known = None
            held_ms, decision = (known.held_ms, known.decision) if known else (now_ms, "")
            hold = verdict(new.flips, await store_flips.bound(conn), decision, held_ms, now_ms, what)
            if hold is not None:
                row = known or replace(new, held_ms=now_ms)
                row = replace(row, flips=new.flips, kind=hold.kind, reason=hold.reason)
                await store_flips.hold(conn, tenant_id, row)
        return hold

    async def live(self, feed: str) -> None:
        """This feed's newest content is live; what it moved in each fleet is kept in that organisation's audit log."""
        weighed = self._weighed.pop(feed, None)
        for tenant_id in await self._tenants():
            async with self._db.tenant(tenant_id) as conn:
                await store_flips.set_live(conn, feed, self._clock.now_ms())
                found = weighed.flips.get(tenant_id) if weighed else None
                if weighed and found:
                    facts = {"sha256": weighed.sha256, "version": weighed.version,
                             "after": found.before + found.gained - found.lost, "gained": found.gained,
                             "lost": found.lost}  # fmt: skip
                    me = system_principal(tenant_id, "exposure")
                    await audit.append(conn, self._clock, me, "content.live", feed, {"before": found.before}, facts)

    # --- for people --------------------------------------------------------------------------------------------------

    async def content(self, principal: Principal) -> Content:
        """What is live, what waits and why, and the bounds."""
        principal.require("exposure.read")
        async with self._db.tenant(principal.tenant_id) as conn:
            rows, bound = await store_flips.held(conn), await store_flips.bound(conn)
        feeds = await self._advisories.feeds()
        live = {feed.sha256 for feed in feeds}
        return Content(feeds, tuple(r for r in rows if not r.live_ms and r.sha256 not in live), bound)

    async def accept(self, principal: Principal, feed: str, sha256: str) -> Request | None:
        """Let it be live as far as this organisation is concerned; the request where it takes a second person."""
        principal.require("policy.write")
        row = await self._held(principal, feed, sha256)
        if row.kind == LOSSES:
            says = (
                f"Let version {row.version} of the feed {feed} be live although {row.reason}.",
                "What it takes away is no longer shown as open, and nobody is asked to patch it.",
            )
            return await self._approvals.ask(principal, Act.CONTENT, feed, {"sha256": sha256}, says, _situation(row))
        await self._decide(principal, principal.name, 1, feed, sha256, "accepted", "")
        return None

    async def refuse(self, principal: Principal, feed: str, sha256: str, reason: str) -> None:
        """Keep the last good content until newer comes. It only forbids: one person may, and may change his mind."""
        principal.require("policy.write")
        if not reason.strip() or len(reason) > REASON_CHARS_MAX:
            raise Invalid(f"say why, in 1 to {REASON_CHARS_MAX} characters: whoever looks next wants to know")
        await self._held(principal, feed, sha256)
        await self._decide(principal, principal.name, 1, feed, sha256, "refused", reason.strip())

    async def set_bound(self, principal: Principal, wanted: Bound) -> Request | None:
        """Set the bounds; the request where one of them is raised."""
        principal.require("policy.write")
        for name in ("losses", "additions"):
            if not SHARES[0] <= getattr(wanted, name) <= SHARES[1]:
                raise Invalid(f"{name} is a share from {SHARES[0]:.0%} to {SHARES[1]:.0%}", got=getattr(wanted, name))
        async with self._db.tenant(principal.tenant_id) as conn:
            now = await store_flips.bound(conn)
        if wanted.losses > now.losses or wanted.additions > now.additions:
            says = (f"Let content take away {wanted.losses:.0%} of all findings at once (now {now.losses:.0%}), and "
                    f"add {wanted.additions:.0%} (now {now.additions:.0%}).",)  # fmt: skip
            parameters = {"losses": wanted.losses, "additions": wanted.additions}
            return await self._approvals.ask(principal, Act.CONTENT, BOUND, parameters, says, _bounds(now))
        await self._set_bound(principal, principal.name, 1, wanted)
        return None

    # --- two people --------------------------------------------------------------------------------------------------

    async def situation(self, tenant_id: str, request: Request) -> str:
        """For `approvals.Performer`."""
        async with self._db.tenant(tenant_id) as conn:
            if request.object_id == BOUND:
                return _bounds(await store_flips.bound(conn))
            row = await store_flips.held_of(conn, request.object_id)
        return _situation(row) if row else "nothing is held"

    async def perform(self, agreed: Agreed, request: Request) -> None:
        """For `approvals.Performer`."""
        said = request.parameters
        if request.object_id == BOUND:
            wanted = Bound(float(said["losses"]), float(said["additions"]))
            await self._set_bound(agreed.principal, agreed.names, agreed.persons, wanted)
            return
        sha256 = str(said["sha256"])
        await self._held(agreed.principal, request.object_id, sha256)
        await self._decide(agreed.principal, agreed.names, agreed.persons, request.object_id, sha256, "accepted", "")

    async def _held(self, principal: Principal, feed: str, sha256: str) -> HeldRow:
        async with self._db.tenant(principal.tenant_id) as conn:
            row = await store_flips.held_of(conn, feed)
        if row is None or row.live_ms:
            raise NotFound("nothing of this feed is held here; `brakeline content list` says what is", feed=feed[:40])
        if row.sha256 != sha256:
            raise Conflict("other content of this feed is held now; look again", sha256=row.sha256)
        return row

    async def _decide(self, principal: Principal, names: str, persons: int, feed: str, sha256: str, decision: str,
                      reason: str) -> None:  # fmt: skip
        async with self._db.tenant(principal.tenant_id) as conn:
            await store_flips.decide(conn, feed, sha256, decision, names, self._clock.now_ms())
            facts = {"sha256": sha256, "reason": reason, "persons": persons, "by": names}
            await audit.append(conn, self._clock, principal, ACTIONS[decision], feed, None, facts)
        await self.reload()

    async def _set_bound(self, principal: Principal, names: str, persons: int, wanted: Bound) -> None:
        async with self._db.tenant(principal.tenant_id) as conn:
            now = await store_flips.bound(conn)
            await store_flips.set_bound(conn, principal.tenant_id, wanted, names, self._clock.now_ms())
            facts = {"losses": wanted.losses, "additions": wanted.additions, "persons": persons, "by": names}
            before = {"losses": now.losses, "additions": now.additions}
            await audit.append(conn, self._clock, principal, "content.bound", BOUND, before, facts)
        await self.reload()


async def _of_names(index: TenantIndex, states: int, before: Book, after: Book) -> Flips:
    """The same where what stands open in all is known: only names that differ are looked up."""
    names = await asyncio.to_thread(differing, list(index.orders), before, after)
    holders = held_by(index, names)
    found = flips(holders, await asyncio.to_thread(changes, {unit for unit, _ in holders}, before, after))
    return in_all(found, holders, before, states)


def _situation(row: HeldRow) -> str:
    return f"{row.feed} {row.sha256[:16]}, {row.kind}, {row.flips.lost} lost"


def _bounds(bound: Bound) -> str:
    return f"losses {bound.losses:g}, additions {bound.additions:g}"
