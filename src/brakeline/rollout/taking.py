"""Taking over what a lost conductor led: which leads its cells tell of, and two people's act that leads one on here.

Invariants: only cells that have joined this conductor and are believed are in it; nothing is taken that was halted, or
of which they tell different things; what is taken is paused. Pure part: `handover`. Next: `conducting`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from brakeline.cells.model import REPORTS_MAX, Exchange, Member, MemberState, Orphan
from brakeline.cells.service import CellsService
from brakeline.core.clock import Clock
from brakeline.core.errors import Invalid, NotFound
from brakeline.platform.database import Database
from brakeline.rollout import handover
from brakeline.rollout.lead_acts import TAKE, LeadActs
from brakeline.rollout.store import leads
from brakeline.tenancy import audit
from brakeline.tenancy.approvals import Agreed
from brakeline.tenancy.faults import Overtaken
from brakeline.tenancy.model import Principal
from brakeline.tenancy.two_people import Request


@dataclass(frozen=True, slots=True)
class OrphanView:
    """A lead that nobody leads any more. `why_not`: why it cannot be taken over."""

    id: str
    title: str
    cells: tuple[str, ...]
    treated: int
    why_not: str


class Taking:
    """See the module. `conducting.Conducting` makes one."""

    def __init__(self, db: Database, clock: Clock, cells: CellsService, acts: LeadActs,
                 refuse_superseded: Callable[[str], Awaitable[None]]) -> None:  # fmt: skip
        self._db, self._clock, self._cells, self._acts = db, clock, cells, acts
        self._refuse_superseded = refuse_superseded
        acts.performs[TAKE] = self._agreed

    async def orphans(self, principal: Principal) -> tuple[OrphanView, ...]:
        """Leads of a conductor that cells have left for this one, which nobody leads: their cells hold."""
        principal.require("rollout.read")
        async with self._db.tenant(principal.tenant_id) as conn:
            found = await leads.orphans(conn)
        return tuple(
            OrphanView(lead_id, next(iter(told.values())).title, tuple(told), sum(o.treated for o in told.values()),
                       handover.why_not(told))
            for lead_id, told in found.items()
        )  # fmt: skip

    async def take(self, principal: Principal, lead_id: str, reason: str) -> Request | None:
        """Lead on what another conductor led, over the cells that have joined this one and told of it. The request that
        a second person agrees to first, None = it is done; then it is paused until somebody resumes it."""
        principal.require("limits.write")
        if not reason.strip():
            raise Invalid("say why: the reason is kept in the audit log")
        why, told = reason.strip()[:500], await self._told(principal.tenant_id, lead_id)
        handover.taken(lead_id, told, principal.name, why, self._clock.now_ms())  # raises where it cannot go on
        joined = await self._joined(principal.tenant_id)
        says = handover.says(lead_id, told, tuple(sorted(joined - set(told))), why)
        size, situation = sum(o.size for o in told.values()), handover.situation(told)
        asked = await self._acts.before(principal, TAKE, lead_id, says, situation, size, why)
        if asked is None:
            await self._taken(principal, lead_id, told, why)
        return asked

    async def situation(self, tenant_id: str, lead_id: str) -> str:
        """For two people: what they agree about, as it is now."""
        async with self._db.tenant(tenant_id) as conn:
            found = (await leads.orphans(conn)).get(lead_id, {})
        joined = await self._joined(tenant_id)
        return handover.situation({cell: o for cell, o in found.items() if cell in joined})

    async def keep(self, tenant_id: str, member: Member, said: Exchange) -> None:
        """What a cell tells of leads that another conductor gave it."""
        if not said.orphans:
            return
        async with self._db.tenant(tenant_id) as conn:
            for told in said.orphans:
                await leads.put_orphan(conn, tenant_id, member.cell, told, self._clock.now_ms())
            await leads.keep_newest_orphans(conn, member.cell, REPORTS_MAX)

    async def _agreed(self, agreed: Agreed, lead_id: str, p: Mapping[str, Any], situation: str) -> None:
        told = await self._told(agreed.principal.tenant_id, lead_id)
        if handover.situation(told) != situation:
            raise Overtaken("its cells tell otherwise by now")
        await self._taken(agreed.principal, lead_id, told, str(p["reason"]))

    async def _joined(self, tenant_id: str) -> set[str]:
        members = await self._cells.members_of(tenant_id)
        return {m.cell for m in members if m.state is MemberState.JOINED and not m.doubt}

    async def _told(self, tenant_id: str, lead_id: str) -> dict[str, Orphan]:
        await self._refuse_superseded(tenant_id)
        joined = await self._joined(tenant_id)
        async with self._db.tenant(tenant_id) as conn:
            found = (await leads.orphans(conn)).get(lead_id, {})
        told = {cell: o for cell, o in found.items() if cell in joined}
        if not told:
            raise NotFound("no cell that has joined tells of such a lead without a conductor; `brakeline lead orphans` "
                           "has those that do", id=lead_id[:40])  # fmt: skip
        return told

    async def _taken(self, principal: Principal, lead_id: str, told: dict[str, Orphan], reason: str) -> None:
        lead = handover.taken(lead_id, told, principal.name, reason, self._clock.now_ms())
        async with self._db.tenant(principal.tenant_id) as conn:
            await leads.insert(conn, principal.tenant_id, lead)
            after = {"cells": list(lead.cells), "ring": lead.blueprint.ring, "revision": lead.blueprint.generation,
                     "reason": reason}  # fmt: skip
            await audit.append(conn, self._clock, principal, "lead.take", lead_id, None, after)
