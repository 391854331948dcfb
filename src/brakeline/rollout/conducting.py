"""The conductor's doing: leads made by people, reports of cells taken in, grants given out. `conduct` decides.

Invariants: one step of a lead is one transaction that locks it; a report that cannot be true is not kept, and makes its
cell doubtful until a person has looked; a halted lead stays halted (a new one begins anew). Nothing here knows an
endpoint. Runs in any cell; a cell that conducts and takes part is linked to itself like to any other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from brakeline.cells import decide
from brakeline.cells.decide import essence
from brakeline.cells.model import CellReport, Exchange, Grant, Member, MemberState, Signed, Stand, superseded
from brakeline.cells.service import CellsService, Heard
from brakeline.core.clock import Clock
from brakeline.core.errors import Conflict, Invalid, NotFound, Unavailable
from brakeline.fleet.query import parse, render
from brakeline.platform.bus import Bus
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Connection, Database
from brakeline.protocol.channels import CHANNELS, STABLE
from brakeline.protocol.codec import decode
from brakeline.releases import signing
from brakeline.rollout import led, planner
from brakeline.rollout.conduct import FIT_KNOWN, Lead, Standing, conduct, follows, grants, over, words
from brakeline.rollout.frozen import Frozen
from brakeline.rollout.granted import for_endpoints
from brakeline.rollout.journal import Freeze
from brakeline.rollout.lanes import REHEARSAL_MAX
from brakeline.rollout.lead_acts import FAST, TAKE, LeadActs
from brakeline.rollout.live import SETTINGS
from brakeline.rollout.model import Change, Line, Report, Wish
from brakeline.rollout.presets import BAKE_S, PACES, for_release, policy_for
from brakeline.rollout.store import leads
from brakeline.rollout.taking import Taking
from brakeline.rollout.waiting import Place, Waiting
from brakeline.rollout.wished import told
from brakeline.tenancy import audit
from brakeline.tenancy.approvals import Agreed, Approvals
from brakeline.tenancy.faults import Overtaken
from brakeline.tenancy.model import Principal
from brakeline.tenancy.two_people import Request

LED_KINDS: Final = ("updates", "release", "settings")
Later = Callable[[], Awaitable[Signed]]  # an answer that is held open: called, it waits
WATCH_MS: Final = 7 * 86_400_000
REFUSED: Final = "refused"  # of a cell that takes no part in a lead, by its version or for a reason of its own
SIZE_MAX: Final = 10_000_000  # endpoints that a lead is planned for until its cells have told how many they have


@dataclass(frozen=True, slots=True)
class CellView:
    """One cell of one lead, as people see it."""

    cell: str
    region: str
    state: str
    ring: int
    planned: tuple[int, ...]
    granted: int
    treated: int
    proven: int
    failed: int
    eligible: int
    heard_ms: int
    text: str
    ok: bool


@dataclass(frozen=True, slots=True)
class LeadView:
    """One lead: cells times rings, and why it does what it does."""

    id: str
    title: str
    state: str
    why: str
    filter: str
    updates: tuple[str, ...]
    rings: tuple[str, ...]
    ring: int
    cells: tuple[CellView, ...]
    lines: tuple[Line, ...]
    created_ms: int
    created_by: str
    kind: str = "updates"
    settings: tuple[str, ...] = ()  # of a lead of settings: its words, for people
    wish: str = ""  # what people want of it: draft, run, pause, brake
    channel: str = ""  # of a release: to which it goes


class Conducting:
    """See the module."""

    def __init__(self, db: Database, clock: Clock, ids: IdMaker, bus: Bus, cells: CellsService, approvals: Approvals,
                 frozen: Callable[[str], Freeze | None]) -> None:  # fmt: skip
        """`frozen`: what stops everything of an organisation, as the brake journal says."""
        self._frozen = frozen
        self._db, self._clock, self._ids, self._bus, self._cells = db, clock, ids, bus, cells
        self._approvals = approvals
        self._acts = LeadActs(approvals, self._situation, {FAST: self._start_agreed})
        self.taking = Taking(db, clock, cells, self._acts, self._refuse_superseded)
        self.waiting = Waiting()

    # --- people -------------------------------------------------------------------------------------------------------

    async def create(self, principal: Principal, title: str, change: Change, filter_text: str, cells: Sequence[str],
                     pace: str = "careful") -> LeadView:  # fmt: skip
        """A draft over these cells, in the order in which they shall open; none named = all that have joined."""
        principal.require("rollout.create")
        joined = [m.cell for m in await self._cells.members_of(principal.tenant_id) if m.state is MemberState.JOINED]
        wanted = tuple(cells) or tuple(joined)
        missing = [c for c in wanted if c not in joined]
        if missing or not wanted or len(set(wanted)) != len(wanted):
            raise Invalid("a lead needs cells that have joined, each once; `brakeline cell list` has them",
                          unknown=missing[:5])  # fmt: skip
        if not change.updates or change.kind not in LED_KINDS or not 1 <= len(title.strip()) <= 200:
            raise Invalid("a lead needs a title of 1 to 200 characters and updates NAME=VERSION or a release")
        if (change.wished is not None) != (change.kind == SETTINGS):
            raise Invalid("settings are led by the words of one policy: `brakeline settings lead NAME`")
        if change.channel not in CHANNELS or (change.channel != STABLE and change.release is None):
            raise Invalid(f"a release goes to {' or '.join(CHANNELS)}, and nothing else goes to a channel")
        if change.release is not None and filter_text.strip():
            raise Invalid("a release goes to every endpoint of its cells: a lease names nobody. Who shall not take it "
                          "is pinned by a policy there", filter=filter_text[:80])  # fmt: skip
        policy = policy_for(REHEARSAL_MAX if pace == "rehearsal" else SIZE_MAX, pace)
        await self._refuse_superseded(principal.tenant_id)
        policy = policy if change.kind == "updates" else for_release(policy)
        now_ms, lead_id = self._clock.now_ms(), self._ids.new("ld")
        lead = Lead(lead_id, title.strip(), change, policy, render(parse(filter_text)), wanted, Wish.DRAFT,
                    principal.name, "", planner.first_blueprint(lead_id, now_ms), created_ms=now_ms,
                    created_by=principal.name, salt="" if change.release is None else self._ids.secret())  # fmt: skip
        async with self._db.tenant(principal.tenant_id) as conn:
            await leads.insert(conn, principal.tenant_id, lead)
            after = {"title": lead.title, "cells": list(wanted), "filter": lead.filter, "pace": pace,
                     "updates": [f"{p.name}={p.version}" for p in change.updates]}  # fmt: skip
            await audit.append(conn, self._clock, principal, "lead.create", lead_id, None, after)
        await self._step(principal.tenant_id, lead_id)
        return await self.show(principal, lead_id)

    async def start(self, principal: Principal, lead_id: str) -> LeadView | Request:
        """From draft to its first ring, once every cell has told how many endpoints it has. In the fast lane: the
        request that a second person agrees to first."""
        principal.require("rollout.create")
        await self._refuse_superseded(principal.tenant_id)
        if (freeze := self._frozen(principal.tenant_id)) is not None:
            raise Frozen(f"Everything is {freeze.told()}.", freeze=freeze.freeze_id)
        view = await self.show(principal, lead_id)
        size = sum(c.eligible for c in view.cells)
        async with self._db.tenant(principal.tenant_id) as conn:
            lead = await self._locked(conn, lead_id)
        bake_s, tries = min(r.bake_s for r in lead.policy.rings), size <= REHEARSAL_MAX
        if bake_s < BAKE_S["emergency"] and not (tries and await self._approvals.in_first_week(principal.tenant_id)):
            raise Invalid(
                f"a rehearsal is for {REHEARSAL_MAX} endpoints in an organisation's first week; this one has {size}"
            )
        if bake_s < BAKE_S["careful"] and lead.wish is Wish.DRAFT:
            asked = await self._acts.before(principal, FAST, lead_id, _says_fast(lead, size), _moved(lead), size)
            if asked is not None:
                return asked
        await self._fit(principal.tenant_id, lead_id, size)
        return await self._wish(principal, lead_id, Wish.RUN, "", {Wish.DRAFT, Wish.RUN}, "lead.start")

    async def _fit(self, tenant_id: str, lead_id: str, size: int) -> None:
        """Its policy for as many endpoints as its cells have told of: a first ring of 100 is everybody in a small
        pool, and an early look or hours of spread are for many."""
        knows = {m.cell for m in await self._cells.members_of(tenant_id) if m.leads >= FIT_KNOWN}
        async with self._db.tenant(tenant_id) as conn:
            lead = await self._locked(conn, lead_id)
            if lead.wish is Wish.DRAFT and (fitted := fit(lead, size, whole=knows >= set(lead.cells))) != lead:
                await leads.set_policy_of_lead(conn, fitted)

    async def _start_agreed(self, agreed: Agreed, lead_id: str, _: Mapping[str, Any], situation: str) -> None:
        principal = agreed.principal
        if await self._situation(principal.tenant_id, FAST, lead_id) != situation:
            raise Overtaken("the lead has moved since")
        await self._refuse_superseded(principal.tenant_id)
        if (freeze := self._frozen(principal.tenant_id)) is not None:
            raise Frozen(f"Everything is {freeze.told()}.", freeze=freeze.freeze_id)
        size = sum(c.eligible for c in (await self.show(principal, lead_id)).cells)
        await self._fit(principal.tenant_id, lead_id, size)
        await self._wish(principal, lead_id, Wish.RUN, "", {Wish.DRAFT}, "lead.start")

    async def _situation(self, tenant_id: str, act: str, lead_id: str) -> str:
        """For two people: what they agree about, as it is now."""
        if act == TAKE:
            return await self.taking.situation(tenant_id, lead_id)
        async with self._db.tenant(tenant_id) as conn:
            found = await leads.get(conn, lead_id)
            return _moved(found[0]) if found is not None else "it is gone"

    async def take(self, principal: Principal, lead_id: str, reason: str) -> LeadView | Request:
        """Lead on what a lost conductor led (`taking`); the request that a second person agrees to first."""
        if (asked := await self.taking.take(principal, lead_id, reason)) is not None:
            return asked
        await self._step(principal.tenant_id, lead_id)
        return await self.show(principal, lead_id)

    async def _refuse_superseded(self, tenant_id: str) -> None:
        if why := superseded(await self._cells.members_of(tenant_id)):
            raise Conflict(f"{why}; nothing is led from here before its cells have joined it again, one generation on")

    # --- the rest of what people do -----------------------------------------------------------------------------------

    async def pause(self, principal: Principal, lead_id: str, reason: str = "") -> LeadView:
        """Every cell holds with its next exchange."""
        principal.require("rollout.brake")
        return await self._wish(principal, lead_id, Wish.PAUSE, reason, {Wish.RUN, Wish.PAUSE}, "lead.pause")

    async def resume(self, principal: Principal, lead_id: str, reason: str) -> LeadView:
        """Go on after a pause. What was halted stays so: a new lead begins with the first ring."""
        principal.require("rollout.resume")
        if not reason.strip():
            raise Invalid("say why: the reason is kept in the log for those who come after you")
        await self._refuse_superseded(principal.tenant_id)
        return await self._wish(principal, lead_id, Wish.RUN, reason, {Wish.PAUSE}, "lead.resume")

    async def brake(self, principal: Principal, lead_id: str) -> LeadView:
        """Stop it in every cell, with their next exchange; who cannot be reached stops when its grant ends."""
        principal.require("rollout.brake")
        return await self._wish(principal, lead_id, Wish.BRAKE, "", set(Wish) - {Wish.WITHDRAW}, "lead.brake")

    async def _wish(self, principal: Principal, lead_id: str, wish: Wish, reason: str, allowed: set[Wish],
                    action: str) -> LeadView:  # fmt: skip
        async with self._db.tenant(principal.tenant_id) as conn:
            lead = await self._locked(conn, lead_id)
            if lead.wish not in allowed or (over(lead) and wish is not Wish.BRAKE):
                raise Conflict(f"cannot {action.partition('.')[2]}: it is {lead.blueprint.phase.value}", id=lead_id)
            if lead.wish is not wish:
                await leads.set_wish(conn, lead_id, wish, principal.name, reason.strip()[:500])
                await audit.append(conn, self._clock, principal, action, lead_id, {"wish": lead.wish.value},
                                   {"wish": wish.value, "reason": reason.strip()[:500]})  # fmt: skip
        await self._step(principal.tenant_id, lead_id)
        return await self.show(principal, lead_id)

    async def _locked(self, conn: Connection, lead_id: str) -> Lead:
        found = await leads.lock(conn, lead_id)
        if found is None:
            raise NotFound("no such lead; `brakeline lead list` has them", id=lead_id[:40])
        return found

    async def list(self, principal: Principal) -> tuple[LeadView, ...]:
        """Newest first."""
        principal.require("rollout.read")
        members = await self._cells.members_of(principal.tenant_id)
        async with self._db.tenant(principal.tenant_id) as conn:
            return tuple([await self._view(conn, lead, report, members) for lead, report in await leads.page(conn)])

    async def show(self, principal: Principal, lead_id: str) -> LeadView:
        """One, cells times rings."""
        principal.require("rollout.read")
        members = await self._cells.members_of(principal.tenant_id)
        async with self._db.tenant(principal.tenant_id) as conn:
            found = await leads.get(conn, lead_id)
            if found is None:
                raise NotFound("no such lead; `brakeline lead list` has them", id=lead_id[:40])
            return await self._view(conn, *found, members)

    async def _view(self, conn: Connection, lead: Lead, report: Report, members: tuple[Member, ...]) -> LeadView:
        cells = await self._standings(conn, lead, members)
        said = {x.data["cell"]: x for x in report.lines if x.gate == "cells"}
        regions = {m.cell: m.region for m in members}
        why = report.lines[0].text if report.lines else lead.blueprint.why
        return LeadView(
            lead.lead_id, lead.title, lead.blueprint.phase.value, why, lead.filter,
            tuple(f"{p.name}={p.version}" for p in lead.change.updates),
            tuple(r.name for r in lead.plan) or tuple(r.name for r in lead.policy.rings[:1]), lead.blueprint.ring,
            tuple(_cell_view(lead, c, regions.get(c.cell, ""), said.get(c.cell)) for c in cells),
            report.lines, lead.created_ms, lead.created_by, lead.change.kind,
            told(lead.change.wished) if lead.change.wished is not None else (), lead.wish.value,
            lead.change.channel if lead.change.release is not None else "",
        )  # fmt: skip

    # --- cells --------------------------------------------------------------------------------------------------------

    async def on_exchange(self, body: bytes) -> Signed | Later:
        """Take in what a cell tells, give back how far it may go; or, where that is nothing new to it, what gives it
        back as soon as it is. `cells.decide.Doubt` for what is not believed."""
        heard = await self._cells.on_exchange(body)
        tenant_id, member = heard.tenant_id, heard.member
        if self.waiting.too_often(tenant_id, member.cell, self._clock.monotonic_s()):
            raise Unavailable("this cell calls more often than any exchange of ours does; come again in some seconds")
        place = self.waiting.take(tenant_id, member.cell)  # before the first look, so that nothing new is missed
        doubt = member.doubt or await self._take_in(tenant_id, member, heard.said)
        if not doubt:
            await self.taking.keep(tenant_id, member, heard.said)
        if doubt and not member.doubt:
            await self._cells.doubt(tenant_id, member.link_id, doubt)
        given = await self._granted(tenant_id, member.cell)
        trouble = f"the conductor does not believe this cell: {doubt}" if doubt else ""
        if member.state is MemberState.DRAINED:
            trouble = "this cell is drained: the conductor lets it take no part"
        if place is not None and heard.held_s and not trouble and essence(given.values()) == heard.has:
            place.given = given | place.given  # what it was told meanwhile is newer
            return lambda: self._held(heard, place)
        self.waiting.leave(tenant_id, member.cell, place)
        return self._answer(heard, given, trouble, holds=place is not None)

    async def _held(self, heard: Heard, place: Place) -> Signed:
        """The answer to a cell that knows all there is, when there is more, or when its waiting is over."""
        tenant_id, cell = heard.tenant_id, heard.member.cell
        try:
            news = await place.until_news(heard.has, heard.held_s)
        finally:
            self.waiting.leave(tenant_id, cell, place)
        return self._answer(heard, place.given if news else await self._granted(tenant_id, cell), "")

    def _answer(self, heard: Heard, given: dict[str, Grant], trouble: str, holds: bool = True) -> Signed:
        return self._cells.answer(heard, tuple(map(self._signed, given.values())), trouble, holds)

    async def _granted(self, tenant_id: str, cell: str) -> dict[str, Grant]:
        """A step of every live lead; what the cell is granted by them."""
        async with self._db.tenant(tenant_id) as conn:
            ids = await leads.live(conn, self._clock.now_ms() - WATCH_MS)
        found = {lead_id: (await self._step(tenant_id, lead_id)).get(cell) for lead_id in ids}
        return {lead_id: grant for lead_id, grant in found.items() if grant is not None}

    async def _take_in(self, tenant_id: str, member: Member, said: Exchange) -> str:
        """Keep what can be true; why something cannot, "" = all can."""
        now_ms = self._clock.now_ms()
        async with self._db.tenant(tenant_id) as conn:
            for report in said.reports:
                lead = await leads.lock(conn, report.lead_id)
                if lead is None:
                    continue  # made after the backup that this database was restored from: nobody goes on with it
                if member.cell not in lead.cells:
                    return "it reports a lead in which it takes no part"
                last = (await leads.reports(conn, report.lead_id)).get(member.cell)
                before, most = last[0] if last else None, lead.granted(member.cell)
                if problem := decide.plausible(report, before, most) or led.odd(report):
                    return problem
                await leads.put_report(conn, tenant_id, member.cell, report, now_ms)
        return ""

    async def reconcile(self) -> str:
        """A step of every live lead: time passes for those that nobody calls about, too."""
        n = 0
        async with self._db.system() as conn:
            tenants = [r["tenant_id"] for r in await conn.fetch("SELECT tenant_id FROM brakeline.tenants()")]
        for tenant_id in tenants:
            async with self._db.tenant(tenant_id) as conn:
                ids = await leads.live(conn, self._clock.now_ms() - WATCH_MS)
            for lead_id in ids:
                await self._step(tenant_id, lead_id)
                n += 1
        return f"{n} leads"

    async def _step(self, tenant_id: str, lead_id: str) -> dict[str, Grant]:
        """Decide once; what each cell is granted by it."""
        now_ms = self._clock.now_ms()
        members = await self._cells.members_of(tenant_id)
        no_more = superseded(members)
        async with self._db.tenant(tenant_id) as conn:
            lead = await leads.lock(conn, lead_id)
            if lead is None:
                return {}
            cells = await self._standings(conn, lead, members)
            moved, report = conduct(self._stopped(tenant_id, lead, no_more), cells, now_ms)
            await leads.save(conn, moved, report, now_ms)
        if moved.blueprint != lead.blueprint:
            await self._bus.publish(f"lead:{tenant_id}", lead_id)
        generations = {m.cell: m.generation for m in members}
        granted = {
            cell: _as_of(grant, generations[cell], no_more)
            for cell, grant in grants(moved, cells, report, now_ms).items()
        }
        self.waiting.tell(tenant_id, lead_id, granted)
        return granted

    def _signed(self, grant: Grant) -> Signed:
        """A grant as it goes out; of a release with what the launchers of that cell verify themselves, where something
        is granted."""
        if not grant.draw_below:
            return self._cells.sign_grant(grant)
        release = decode(Change, grant.change.encode()).release
        if release is None:
            return self._cells.sign_grant(grant)
        key, said = self._cells.conductor, for_endpoints(grant, release.sha256)
        return self._cells.sign_grant(replace(grant, lease=signing.grant_text(said, key.public_hex, key.sign)))

    def _stopped(self, tenant_id: str, lead: Lead, no_more: str) -> Lead:
        """While everything is frozen here, a lead that is to run waits for a person in every cell; so it does for good
        where cells believe a newer conductor."""
        if no_more and lead.wish is Wish.RUN:
            return replace(lead, wish=Wish.PAUSE, wish_by="the newer conductor", wish_reason=no_more)
        freeze = self._frozen(tenant_id)
        if freeze is None or lead.wish is not Wish.RUN:
            return lead
        return replace(lead, wish=Wish.PAUSE, wish_by=f"FREEZE of {freeze.by}", wish_reason=freeze.reason)

    async def _standings(self, conn: Connection, lead: Lead, members: tuple[Member, ...]) -> tuple[Standing, ...]:
        reports = await leads.reports(conn, lead.lead_id)
        known = {m.cell: m for m in members}
        return tuple(_standing(c, known.get(c), reports.get(c)) for c in lead.cells)


def fit(lead: Lead, size: int, whole: bool) -> Lead:
    """Its ready-made policy for `size` endpoints. `whole`: every cell takes another policy while nobody has a ring
    there; else rings alone are fitted, and what cells were told of change and policy stays word for word."""
    pace = next((p for p in PACES if policy_for(SIZE_MAX, p).rings == lead.policy.rings), "")
    if not pace or not size:
        return lead
    fitted = policy_for(size, pace)
    if not whole:
        return replace(lead, policy=replace(lead.policy, rings=fitted.rings), told=words(lead))
    fitted = fitted if lead.change.kind == "updates" else for_release(fitted)
    change, _ = words(lead)
    return replace(lead, policy=fitted, told=(change, words(replace(lead, policy=fitted, told=()))[1]))


def _as_of(grant: Grant, generation: int, no_more: str) -> Grant:
    """In which generation it is granted; where cells believe a newer conductor, nothing but a hold or a halt is."""
    if no_more and grant.stand is not Stand.HALT:
        grant = replace(grant, stand=Stand.HOLD, why=no_more, draw_below=0)
    return replace(grant, generation=generation)


def _moved(lead: Lead) -> str:
    return f"generation {lead.blueprint.generation}, {lead.blueprint.phase.value}, {lead.wish.value}"


def _says_fast(lead: Lead, size: int) -> tuple[str, ...]:
    hours = min(r.bake_s for r in lead.policy.rings) / 3600
    updates = ", ".join(f"{p.name} {p.version}" for p in lead.change.updates[:5])
    does, wished = f"It installs {updates}.", lead.change.wished
    if wished is not None:
        does = f"It leads policy {wished.name}, for {wished.filter or 'everybody'}: {'; '.join(told(wished))}."
    return (
        f"Start lead {lead.title} ({lead.lead_id}) in the fast lane: {size} endpoints of {len(lead.cells)} cells, each "
        f"ring watched for {hours:g} h instead of {BAKE_S['careful'] // 3600} h.",
        f"{does} Budgets, windows and the brake of each cell hold all the same.",
    )


def _standing(cell: str, m: Member | None, told: tuple[CellReport, int] | None) -> Standing:
    report, heard_ms = told if told is not None else (None, 0)
    if m is None or m.state is MemberState.INVITED:
        return Standing(cell, "", MemberState.ISOLATED, report, heard_ms)
    return Standing(cell, m.link_id, m.state, report, heard_ms, m.doubt, m.leads)


def _cell_view(lead: Lead, c: Standing, region: str, line: Line | None) -> CellView:
    r = c.report
    parts = r.parts if r is not None else ()
    state = REFUSED if not follows(lead, c) or (r is not None and r.refused) else r.phase.value if r else "unknown"
    return CellView(
        c.cell, region, state, r.ring if r is not None else -1,
        tuple(x.uptos.get(c.cell, 0) for x in lead.plan), lead.granted(c.cell), r.treated if r is not None else 0,
        sum(p.proven for p in parts), sum(p.failed for p in parts), r.eligible if r is not None else 0, c.heard_ms,
        line.text if line is not None else "", line is not None and line.state.value in ("ok", "wait"),
    )  # fmt: skip
