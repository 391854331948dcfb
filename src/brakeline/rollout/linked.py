"""The cell's end of a lead: tells the conductor its numbers, takes what it grants, makes the rollouts that follow.

Invariants: the cell calls (`calling` says when); an exchange that fails changes nothing but what is said of the link,
so grants run out and what is led holds; a grant makes a rollout over this cell's own matching endpoints, inside its own
budgets, windows, freeze and brake; a faster pace than the careful one is refused here, whatever the conductor signs;
answers are acted on as they come, and none after one to a newer message.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from prometheus_client import Counter

from brakeline.cells import decide
from brakeline.cells.decide import Doubt
from brakeline.cells.model import (
    LEADS_KNOWN,
    REPORTS_MAX,
    Answer,
    CellPhase,
    CellReport,
    Grant,
    Link,
    Orphan,
    Refusal,
    Signed,
    Stand,
)
from brakeline.cells.service import CellsService
from brakeline.core.errors import Fault
from brakeline.platform.database import Connection
from brakeline.platform.observe import REGISTRY, logger
from brakeline.protocol.channels import CHANNELS, STABLE
from brakeline.protocol.codec import Malformed, decode
from brakeline.protocol.messages import Settings
from brakeline.rollout import led
from brakeline.rollout.conduct import CELL_ALPHA_MIN
from brakeline.rollout.lanes import REHEARSAL_MAX, why_faster
from brakeline.rollout.led import Led
from brakeline.rollout.live import SETTINGS
from brakeline.rollout.model import Change, Policy, Wish
from brakeline.rollout.presets import policy_for
from brakeline.rollout.releasing import Releasing
from brakeline.rollout.service import RolloutService
from brakeline.rollout.settings import UNDER_WAY, led_change
from brakeline.rollout.store import leads
from brakeline.rollout.store.leads import LedRow
from brakeline.rollout.wished import Wished
from brakeline.tenancy.model import PERMISSIONS, Principal
from brakeline.trust.statements import SALT_BYTES

EXCHANGES = Counter("brakeline_cell_exchanges", "Exchanges with the conductor", ["outcome"], registry=REGISTRY)
EXCHANGE_S: Final = 2.0  # between two calls where neither end has news and the conductor holds no answer open
TOLD_MS: Final = 3_600_000  # an ended lead is told of for as long as its conductor speaks of it
LATER_FIELDS: Final = ("harms", "vitals")  # of a report: signals that came after the first
LATER_FIGURES: Final = ("asked", "untaken")  # of a part of a report
LEADS: Final = "leads"  # of the message itself: what can be led here
LATER: Final = (*LATER_FIELDS, *LATER_FIGURES, LEADS)
TRIED_AGAIN: Final = 500  # exchanges after which a conductor that refused a field may have been updated
NO_LINK: Final = "this cell has no conductor any more"


@dataclass(frozen=True, slots=True)
class Came:
    """What one exchange came to. `again`: the conductor has told all it has, and holds the next answer open."""

    text: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class Tells:
    """What a cell tells. `orphans`: leads of a conductor that it has left."""

    reports: tuple[CellReport, ...] = ()
    orphans: tuple[Orphan, ...] = ()


class FollowsSettings(Protocol):
    """Whoever holds the settings of endpoints (`remediation.leading`)."""

    async def led_targets(self, tenant_id: str, wished: Wished) -> Mapping[str, Settings]: ...
    async def follow_led(
        self, who: Principal, change: Change, policy: Policy, targets: Mapping[str, Settings]
    ) -> str: ...
    async def settle_led(self, who: Principal, lead_id: str, wished: Wished) -> None: ...
    def led_refusal(self, fault: Fault) -> int: ...


class Linked:
    """See the module. Puts itself into the executor."""

    def __init__(self, rollouts: RolloutService, cells: CellsService, releasing: Releasing | None = None) -> None:
        """`releasing`: who leases releases here; without it none is led."""
        self._rollouts, self._cells, self._releasing = rollouts, cells, releasing
        rollouts.executor.led_of = self.led_of
        self.settings: FollowsSettings | None = None  # without it no settings are led
        self._waiting: dict[str, str] = {}  # leads that were refused here, and why
        self._refusals: dict[str, dict[str, int]] = defaultdict(dict)  # by organisation: leads of settings, by number
        self._plain: dict[str, dict[str, int]] = defaultdict(dict)  # by link: fields its conductor refuses, since when
        self._has: dict[str, str] = {}  # by organisation: essence of what the conductor told last
        self._sent: dict[str, int] = defaultdict(int)  # exchanges begun
        self._acted: dict[str, int] = defaultdict(int)  # the newest of them that was acted on
        self._acting: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def led_of(self, conn: Connection, tenant_id: str, rollout_id: str) -> Led:
        """For the executor: what the conductor lets a rollout do."""
        row = await leads.led_of(conn, rollout_id)
        found = self._led(row, await self._cells.link_in(conn), tenant_id)
        self._lease(tenant_id, rollout_id, None if found.isolated else found.grant)
        return found

    def _left_out(self, link_id: str, number: int) -> tuple[str, ...]:
        """Fields that its conductor does not know, unless it may have been updated since: then it is tried again."""
        self._plain[link_id] = {f: n for f, n in self._plain[link_id].items() if number - n < TRIED_AGAIN}
        return tuple(self._plain[link_id])

    def _lease(self, tenant_id: str, rollout_id: str, grant: Grant | None) -> None:
        """What may be leased of a release, from now on."""
        if self._releasing is None:
            return
        if grant is not None and grant.lease:
            self._releasing.grants[(tenant_id, rollout_id)] = grant
        else:
            self._releasing.grants.pop((tenant_id, rollout_id), None)

    def _led(self, row: LedRow | None, link: Link | None, tenant_id: str) -> Led:
        if row is None:
            return Led("", "", None, trouble=NO_LINK)
        if link is None or link.link_id != row.link_id:
            left = f"its conductor was left for {link.url}, which has not taken it over yet" if link else NO_LINK
            return Led(row.lead_id, "", replace(row.grant, expires_ms=0), trouble=left)
        trouble = self._waiting.get(f"{tenant_id}/{row.lead_id}", "") or link.trouble
        return Led(row.lead_id, "the conductor", row.grant, link.asked_ms, link.answered_ms, trouble, link.isolated)

    # --- each round ---------------------------------------------------------------------------------------------------

    async def reconcile(self) -> str:
        """One exchange of every organisation that has a conductor."""
        said = []
        for tenant_id in await self._rollouts.executor.tenants():
            link = await self._cells.link_of(tenant_id)
            if link is not None and not link.isolated:
                came = await self.exchange(tenant_id, link, await self.tells(tenant_id, link))
                said.append(came.text)
                await self.take_leave(tenant_id, link)
        return "; ".join(said) or "no conductor"

    async def believed(self, tenant_id: str) -> Link | None:
        """The conductor of an organisation, if this cell listens to one."""
        link = await self._cells.link_of(tenant_id)
        return link if link is not None and not link.isolated else None

    async def take_leave(self, tenant_id: str, link: Link) -> None:
        """Tell the conductors that were left for this one. Never raises for what they do."""
        await self._cells.leaving.tell(tenant_id, link)

    async def tenants(self) -> list[str]:
        """All organisations of this cell."""
        return await self._rollouts.executor.tenants()

    async def exchange(self, tenant_id: str, link: Link, tells: Tells, wait_s: int = 0) -> Came:
        """Tell, hear within `wait_s`, act; what it came to. Never raises for what the other end does."""
        self._sent[tenant_id] += 1
        number, answer = self._sent[tenant_id], None
        has = self._has.get(tenant_id, "") if wait_s else ""
        unknown = self._left_out(link.link_id, number)
        reports, can = without(tells.reports, unknown), 0 if LEADS in unknown else LEADS_KNOWN
        try:
            answer = await self._cells.exchange(tenant_id, link, reports, tells.orphans, wait_s, has, can)
            trouble = answer.trouble
        except Fault as e:
            trouble = e.detail or e.title
            if field := refused_field(e):
                self._plain[link.link_id][field] = number
        async with self._acting[tenant_id]:
            if number <= self._acted[tenant_id] or (answer is None and number < self._sent[tenant_id]):
                return Came("overtaken by a newer one")
            self._acted[tenant_id] = number
            now = await self.believed(tenant_id)
            if now is None or now.link_id != link.link_id:
                return Came("this cell has left that conductor, or is isolated from it, since")
            return await self._act(tenant_id, link, answer, trouble)

    async def _act(self, tenant_id: str, link: Link, answer: Answer | None, trouble: str) -> Came:
        refusals: dict[str, int] = {}  # instead of those before in one step: what is told meanwhile has all of either
        for signed in answer.grants if answer is not None else ():
            trouble = await self._take(tenant_id, link, signed, refusals) or trouble
        if answer is not None:
            self._refusals[tenant_id] = refusals
        await self._cells.settle(tenant_id, trouble, answer)
        well = answer is not None and not trouble
        self._has[tenant_id] = _essence(answer) if answer is not None and well else ""
        EXCHANGES.labels("heard" if well else "troubled").inc()
        return Came(trouble or "heard", again=answer is not None and well and answer.holds)

    async def tells(self, tenant_id: str, link: Link) -> Tells:
        """What the conductor leads here, in numbers, and what one before it has led and nobody leads now."""
        frozen = self._rollouts.journal.frozen(tenant_id) is not None
        async with self._rollouts.db.tenant(tenant_id) as conn:
            since_ms = self._rollouts.clock.now_ms() - TOLD_MS
            rows = await leads.led(conn, REPORTS_MAX, since_ms)
            known = {r.lead_id for r in rows}
            ended = [r for r in await leads.standing(conn) if r.lead_id not in known]
            mine = [r for r in rows if r.link_id == link.link_id]
            told = tuple([await self._report(conn, tenant_id, r, link, frozen) for r in mine])
            refused = {k: n for k, n in self._refusals[tenant_id].items() if k not in known}
            told += tuple(CellReport(k, 0, CellPhase.NOBODY, refused=n) for k, n in sorted(refused.items()))
            told = told[:REPORTS_MAX]  # a message with more would be refused whole
            others = [r for r in (*rows, *ended) if r.link_id != link.link_id and r.grant.generation < link.generation]
            return Tells(told, tuple([await self._orphan(conn, tenant_id, r) for r in others]))

    async def _orphan(self, conn: Connection, tenant_id: str, row: LedRow) -> Orphan:
        found = await self._rollouts.situation_of(conn, tenant_id, row.rollout_id) if row.rollout_id else None
        g, seen = row.grant, found.summary if found is not None else None
        halted = found is not None and found.row.blueprint.phase in led.STOPS
        return Orphan(
            g.lead_id, g.title, g.filter, g.change, g.policy, g.revision, Stand.HALT if halted else g.stand, g.rings,
            g.salt, seen.population if seen is not None else 0, sum(p.counted for p in seen.parts) if seen else 0,
        )  # fmt: skip

    async def _report(self, conn: Connection, tenant_id: str, row: LedRow, link: Link, frozen: bool) -> CellReport:
        found = await self._rollouts.situation_of(conn, tenant_id, row.rollout_id) if row.rollout_id else None
        if found is None:
            why = self._refusals[tenant_id].get(row.lead_id, 0)
            return CellReport(row.lead_id, row.grant.revision, CellPhase.NOBODY, refused=why)
        r, known = found.row, self._led(row, link, tenant_id)
        cause = led.cause_of(r.blueprint, r.report, found.summary.wish, found.summary.wish_by, frozen)
        return led.told(r.policy, r.blueprint, found.summary, known, cause, self._rollouts.clock.now_ms())

    # --- grants -------------------------------------------------------------------------------------------------------

    async def _take(self, tenant_id: str, link: Link, signed: Signed, refusals: dict[str, int]) -> str:
        """Act on one grant; why it is not believed or not followed, "" = it is. `refusals`: where the number goes."""
        now_ms = self._rollouts.clock.now_ms()
        try:
            lead_id = decode(Grant, signed.payload.encode()).lead_id
            async with self._rollouts.db.tenant(tenant_id) as conn:
                kept = await leads.led_by(conn, lead_id)
            grant = decide.granted(link, signed, kept.grant if kept else None, now_ms)
            await self._follow(tenant_id, link, kept, grant, signed.payload)
        except Fault as e:
            why = e.detail or e.title
            logger.warning("grant-refused", tenant=tenant_id, reason=why)
            return self._refused(tenant_id, signed, why, e, refusals)
        self._waiting.pop(f"{tenant_id}/{grant.lead_id}", None)
        return ""

    def _refused(self, tenant_id: str, signed: Signed, why: str, fault: Fault, refusals: dict[str, int]) -> str:
        with suppress(Malformed):
            grant = decode(Grant, signed.payload.encode())
            self._waiting[f"{tenant_id}/{grant.lead_id}"] = why
            if self.settings is not None and decode(Change, grant.change.encode()).wished is not None:
                fast, number = fault.context.get("why") == "fast", self.settings.led_refusal(fault)
                refusals[grant.lead_id] = Refusal.FASTER if fast else number
        return why

    async def _follow(self, tenant_id: str, link: Link, kept: LedRow | None, grant: Grant, text: str) -> None:
        who = Principal(tenant_id, link.link_id, "system", f"{led.BY}of {link.url}", PERMISSIONS)
        rollout_id = kept.rollout_id if kept else ""
        unopened, over = not any(r.upto for r in grant.rings), grant.stand is Stand.DONE
        missed = over and unopened and decode(Change, grant.change.encode()).release is None
        if not rollout_id and grant.stand is not Stand.HALT and unopened and not missed:
            rollout_id = await self._make(who, grant, link)
        elif rollout_id and kept and kept.grant.policy != grant.policy and grant.stand is not Stand.HALT:
            await self._fitted(who, rollout_id, grant, link)  # but of a halt, which opens nothing
        if missed:
            await self._settle(who, grant, rollout_id, settled=kept is not None and kept.grant.stand is Stand.DONE)
        async with self._rollouts.db.tenant(tenant_id) as conn:
            await leads.put_led(conn, tenant_id, grant, text, rollout_id, self._rollouts.clock.now_ms())
        if not rollout_id:
            return
        self._lease(tenant_id, rollout_id, grant)
        if grant.stand is Stand.HALT:
            await self._halt(who, rollout_id)
            return
        # each time: it may have been killed after it was written down and before it was acted on
        policy = led.policy_of(decode(Policy, grant.policy.encode()), grant)
        await self._rollouts.lead_on(who, rollout_id, policy)

    async def _halt(self, who: Principal, rollout_id: str) -> None:
        """As a press of the brake: durable before anything else, and told to endpoints at once."""
        found = await self._rollouts.stands(who.tenant_id, rollout_id)
        if found is None or found[0] in led.STOPS:  # by itself: its own reason stays
            return
        if found[1] not in (Wish.BRAKE, Wish.WITHDRAW):
            await self._rollouts.brake(who, rollout_id)

    async def _make(self, who: Principal, grant: Grant, link: Link) -> str:
        """A draft over this cell's own endpoints; "" where none is meant."""
        change, policy = _whole(grant)
        if change.release is not None:
            return await self._make_release(who, grant, link, change, policy)
        if change.wished is not None:
            return await self._make_settings(who, link, change, policy, change.wished)
        ids = await self._rollouts.fleet.matching(who.tenant_id, f"{grant.filter} state:active".strip())
        if not ids:
            return ""
        if why := too_fast(policy, change, len(ids), link.fast):
            raise Doubt(f"this cell takes no faster pace from a conductor: {why}", why="fast")
        return await self._rollouts.create(who, grant.title, change, policy, ids)

    async def _make_settings(self, who: Principal, link: Link, change: Change, policy: Policy, wished: Wished) -> str:
        if self.settings is None:
            raise Doubt("no settings are led here", why="kind")
        targets = await self.settings.led_targets(who.tenant_id, wished)
        if targets and (why := too_fast(policy, change, len(targets), link.fast)):
            raise Doubt(f"this cell takes no faster pace from a conductor: {why}", why="fast")
        return await self.settings.follow_led(who, change, policy, targets) if targets else ""

    async def _fitted(self, who: Principal, rollout_id: str, grant: Grant, link: Link) -> None:
        """Before anybody had a ring here the conductor has fitted the policy to how many endpoints there are: it is
        looked at as when it was drafted."""
        change, policy = _whole(grant)
        async with self._rollouts.db.tenant(who.tenant_id) as conn:
            found = await self._rollouts.situation_of(conn, who.tenant_id, rollout_id)
        if found is not None and (why := too_fast(policy, change, found.summary.population, link.fast)):
            raise Doubt(f"this cell takes no faster pace from a conductor: {why}", why="fast")

    async def _settle(self, who: Principal, grant: Grant, rollout_id: str, settled: bool) -> None:
        """A lead that had no ring here is done. A draft that nobody will ever open is taken back, so that it bars no
        other; where nobody was concerned, settings hold for whoever comes later. `settled`: that was done before.
        """
        found = await self._rollouts.stands(who.tenant_id, rollout_id) if rollout_id else None
        if found is not None and found[0] in UNDER_WAY and found[1] is not Wish.WITHDRAW:
            await self._rollouts.withdraw(who, rollout_id, "it has completed without this cell: it had no ring here")
        wished = _whole(grant)[0].wished
        if settled or wished is None or self.settings is None:
            return
        if late := len(await self.settings.led_targets(who.tenant_id, wished)):
            raise Doubt(f"it has completed without {late} endpoints of this cell, which it concerns only since its "
                        "last ring was planned: lead it again for them", why="late")  # fmt: skip
        await self.settings.settle_led(who, grant.lead_id, wished)

    async def _make_release(self, who: Principal, grant: Grant, link: Link, change: Change, policy: Policy) -> str:
        if self._releasing is None or len(grant.salt) != 2 * SALT_BYTES:
            raise Doubt("a release is led with a salt of 32 bytes", why="salt")
        if link.cell != self._cells.name:
            raise Doubt(f"endpoints know this cell as {self._cells.name}, its conductor as {link.cell}, so no lease of "
                        "a release would hold here: add the cell at the conductor under its own name",
                        why="name")  # fmt: skip
        size = len(await self._releasing.concerned(who, change.channel))
        if size and (why := too_fast(policy, change, size, link.fast)):
            raise Doubt(f"this cell takes no faster pace from a conductor: {why}", why="fast")
        return await self._releasing.follow(who, grant.title, change, policy, bytes.fromhex(grant.salt))


