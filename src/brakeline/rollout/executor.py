"""The reconciler: brings every live rollout from what is observed to the next blueprint. Doing, not deciding.

Takes no input, may run twice, late or beside another process, and comes to the same end: one step is one transaction
that locks the rollout (those who offer hold it shared), reads what changed (`following`), saves evidence, plans, lints
and publishes by compare-and-swap on the parent generation. A blueprint that lint refuses is not published; the rollout
stands still and says so. Steps of one tenant follow each other, so that one that fails is forgotten before the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from weakref import WeakValueDictionary

from brakeline.core.clock import Clock
from brakeline.fleet.model import Presence
from brakeline.fleet.service import FleetService
from brakeline.platform.bus import Bus
from brakeline.platform.database import Connection, Database
from brakeline.platform.driver import Turns
from brakeline.rollout import led, lint, planner, untaken
from brakeline.rollout.budget import Allowance
from brakeline.rollout.following import WHO, Following
from brakeline.rollout.frozen import explained, held
from brakeline.rollout.giving import give_way
from brakeline.rollout.journal import BrakeJournal
from brakeline.rollout.led import Led
from brakeline.rollout.limit_within import within
from brakeline.rollout.limits import Limits, TenantLimits
from brakeline.rollout.model import Blueprint, Line, Phase, Report, State, Wish
from brakeline.rollout.pooled import Pooled
from brakeline.rollout.pooled import explained as pooled_explained
from brakeline.rollout.situation import Situation, quarantined_elsewhere
from brakeline.rollout.store import arms as arms_store
from brakeline.rollout.store import offers, rollouts
from brakeline.rollout.store.rollouts import RolloutRow, Sample
from brakeline.tenancy import audit
from brakeline.tenancy.model import system_principal

RECONCILE_S: Final = 1.0  # also the sampling of presence: far below the shortest grace (three check-in intervals)
WATCH_MS: Final = 7 * 86_400_000  # an ended rollout is watched for a week: late defects halt it still
EXPIRY_SLACK_MS: Final = 5_000  # an endpoint's clock and network may lag: it was heard this long after the expiry
NOBODY_LEADS: Final = Led("", "", None, trouble="this process hears of no conductor")


class PoolsOf(Protocol):
    """What several organisations know together (`pools.Pools`)."""

    async def judged_by(self, conn: Connection, situation: Situation, now_ms: int) -> Pooled: ...


LedOf = Callable[[Connection, str, str], Awaitable[Led]]  # of a tenant's rollout


@dataclass(frozen=True, slots=True)
class Stepped:
    """What one step came to."""

    rollout_id: str
    blueprint: Blueprint
    moved: bool
    why: str


class Executor:
    """See the module."""

    def __init__(self, db: Database, clock: Clock, bus: Bus, fleet: FleetService, journal: BrakeJournal,
                 refresh: Callable[[str], Awaitable[object]], limits: Limits) -> None:  # fmt: skip
        """`refresh` reads a tenant's rollouts again; done before anybody is told, who would else see the older ones."""
        self._db, self._clock, self._bus, self._fleet, self._journal = db, clock, bus, fleet, journal
        self._refresh, self._limits = refresh, limits
        self.following = Following(fleet)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # by tenant
        self._samples: dict[str, tuple[int, int, int, int]] = {}
        self.led_of: LedOf | None = None  # `linked.Linked` puts itself here; without it what is led holds
        self.pools: PoolsOf | None = None  # `pools.Pools` puts itself here; without it each is judged alone

    async def tenants(self) -> list[str]:
        """Ids of all tenants."""
        async with self._db.system() as conn:
            return [r["tenant_id"] for r in await conn.fetch("SELECT tenant_id FROM brakeline.tenants()")]

    async def reconcile(self, without: Collection[str] = ()) -> str:
        """One step of every live rollout of every tenant but some. Raises what failed first, at the end."""
        tenants = await self.tenants()
        for gone in self.following.tenants() - set(tenants):
            self.following.leave(gone)
        steps, turns = list[Stepped](), Turns("rollouts")
        for tenant_id in [t for t in tenants if t not in without]:
            with turns.turn(tenant=tenant_id):
                steps += await self.reconcile_tenant(tenant_id)
        turns.end()
        moved = [f"{s.rollout_id}: {s.why}" for s in steps if s.moved]
        return "; ".join(moved) or f"{len(steps)} rollouts, none moved"

    async def reconcile_tenant(self, tenant_id: str) -> list[Stepped]:
        """One step of every live rollout of one tenant. Raises as `reconcile`."""
        async with self._db.tenant(tenant_id) as conn:
            rows = await rollouts.live(conn, self._clock.now_ms() - WATCH_MS)
        if not rows:
            async with self._alone(tenant_id):
                self.following.leave(tenant_id)
            return []
        limits, presence = await self._limits.of_tenant(tenant_id), await self.following.hear(tenant_id)
        steps, turns = list[Stepped | None](), Turns("rollouts")
        for row in rows:
            with turns.turn(tenant=tenant_id, rollout=row.rollout_id):
                steps.append(await self._one(tenant_id, row.rollout_id, presence, limits))
        turns.end()
        return [s for s in steps if s is not None]

    async def step(self, tenant_id: str, rollout_id: str) -> Stepped | None:
        """One step of one rollout, now."""
        limits, presence = await self._limits.of_tenant(tenant_id), await self.following.hear(tenant_id)
        return await self._one(tenant_id, rollout_id, presence, limits)

    async def look(self, tenant_id: str, row: RolloutRow) -> Situation | None:
        """What is kept of a rollout, with what changed since; None = nothing is, so whoever asks reads it. Not inside a
        transaction that holds the rollout: a step may wait for that."""
        if not self.following.has(tenant_id, row.rollout_id):
            return None
        presence = await self.following.hear(tenant_id)
        async with self._alone(tenant_id):
            try:
                async with self._db.tenant(tenant_id) as conn:
                    return await self.following.situation(
                        conn, tenant_id, row, presence, frozenset(), None, self._clock.now_ms()
                    )  # fmt: skip
            except BaseException:
                self.following.forget(tenant_id, row.rollout_id)
                raise

    def _alone(self, tenant_id: str) -> asyncio.Lock:
        return self._locks.setdefault(tenant_id, asyncio.Lock())

    async def _one(self, tenant_id: str, rollout_id: str, presence: Mapping[str, Presence],
                   limits: TenantLimits) -> Stepped | None:  # fmt: skip
        async with self._alone(tenant_id):
            try:
                stepped = await self._step(tenant_id, rollout_id, presence, limits)
            except BaseException:
                self.following.forget(tenant_id, rollout_id)
                raise
        if stepped is not None and stepped.moved:
            await self._refresh(tenant_id)
            await self._bus.publish(f"rollout:{tenant_id}", rollout_id)
        return stepped

    async def _step(self, tenant_id: str, rollout_id: str, presence: Mapping[str, Presence],
                    limits: TenantLimits) -> Stepped | None:  # fmt: skip
        now_ms = self._clock.now_ms()
        async with self._db.tenant(tenant_id) as conn:
            row = await rollouts.lock(conn, rollout_id, change=True)
            if row is None:
                return None
            await self._expire(conn, row, presence, now_ms)
            pressed = await self._pressed(conn, tenant_id, row, now_ms)
            elsewhere = await quarantined_elsewhere(conn, rollout_id)
            freeze = self._journal.frozen(tenant_id)
            seen = await self.following.situation(conn, tenant_id, row, presence, elsewhere, pressed, now_ms)
            situation = held(seen, freeze)
            await arms_store.save_evidence(conn, rollout_id, situation.changed)
            await give_way(conn, tenant_id, situation, now_ms)
            if situation.taken:
                await arms_store.mark_taken(conn, rollout_id, situation.taken, now_ms)
            pooled = await self._pooled(conn, situation, now_ms)
            planned = planner.decide(row.policy, row.blueprint, pooled.seen, now_ms)
            planned = pooled_explained(pooled, row.policy, row.blueprint, *planned, now_ms)
            proposed, report = explained(situation, *planned, freeze)
            leading = await self.leading(conn, tenant_id, row)
            if leading is not None:
                proposed, report = led.bounded(row.blueprint, proposed, report, leading, now_ms)
            allowed = await self._limits.allowance(conn, row, situation.targets, limits)
            proposed, report = within(situation, proposed, report, allowed, now_ms)
            if leading is not None:
                proposed, report = _within_grant(situation, proposed, report, leading, now_ms)
            stepped = await self._publish(conn, tenant_id, situation, proposed, report, allowed, now_ms)
            await self._sample(conn, tenant_id, rollout_id, now_ms)
        return stepped

    async def _pooled(self, conn: Connection, situation: Situation, now_ms: int) -> Pooled:
        if self.pools is None:
            return Pooled(situation.summary, situation.summary)
        return await self.pools.judged_by(conn, situation, now_ms)

    async def leading(self, conn: Connection, tenant_id: str, row: RolloutRow) -> Led | None:
        """What a conductor lets this rollout do; None = nobody leads it."""
        if not row.policy.led:
            return None
        return await self.led_of(conn, tenant_id, row.rollout_id) if self.led_of is not None else NOBODY_LEADS

    async def _pressed(self, conn: Connection, tenant_id: str, row: RolloutRow, now_ms: int) -> str | None:
        """Who pressed according to the journal; a press that the database missed is written down now.

        What was withdrawn since stays withdrawn, which is more final.
        """
        by = self._journal.all_pressed(tenant_id).get(row.rollout_id)
        if row.wish is Wish.WITHDRAW:
            return None
        if by is not None and row.wish is not Wish.BRAKE:
            await rollouts.set_wish(conn, row.rollout_id, Wish.BRAKE, by, "from the brake journal", now_ms)
            await rollouts.add_event(conn, tenant_id, row.rollout_id, now_ms, "brake", by, "taken from the journal")
            who, after = system_principal(tenant_id, "brake journal"), {"wish": Wish.BRAKE.value, "by": by}
            await audit.append(conn, self._clock, who, "rollout.brake", row.rollout_id, {"wish": row.wish.value}, after)
        return by

    async def _expire(self, conn: Connection, row: RolloutRow, presence: Mapping[str, Presence], now_ms: int) -> None:
        """Close offers whose time is over and whose endpoint was heard since without having started."""
        for offer in await offers.overdue(conn, row.rollout_id, now_ms - EXPIRY_SLACK_MS):
            seen = presence.get(offer.endpoint_id)
            if seen is not None and seen.last_check_in_ms > offer.expires_ms + EXPIRY_SLACK_MS:
                await offers.close(conn, [offer.offer_id], "expired", now_ms)
                await arms_store.expire(conn, row.rollout_id, offer.endpoint_id, untaken.NO_WORD, untaken.AGAIN, now_ms)

    async def _publish(self, conn: Connection, tenant_id: str, situation: Situation, proposed: Blueprint,
                       report: Report, allowed: Allowance, now_ms: int) -> Stepped:  # fmt: skip
        row, current = situation.row, situation.row.blueprint
        problems = lint.check(row.policy, current, proposed, situation.observed, allowed)
        if problems:
            lines = tuple(Line("lint", State.HOLD, f"not published: {p.rule}: {p.text}") for p in problems)
            report, proposed = Report((*lines, *report.lines)), current
        await rollouts.set_report(conn, row.rollout_id, report, now_ms)
        if proposed == current or not await rollouts.publish(conn, tenant_id, proposed):
            return Stepped(row.rollout_id, current, False, current.why)
        await arms_store.open_ticks(conn, tenant_id, row.rollout_id, proposed.gates, now_ms)
        await arms_store.cross(conn, row.rollout_id, proposed.gates, now_ms)
        await self._tell(conn, tenant_id, row, proposed, now_ms)
        return Stepped(row.rollout_id, proposed, True, proposed.why)

    async def _tell(self, conn: Connection, tenant_id: str, row: RolloutRow, new: Blueprint, now_ms: int) -> None:
        text = f"generation {new.generation}: {new.why}"
        await rollouts.add_event(conn, tenant_id, row.rollout_id, now_ms, new.phase.value, WHO, text)
        brings_none = row.change.takes_back or row.change.is_drill or row.change.is_restart
        keeps_out = not brings_none  # no version that harms came with it
        if new.phase is Phase.HALTED and row.blueprint.phase is not Phase.HALTED and keeps_out:
            await rollouts.quarantine(conn, tenant_id, row.rollout_id, row.change.updates, new.why, now_ms)
            names = ", ".join(f"{p.name} {p.version}" for p in row.change.updates)
            await rollouts.add_event(
                conn, tenant_id, row.rollout_id, now_ms, "quarantine", WHO, f"quarantined: {names}"
            )

    async def _sample(self, conn: Connection, tenant_id: str, rollout_id: str, now_ms: int) -> None:
        """A point of the chart whenever a count changed."""
        now = self.following.sample(tenant_id, rollout_id, now_ms)
        if now[0] and self._samples.get(rollout_id) != now:
            self._samples[rollout_id] = now
            await rollouts.add_sample(conn, tenant_id, rollout_id, Sample(now_ms, *now))


def _within_grant(
    situation: Situation, proposed: Blueprint, report: Report, leading: Led, now_ms: int
) -> tuple[Blueprint, Report]:
    """The second look at what a led rollout is about to do: what goes beyond its grant is not published."""
    seen, current = situation.summary, situation.row.blueprint
    counted = sum(p.counted for p in seen.parts)
    spent = {(t.region, t.tick): t.treated for t in seen.ticks}
    problems = () if proposed == current else tuple(led.exceeds(proposed, leading, counted, spent, now_ms))
    if not problems:
        return proposed, report
    lines = tuple(Line("lint", State.HOLD, f"not published: within-grant: {text}") for text in problems)
    return current, Report((*lines, *report.lines))
