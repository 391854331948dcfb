"""The check-in path: ready endpoints are randomised, offers are committed before they leave, results after they came.

What always holds, also after kill -9 anywhere: an offer that left is in the database as it left, so it can only be sent
again, never made again; an endpoint has at most one open offer over all rollouts; each offer is spent from the budgets
over all rollouts in its own transaction (`limits`), and nobody gets a new one in a freeze window; a braked rollout
(journal first) gets no assignment and no offer; a quarantined version is in no offered transaction, not even as a
dependency.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Final

from brakeline.core.clock import Clock
from brakeline.core.errors import Unavailable
from brakeline.fleet import harms
from brakeline.fleet.cell import CellIdentity
from brakeline.fleet.model import EndpointIdentity, EndpointState, Readings
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Connection, Database
from brakeline.protocol.launcher_report import LauncherReport
from brakeline.protocol.managers import update_name
from brakeline.protocol.messages import (
    Candidate,
    CheckIn,
    DrillOrder,
    NotReady,
    Offer,
    Outcome,
    Ready,
    ResultsAck,
    Settings,
    SignedOrder,
    TransactionResult,
)
from brakeline.rollout import (
    arms,
    budget,
    evidence,
    one,
    place_again,
    restart_change,
    restart_offering,
    restarts,
    untaken,
)
from brakeline.rollout.budget import Refusal
from brakeline.rollout.executor import WATCH_MS
from brakeline.rollout.giving_way import gave
from brakeline.rollout.journal import BrakeJournal
from brakeline.rollout.limits import Limits
from brakeline.rollout.live import OFFERING, STOPPED, LiveRollout, LiveRollouts
from brakeline.rollout.model import Arm, Change, Gate, Phase, Pin, Progress, Subject, Wish
from brakeline.rollout.place_again import Place
from brakeline.rollout.store import arms as arms_store
from brakeline.rollout.store import budgets, leads, offers, rollouts, single
from brakeline.rollout.store import undo as undo_store
from brakeline.rollout.store import windows as windows_store
from brakeline.rollout.store.arms import SubjectRow, Target
from brakeline.rollout.store.rollouts import RolloutRow
from brakeline.rollout.wished import Wished

TOO_OLD: Final = ("agent_too_old", "its agent takes no settings by an offer yet; it gets them when this is completed")
NO_DRILLS: Final = ("agent_too_old", "its agent knows no drills yet, so it takes no part")
TAKEN_BACK: Final = ("taken_back", "a policy has taken away meanwhile what this rollout would bring")
StillWished = Callable[[EndpointIdentity, Settings, Wished | None], Awaitable[bool]]
PassedOver = Callable[[EndpointIdentity, LauncherReport | None, Change], Awaitable[tuple[str, str]]]
NO_GRANT: Final = Refusal("no_grant", "waits for a grant of the conductor; without one nothing is offered again")
NO_PLACE: Final = Refusal("no_grant", "another has its place, and the conductor has granted no more")
ATTEMPTS_MAX: Final = 3  # offers of one rollout to one endpoint: expiries and interruptions end some day
IS_WAY_BACK: Final = "is_way_back"  # of what is itself one, nothing is kept
AGAIN: Final = frozenset({Progress.EXPIRED, Progress.REFUSED, Progress.INTERRUPTED})
PROGRESS: Final = {
    Outcome.INSTALLED: Progress.INSTALLED,
    Outcome.FAILED: Progress.FAILED,
    Outcome.REFUSED: Progress.REFUSED,
    Outcome.EXPIRED: Progress.EXPIRED,
    Outcome.INTERRUPTED: Progress.INTERRUPTED,
}


class Offering:
    """See the module."""

    def __init__(self, db: Database, clock: Clock, ids: IdMaker, cell: CellIdentity, journal: BrakeJournal,
                 limits: Limits) -> None:  # fmt: skip
        self.db, self.clock, self.ids, self.cell, self.journal, self.limits = db, clock, ids, cell, journal, limits
        self.live = LiveRollouts()
        self.on_harm: Callable[[], None] | None = None  # told after a commit of harm: the reconciler looks at once
        self.told: dict[str, dict[str, int]] = {}  # rollout -> endpoint -> when; whoever measures puts rollouts here
        self.passed_over: PassedOver | None = None  # whoever knows who takes part in a release (`releasing`)
        self.still_wished: StillWished | None = None  # whoever knows what policies wish by now (`remediation`)

    async def refresh(self, tenant_id: str) -> tuple[LiveRollout, ...]:
        """Read again what is live for a tenant."""
        async with self.db.tenant(tenant_id) as conn:
            return await self.live.refresh(conn, tenant_id, self.clock.now_ms() - WATCH_MS)

    async def _live(self, identity: EndpointIdentity) -> tuple[LiveRollout, ...]:
        """Rollouts that this endpoint is a target of."""
        known = self.live.of(identity.tenant_id)
        if known is None:
            known = await self.refresh(identity.tenant_id)
        return tuple(x for x in known if identity.endpoint_id in x.targets)

    async def targeted_by(self, identity: EndpointIdentity) -> tuple[LiveRollout, ...]:
        """The same, for those who order something else than the change."""
        return await self._live(identity)

    async def watched_every_s(self, tenant_id: str, endpoint_id: str) -> int | None:
        """The shortest interval by which a rollout judges this endpoint's silence; None = no rollout watches it.

        An endpoint that checks in more slowly than that would be called silent for nothing, so it is told to keep up.
        """
        known = self.live.of(tenant_id)
        if known is None:
            known = await self.refresh(tenant_id)
        watching = [x for x in known if endpoint_id in x.targets and x.row.blueprint.phase not in STOPPED]
        return min((x.row.policy.check_in_interval_s for x in watching), default=None)

    async def candidates_for(
        self,
        identity: EndpointIdentity,
        *,
        launched: bool = True,
        settled: bool = True,
        bounded: bool = True,
        drills: bool = True,
    ) -> tuple[Candidate, ...]:
        """Rollouts that the endpoint should get ready for, the oldest first. In memory.

        `launched`: a launcher runs its agent; without one it must not even hear of releases (older agents would plan
        them as packages). `settled`: its agent says by which settings it runs; the same with rollouts of these.
        `bounded`: it knows windows and limits; `drills`: what an order of a drill is.
        """
        if identity.state is not EndpointState.ACTIVE:
            return ()
        return tuple(
            x.candidate(identity.endpoint_id)
            for x in await self._live(identity)
            if x.row.blueprint.phase in OFFERING
            and not x.row.change.is_restart  # nothing to plan: its check-in says all
            and x.takes(identity.endpoint_id, launched=launched, settled=settled, bounded=bounded, drills=drills)
            and x.row.wish is Wish.RUN
            and (identity.endpoint_id not in x.through or identity.endpoint_id in x.again)
            and identity.endpoint_id not in x.stopped
            and not self.journal.pressed(identity.tenant_id, x.row.rollout_id)
        )

    async def on_check_in(
        self, identity: EndpointIdentity, check_in: CheckIn, boot_id: str = ""
    ) -> tuple[tuple[SignedOrder, ...], tuple[str, ...]]:
        """(orders that the endpoint may have now, ids of rollouts of which it must start nothing more). `boot_id`: of
        the boot that speaks; without it nobody is restarted."""
        mine = await self._live(identity)
        tenant_id = identity.tenant_id
        halted = tuple(x.row.rollout_id for x in mine if self._stopped(tenant_id, x))
        self._note_told(identity.endpoint_id, halted)
        halted += tuple(
            x.row.rollout_id for x in mine if identity.endpoint_id in x.stopped and x.row.rollout_id not in halted
        )
        restarting = [x for x in mine if x.row.change.is_restart]
        for live in restarting:
            stopped = live.row.rollout_id in halted
            await restart_offering.settle(self.db, self.clock, identity, check_in, boot_id, live, stopped=stopped)
        if self.journal.frozen(tenant_id) is not None:  # answered without the database too: what waits there must end
            await self._note_started(identity, check_in)
            return (), halted
        if not mine or identity.state is not EndpointState.ACTIVE:
            return (), halted
        open_to = {x.row.rollout_id: x for x in mine if x.row.rollout_id not in halted}
        async with self.db.tenant(tenant_id) as conn:
            if check_in.in_progress:
                await arms_store.mark_started(conn, identity.endpoint_id, check_in.in_progress)
            for refusal in check_in.not_ready:
                await self._not_ready(conn, identity, refusal, open_to)
            for live in open_to.values():
                known = {"settled": bool(check_in.settings), "bounded": check_in.local is not None}
                if not live.takes(identity.endpoint_id, launched=True, drills=check_in.drills, **known):
                    why = NO_DRILLS if live.row.change.is_drill else TOO_OLD
                    await arms_store.set_blocked(conn, live.row.rollout_id, identity.endpoint_id, *why)
        asking = [ready for ready in check_in.ready if ready.rollout_id in open_to]
        restarts_open = [x for x in restarting if x.row.rollout_id in open_to]
        asking += await restart_offering.asking(self.db, self.clock, identity, check_in, boot_id, restarts_open)
        frozen = await self.limits.frozen_for(identity) if asking else ""
        for ready in asking:
            live = open_to[ready.rollout_id]
            if await self._taken_back(identity, live) or await self._not_for(identity, check_in, live):
                continue
            if await self._ready(identity, check_in, ready, live, frozen):
                live.offered(identity.endpoint_id, boot_id)
                if live.row.change.release is not None:
                    self._asked(tenant_id, ready.rollout_id, live.targets[identity.endpoint_id])
        return await self._orders(identity, open_to), halted

    def _note_told(self, endpoint_id: str, halted: Iterable[str]) -> None:
        """Of rollouts that somebody follows (`told`): when an endpoint's answer named them as stopped first."""
        for rollout_id in halted:
            if (told := self.told.get(rollout_id)) is not None:
                told.setdefault(endpoint_id, self.clock.now_ms())

    async def _taken_back(self, identity: EndpointIdentity, live: LiveRollout) -> bool:
        """Whether policies have narrowed since its settings were planned: then they are not offered, even once."""
        settings, words = live.targets[identity.endpoint_id].settings, live.row.change.wished
        if settings is None or self.still_wished is None or await self.still_wished(identity, settings, words):
            return False
        async with self.db.tenant(identity.tenant_id) as conn:
            await arms_store.set_blocked(conn, live.row.rollout_id, identity.endpoint_id, *TAKEN_BACK)
        return True

    async def _not_for(self, identity: EndpointIdentity, check_in: CheckIn, live: LiveRollout) -> bool:
        """Whether a release is not for this endpoint, by its channel or by what it runs. Who was drawn stays drawn."""
        change, drawn = live.row.change, identity.endpoint_id in live.treated
        if change.release is None or self.passed_over is None or drawn:
            return False
        code, reason = await self.passed_over(identity, check_in.launcher, change)
        if code:
            async with self.db.tenant(identity.tenant_id) as conn:
                await arms_store.set_blocked(conn, live.row.rollout_id, identity.endpoint_id, code, reason)
        return bool(code)

    async def _note_started(self, identity: EndpointIdentity, check_in: CheckIn) -> None:
        if check_in.in_progress:
            try:
                async with self.db.tenant(identity.tenant_id) as conn:
                    await arms_store.mark_started(conn, identity.endpoint_id, check_in.in_progress)
            except Unavailable:
                return  # it is said again at the next check-in

    def _stopped(self, tenant_id: str, x: LiveRollout) -> bool:
        braked = x.row.wish in (Wish.BRAKE, Wish.WITHDRAW) or self.journal.pressed(tenant_id, x.row.rollout_id)
        return braked or x.row.blueprint.phase in STOPPED

    async def _not_ready(
        self, conn: Connection, identity: EndpointIdentity, said: NotReady, open_to: dict[str, LiveRollout]
    ) -> None:
        live = open_to.get(said.rollout_id)
        if live is not None:
            await arms_store.set_blocked(conn, said.rollout_id, identity.endpoint_id, said.code, said.reason)

    async def _orders(self, identity: EndpointIdentity, open_to: dict[str, LiveRollout]) -> tuple[SignedOrder, ...]:
        """The open offer as it left first; after a halt it is held back (the endpoint drops what is queued), and while
        anything of it is quarantined."""
        async with self.db.tenant(identity.tenant_id) as conn:
            offer = await offers.open_for(conn, identity.endpoint_id)
            if offer is None or offer.rollout_id not in open_to or self.clock.now_ms() >= offer.expires_ms:
                return ()
            live = open_to[offer.rollout_id]
            if live.row.change.takes_back and await _leads_to_quarantined(conn, live.row, identity.endpoint_id):
                return ()
        if self.journal.pressed(identity.tenant_id, offer.rollout_id) or live.kept_out(identity.endpoint_id):
            return ()
        if live.row.change.is_restart:
            return ()  # `restarting` has the order to restart
        return (offer.order,)

    # --- ready --------------------------------------------------------------------------------------------------------

    async def _ready(self, identity: EndpointIdentity, check_in: CheckIn, ready: Ready, live: LiveRollout,
                     frozen: str) -> bool:  # fmt: skip
        """The moment of randomisation, in one transaction that a brake press waits for or prevents. True = offered."""
        async with self.db.tenant(identity.tenant_id) as conn:
            row = await rollouts.lock(conn, ready.rollout_id, change=False)
            if row is None or row.wish is not Wish.RUN or not (_rolls(row) or row.blueprint.retry):
                return False
            if self.journal.pressed(identity.tenant_id, ready.rollout_id):
                return False
            if frozen and not await windows_store.passes(conn, row.rollout_id):
                await arms_store.set_blocked(conn, row.rollout_id, identity.endpoint_id, budget.FROZEN, frozen)
                return False
            await arms_store.set_blocked(conn, row.rollout_id, identity.endpoint_id, "", "")
            if not await self._may_start(conn, identity, ready, row):
                return False
            mine = await arms_store.subjects(conn, row.rollout_id, identity.endpoint_id)
            treated = next((s for s in mine if s.subject.arm is Arm.TREATED), None)
            if treated is not None:
                return await self._offer_again(conn, identity, ready, row, live, treated)
            if not _rolls(row):
                return False
            drawn = {s.subject.ring for s in mine}
            return await self._randomise(conn, identity, check_in, ready, row, live, drawn)

    def _asked(self, tenant_id: str, rollout_id: str, target: Target) -> bool:
        """Remember who got its offer of a release just now, where it is leased by name alone: its launcher looks
        before the next round. False = a range has it already.
        """
        live = next((x for x in self.live.of(tenant_id) or () if x.row.rollout_id == rollout_id), None)
        if live is None or target.u < budget.bounds(live.row.report.lines).get(target.region, arms.U_END):
            return False
        live.asked = tuple(sorted({*live.asked, (target.region, target.u)}))
        return True

    async def _may_start(self, conn: Connection, identity: EndpointIdentity, ready: Ready, row: RolloutRow) -> bool:
        """Preconditions that the cell knows of; each that is missing becomes the target's reason."""
        code, reason = "busy", ""
        if other := await arms_store.watched_elsewhere(conn, row.rollout_id, identity.endpoint_id):
            reason = f"is watched in rollout {other}"
        elif await offers.open_for(conn, identity.endpoint_id):
            return False
        elif bad := _quarantined(ready, {q.pin for q in await rollouts.quarantined(conn)}):
            code, reason = "refused", f"the transaction contains {bad.name} {bad.version}, which is quarantined"
        elif row.change.takes_back:
            code, reason = "refused", await self._more_than_a_way_back(conn, identity, ready, row)
        elif not row.change.is_restart and not _fits(ready, row):
            code, reason = "refused", "the transaction contains none of the rollout's updates"
        if reason:
            await arms_store.set_blocked(conn, row.rollout_id, identity.endpoint_id, code, reason)
        return not reason

    async def _more_than_a_way_back(self, conn: Connection, identity: EndpointIdentity, ready: Ready,
                                    row: RolloutRow) -> str:  # fmt: skip
        """Why this is no way back from what the undone rollout changed there, by its own results; "" = it is."""
        done = await undo_store.changes(conn, row.change.undoes, identity.endpoint_id)
        more = [a.name for a in ready.transaction.actions if (a.name, a.architecture, a.after, a.before) not in done]
        if more or not ready.transaction.actions:
            return f"more than the way back: rollout {row.change.undoes} did not change {', '.join(more[:3])} there"
        return ""

    async def _randomise(self, conn: Connection, identity: EndpointIdentity, check_in: CheckIn, ready: Ready,
                         row: RolloutRow, live: LiveRollout, drawn: set[int]) -> bool:  # fmt: skip
        target = live.targets[identity.endpoint_id]
        gate = row.blueprint.gate(target.region)
        tick = await arms_store.lock_tick(conn, row.rollout_id, gate.region, gate.tick) if gate else None
        now_ms = self.clock.now_ms()
        if gate is None or tick is None:
            await self._refuse(conn, row, target, budget.waiting(row.report.lines, target.region, target.u))
            return False
        if arms.overdraws(gate, target.u, tick.treated):
            await arms_store.close_tick(conn, row.rollout_id, gate.region, gate.tick, now_ms)
        arm = arms.assign(gate, target.u, tick.treated, tick.closed, now_ms)
        if arm is Arm.DEFERRED:
            await self._refuse(conn, row, target, budget.waiting(row.report.lines, target.region, target.u))
            return False
        if arm is Arm.CONTROL and gate.ring in drawn:
            return False
        refused = await self._no_room(conn, identity, row, gate.budget - tick.treated)
        if refused is not None:
            if refused.closes:
                await arms_store.close_tick(conn, row.rollout_id, gate.region, gate.tick, now_ms)
            await self._refuse(conn, row, target, refused)
            return False
        progress = Progress.OFFERED if arm is Arm.TREATED else Progress.NONE
        allows = check_in.restart is not None and check_in.restart.allowed
        subject = _subject(target, gate, arm, row.blueprint.generation, progress, now_ms)
        subject = replace(subject, consents=restarts.consents(row.policy, allows, identity.tags))
        await arms_store.insert_subject(
            conn, identity.tenant_id, row.rollout_id, subject, check_in.health.failed_services,
            Readings.of(check_in.health), harms.bounded(check_in.harms),
        )  # fmt: skip
        if arm is Arm.TREATED:
            await arms_store.spend(conn, row.rollout_id, gate.region, gate.tick)
            await self._offer(conn, identity, ready, row, 1, live)
        return arm is Arm.TREATED

    async def _over_budget(self, conn: Connection, identity: EndpointIdentity, left_in_tick: int) -> Refusal | None:
        """Why no budget lets this endpoint into an arm now. Until the commit nobody else of the tenant spends."""
        now_ms = self.clock.now_ms()
        return budget.refusal(await budgets.state(conn, identity.endpoint_id, now_ms), left_in_tick, now_ms)

    async def _no_room(
        self, conn: Connection, identity: EndpointIdentity, row: RolloutRow, left: int
    ) -> Refusal | None:
        """The same for a rollout: a drill changes nothing, so it spends nothing (migration 0190)."""
        return None if row.change.is_drill else await self._over_budget(conn, identity, left)

    async def _no_grant(self, conn: Connection, row: RolloutRow) -> Refusal | None:
        """Why a conductor lets nothing be offered again now. A gate closes by itself when its grant ends; this looks,
        because the step that would say hold may be late.
        """
        if not row.policy.led:
            return None
        known = await leads.led_of(conn, row.rollout_id)
        if known is None or self.clock.now_ms() >= known.grant.expires_ms:
            return NO_GRANT
        return None

    async def _place_again(self, conn: Connection, row: RolloutRow, treated: Subject) -> Place:
        """One for who gave its own away: nobody counts who has it, but for a conductor."""
        known = await leads.led_of(conn, row.rollout_id) if row.policy.led and gave(treated) else None
        if known is None:
            return Place(True)
        upto = max((r.upto for r in known.grant.rings), default=0)
        return await place_again.for_one(conn, row, treated.region, upto, self.clock.now_ms())

    async def _refuse(self, conn: Connection, row: RolloutRow, target: Target, refused: Refusal | None) -> None:
        """No error, and the endpoint is told nothing: it is in no arm, and its line says why."""
        if refused is not None:
            await arms_store.set_blocked(conn, row.rollout_id, target.endpoint_id, refused.code, refused.reason)

    async def _offer_again(self, conn: Connection, identity: EndpointIdentity, ready: Ready, row: RolloutRow,
                           live: LiveRollout, treated: SubjectRow) -> bool:  # fmt: skip
        """A treated endpoint stays treated; what was never started, or was interrupted, may be offered again. Whoever
        gave its place only if a person asks: another has that place.
        """
        made, counted = await offers.attempts(conn, row.rollout_id, identity.endpoint_id)
        asked, progress = await single.may_retry(conn, row.rollout_id, identity.endpoint_id), treated.subject.progress
        if gave(treated.subject) and not asked:
            return False
        if not (progress in AGAIN and counted < ATTEMPTS_MAX) and not (asked and progress in one.RETRIED):
            if not asked and counted >= ATTEMPTS_MAX and row.change.is_restart:
                now_ms = self.clock.now_ms()
                await restart_offering.decline(conn, identity, row.rollout_id, restart_change.LAPSED, now_ms)
            return False
        refused = await self._no_grant(conn, row)
        place = await self._place_again(conn, row, treated.subject)
        if refused := refused or (None if place.free else NO_PLACE) or await self._no_room(conn, identity, row, 1):
            await self._refuse(conn, row, live.targets[identity.endpoint_id], refused)
            return False
        await place_again.take(conn, row, place)
        await self._offer(conn, identity, ready, row, made + 1, live)
        await arms_store.set_progress(
            conn, row.rollout_id, identity.endpoint_id, Progress.OFFERED, explicit=False,
            detail=untaken.offered_again(treated.subject), ended_ms=0,
        )  # fmt: skip
        if asked:
            await single.again(conn, row.rollout_id, identity.endpoint_id, retry=False)
        return True

    async def _offer(self, conn: Connection, identity: EndpointIdentity, ready: Ready, row: RolloutRow,
                     attempt: int, live: LiveRollout) -> None:  # fmt: skip
        fails = identity.endpoint_id in live.failing
        now_ms = self.clock.now_ms()
        offer = Offer(
            offer_id=self.ids.new("of"),
            endpoint_id=identity.endpoint_id,
            rollout_id=row.rollout_id,
            generation=row.blueprint.generation,
            transaction_digest=ready.transaction.digest,
            updates=live.updates(identity.endpoint_id),
            undoes=row.change.undoes,
            issued_ms=now_ms,
            expires_ms=now_ms + row.policy.offer_lifetime_s * 1000,
            salt=row.salt.hex(),
            conffile_policy=row.change.conffile_policy,
            release=row.change.release,
            settings=live.targets[identity.endpoint_id].settings,
            drill=DrillOrder(fails) if row.change.is_drill else None,
        )
        await offers.insert(conn, identity.tenant_id, offer, self._signed(ready, row, offer), attempt)

    def _signed(self, ready: Ready, row: RolloutRow, offer: Offer) -> SignedOrder:
        if not row.change.is_restart:
            return self.cell.sign_order(offer)
        return self.cell.sign_restart(
            restart_change.order_of(offer.endpoint_id, ready, offer.issued_ms, offer.expires_ms, row.policy.people)
        )

    # --- results ------------------------------------------------------------------------------------------------------

    async def record_results(self, identity: EndpointIdentity, results: Iterable[TransactionResult]) -> ResultsAck:
        """Store results, each once; acknowledged after commit. Results of unknown offers are kept and acknowledged."""
        accepted: list[str] = []
        harmed = False
        async with self.db.tenant(identity.tenant_id) as conn:
            for result in results:
                harmed |= await self._result(conn, identity, result)
                accepted.append(result.transaction_id)
        if harmed and self.on_harm is not None:
            self.on_harm()
        return ResultsAck(tuple(accepted))

    async def _result(self, conn: Connection, identity: EndpointIdentity, result: TransactionResult) -> bool:
        """Whether it is news of harm."""
        now_ms, endpoint_id = self.clock.now_ms(), identity.endpoint_id
        if not await offers.add_result(conn, identity.tenant_id, endpoint_id, result, now_ms):
            return False
        offer = await offers.by_id(conn, result.offer_id, endpoint_id)
        if offer is None:
            return False
        await offers.close(conn, [offer.offer_id], result.outcome.value, now_ms)
        explicit = evidence.came_through_the_change(
            result.outcome.value, result.code, bool(result.services_failed), result.health.healthy
        )
        detail = f"{result.code}: {result.detail}"[:500]
        progress = PROGRESS[result.outcome]
        made, _ = await offers.attempts(conn, offer.rollout_id, endpoint_id)
        if offer.attempt < made:  # it was offered anew since: what came of that counts, and harm counts whenever told
            await arms_store.set_explicit(conn, offer.rollout_id, endpoint_id, explicit, detail)
            text = f"{endpoint_id}: {result.outcome.value}, told late, of attempt {offer.attempt} of {made}; {detail}"
            await rollouts.add_event(conn, identity.tenant_id, offer.rollout_id, now_ms, "result", endpoint_id, text)
            return explicit
        await arms_store.set_progress(
            conn, offer.rollout_id, endpoint_id, progress, explicit=explicit, detail=detail, ended_ms=now_ms
        )
        for live in self.live.of(identity.tenant_id) or ():
            if live.row.rollout_id == offer.rollout_id and progress in (Progress.INSTALLED, Progress.FAILED):
                live.through.add(endpoint_id)
        way_back = f"; {result.way_back.told}" if result.way_back and result.way_back.code != IS_WAY_BACK else ""
        text = f"{endpoint_id}: {result.outcome.value}, {detail}{way_back}"
        await rollouts.add_event(conn, identity.tenant_id, offer.rollout_id, now_ms, "result", endpoint_id, text)
        return explicit