def without(reports: tuple[CellReport, ...], fields: Iterable[str]) -> tuple[CellReport, ...]:
    """For a conductor of a version before, which refuses what it does not know; this cell's own brake judges them."""
    left_out = frozenset(fields)
    nothing: dict[str, Any] = dict.fromkeys(left_out & {*LATER_FIELDS}, ())
    figures: dict[str, Any] = dict.fromkeys(left_out & {*LATER_FIGURES}, 0)
    if figures:
        reports = tuple(replace(r, parts=tuple(replace(p, **figures) for p in r.parts)) for r in reports)
    return tuple(replace(r, **nothing) for r in reports) if nothing else reports


def refused_field(refusal: Fault) -> str:
    """The field of later versions that a conductor says it does not know; "" = it says something else.

    A conductor names it. One of the version before has words for it only, which count where nothing is named.
    """
    if named := refusal.context.get("field"):
        return named if named in LATER else ""
    said = (f for f in LATER if f"has a field '{f}' that this version does not know" in refusal.detail)
    return next(said, "")


def _essence(answer: Answer) -> str:
    return decide.essence(decode(Grant, g.payload.encode()) for g in answer.grants)


def _whole(grant: Grant) -> tuple[Change, Policy]:
    """What is rolled out and how, understood whole or not at all."""
    change, policy = decide.whole(Change, grant.change), decide.whole(Policy, grant.policy)
    if change.kind != ("release" if change.release else SETTINGS if change.wished else "updates"):
        raise Doubt("only updates of vendors, releases and settings are led over cells", why="kind")
    if change.wished is not None and (
        change.wished.filter != grant.filter or change.updates != led_change(change.wished, "").updates
    ):
        raise Doubt("the words of the settings are not those that are named", why="words")
    if change.channel not in CHANNELS or (change.channel != STABLE and change.release is None):
        raise Doubt("it goes to a channel that this cell does not know", why="channel")
    if change.release is not None and grant.filter:
        raise Doubt("a release goes to every endpoint: a lease names nobody", why="filter")
    if policy.guard.alpha < CELL_ALPHA_MIN:
        raise Doubt("the conductor would make this cell's brake less sensitive than sharing among cells does",
                    why="alpha")  # fmt: skip
    return change, policy


def too_fast(policy: Policy, change: Change, size: int, fast: bool) -> str:
    """In which respect it is less careful than the careful pace, sizes of rings apart: those are granted one by one.
    Where two people of this cell let its conductor lead in the fast lane, than the emergency pace."""
    usual = policy_for(size, "emergency" if fast else "careful")
    if size <= REHEARSAL_MAX:
        return ""
    bake_s = min(r.bake_s for r in policy.rings)
    rings = tuple(replace(r, bake_s=bake_s) for r in usual.rings)
    return why_faster(replace(policy, rings=rings, guard=usual.guard), usual, change, size)