def _subject(target: Target, gate: Gate, arm: Arm, generation: int, progress: Progress, now_ms: int) -> Subject:
    return Subject(
        target.endpoint_id, arm, gate.ring, gate.tick, target.region, target.machine_class, target.u, now_ms,
        generation, target.attributes, progress=progress,
    )  # fmt: skip


def _rolls(row: RolloutRow) -> bool:
    return row.blueprint.phase is Phase.ROLLING


def _quarantined(ready: Ready, pins: set[Pin]) -> Pin | None:
    """A quarantined version among everything that the transaction would install."""
    found = (Pin(update_name(a.name, a.architecture), a.after) for a in ready.transaction.actions)
    return next((p for p in found if p in pins), None)


async def _leads_to_quarantined(conn: Connection, row: RolloutRow, endpoint_id: str) -> bool:
    """Whether the endpoint's way back would install what is quarantined by now."""
    pins = {q.pin for q in await rollouts.quarantined(conn)}
    return bool(await undo_store.leads_to(conn, row.change.undoes, pins, endpoint_id))


def _fits(ready: Ready, row: RolloutRow) -> bool:
    """Whether the transaction does at least one thing of this rollout."""
    wanted = {(p.name, p.version) for p in row.change.updates}
    return any((update_name(a.name, a.architecture), a.after) in wanted for a in ready.transaction.actions)
