"""Use cases of rollouts: create, start, pause, resume, brake, withdraw, list, show, explain; and the check-in path.

Everything that widens exposure needs a permission and, to resume, a reason; BRAKE needs nothing but the permission,
is idempotent and durable (journal) before it answers, with or without the database. Each act is in the audit log.
`offering` has the check-in path, `executor` the reconciler; `open()` must have run before the first offer.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

from brakeline.core.clock import Clock
from brakeline.core.errors import Bug, Conflict, Invalid, NotFound, Unavailable
from brakeline.fleet.cell import CellIdentity
from brakeline.fleet.model import EndpointState, EndpointSummary
from brakeline.fleet.service import FleetService
from brakeline.platform.bus import Bus
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Connection, Database
from brakeline.platform.driver import Turns
from brakeline.protocol.channels import STABLE
from brakeline.protocol.messages import DRILL_PACKAGE, Settings
from brakeline.rollout import arms, facing, plan_lint, planner, view
from brakeline.rollout.executor import Executor
from brakeline.rollout.following import WHO
from brakeline.rollout.frozen import Frozen
from brakeline.rollout.journal import BrakeJournal
from brakeline.rollout.limits import Limits
from brakeline.rollout.model import Change, Phase, Pin, Policy, Progress, Report, Subject, Wish
from brakeline.rollout.pace import Chosen
from brakeline.rollout.reading import PAGE, Reading, SecondPerson
from brakeline.rollout.situation import Situation
from brakeline.rollout.store import arms as arms_store
from brakeline.rollout.store import leads, rollouts
from brakeline.rollout.store import undo as undo_store
from brakeline.rollout.store.arms import Target
from brakeline.rollout.store.rollouts import RolloutRow
from brakeline.rollout.summary import proven
from brakeline.rollout.undo import Exposed
from brakeline.tenancy import audit
from brakeline.tenancy.approvals import Agreed
from brakeline.tenancy.faults import Overtaken
from brakeline.tenancy.model import Principal
from brakeline.tenancy.two_people import Request

TITLE_CHARS_MAX: Final = 200
NOTE_S: Final = 5.0  # how long a press waits for the database after it is durable
START_FROM: Final = frozenset({Wish.DRAFT, Wish.RUN})
TARGETS_MAX: Final = 100_000  # rows of one rollout that one step can load in a second
ATTRIBUTES_MAX: Final = 200  # values tested one by one share 0.28 % of alpha


@dataclass(frozen=True, slots=True)
class BrakeAck:
    """The press is durable. `state` is `halted`, or `pressed` while the database is away (nothing is offered then)."""

    id: str
    state: str
    at_ms: int


RING_MS: Final = 3 * 86_400_000  # an inventory follows an update within the day; a weekend may be in between


class Settling(Protocol):
    """Leases and recalls of releases, which follow every change of a rollout."""

    def lease(self) -> None: ...
    async def settle(self) -> None: ...


class Freezes(Protocol):
    """Presses that stop everything of a tenant (`freezing.Freezing`)."""

    async def settle(self, tenant_id: str) -> None: ...


class RolloutService(Reading):
    """Everything that the rest of Brakeline may ask of rollouts."""

    def __init__(self, db: Database, clock: Clock, ids: IdMaker, bus: Bus, fleet: FleetService, cell: CellIdentity,
                 journal_path: Path) -> None:  # fmt: skip
        super().__init__(db, clock, ids, cell, BrakeJournal(journal_path), Limits(db, clock, ids, fleet))
        self.bus, self.fleet = bus, fleet
        self.executor = Executor(db, clock, bus, fleet, self.journal, self.refresh, self.limits)
        self.releasing: Settling | None = None  # `releasing.Releasing` puts itself here
        self.freezing: Freezes | None = None  # `freezing.Freezing` puts itself here
        self.acts: SecondPerson | None = None  # `acts.Acts` puts itself here; without it nothing that needs it is done
        self._starting = asyncio.Lock()  # two starts at once would each see the other's endpoints as free
        self.on_stop: Callable[[str], None] | None = None  # whoever answers endpoints, by tenant; see `stop`

    def _asked(self, tenant_id: str, rollout_id: str, target: Target) -> bool:
        """What is leased by name is leased at once."""
        named = super()._asked(tenant_id, rollout_id, target)
        if named and self.releasing is not None:
            self.releasing.lease()
        return named

    async def open(self) -> None:
        """After a start, before the first offer: the journal was read; now the rollouts as they were left."""
        await self.reconcile()

    async def reconcile(self) -> str:
        """For `platform.driver.Reconciler`, every `executor.RECONCILE_S`. Raises what failed first, at the end."""
        tenants, turns, report = await self.executor.tenants(), Turns("rollouts"), ""
        unsettled = set[str]()  # frozen perhaps, for all that is known here: they take no step
        for tenant_id in tenants:
            if self.freezing is not None:
                unsettled.add(tenant_id)
                with turns.turn(tenant=tenant_id):
                    await self.freezing.settle(tenant_id)
                    unsettled.discard(tenant_id)
        with turns.turn():
            report = await self.executor.reconcile(unsettled)
        for tenant_id in tenants:
            with turns.turn(tenant=tenant_id):
                await self.refresh(tenant_id)
        if self.releasing is not None:
            with turns.turn():
                await self.releasing.settle()
        turns.end()
        return report

    async def ring_of(self, conn: Connection, endpoint_id: str) -> int | None:
        """The ring in which an endpoint was treated within RING_MS: what its inventory shows now came by it. Asked
        inside a transaction of whoever assesses."""
        return await arms_store.treated_ring(conn, endpoint_id, self.clock.now_ms() - RING_MS)

    # --- making -------------------------------------------------------------------------------------------------------

    async def create(self, principal: Principal, title: str, change: Change, policy: Policy,
                     endpoint_ids: Sequence[str], *, first: frozenset[str] = frozenset(),
                     left_out: Sequence[Exposed] = (), settings: Mapping[str, Settings] | None = None,
                     chosen: Chosen | None = None, salt: bytes = b"",
                     pins: Mapping[str, tuple[Pin, ...]] | None = None) -> str:  # fmt: skip
        """A draft for exactly these endpoints; its id. `Invalid` says what does not make sense.

        Of a rollback: who comes `first`, and who was reached by the update and has no way back. `settings`: what each
        of them would run by, for a change of kind "settings". `chosen`: the pace behind the policy, where somebody was
        advised; it is shown and audited. `pins`: which of the change's are whose, where it goes over several
        distributions. `salt`: of a release that a conductor leads, which drew it.
        """
        principal.require("rollout.create")
        _check(title, change, policy)
        wanted = set(endpoint_ids)
        _plan(policy, change, len(wanted))
        found = [e for e in await self.endpoints_of(principal) if e.id in wanted and e.state is EndpointState.ACTIVE]
        missing = sorted(wanted - {e.id for e in found})
        if missing or not found or len(found) > TARGETS_MAX:
            raise Invalid(
                f"a rollout needs 1 to {TARGETS_MAX} active endpoints", unknown=missing[:5], given=len(wanted)
            )
        now_ms, rollout_id = self.clock.now_ms(), self.ids.new("ro")
        salt = salt or os.urandom(32)
        targets = [
            replace(
                _target(e, salt, change, first), settings=(settings or {}).get(e.id), pins=(pins or {}).get(e.id, ())
            )
            for e in found
        ]
        change, targets = _kept_from_waiting(policy, change, targets)
        values = sorted({a for t in targets for a in t.attributes})[:ATTRIBUTES_MAX]
        row = RolloutRow(
            rollout_id, title, change, policy, salt, tuple(values), now_ms, principal.name, Wish.DRAFT,
            principal.name, "", 0, 0, planner.first_blueprint(rollout_id, now_ms), Report(()), chosen,
        )  # fmt: skip
        async with self.db.tenant(principal.tenant_id) as conn:
            await rollouts.insert(conn, principal.tenant_id, row)
            await arms_store.add_targets(conn, principal.tenant_id, rollout_id, targets)
            await undo_store.leave_out(conn, principal.tenant_id, rollout_id, left_out)
            text = f"drafted for {len(targets)} endpoints"
            await rollouts.add_event(conn, principal.tenant_id, rollout_id, now_ms, "draft", principal.name, text)
            after = {"title": title, "updates": [f"{p.name}={p.version}" for p in change.updates], "n": len(targets)}
            after |= {"undoes": change.undoes, "left_out": len(left_out)} if change.undoes else {}
            if chosen is not None:
                after |= {"pace": chosen.pace, "suggested": chosen.suggested, "pace_reason": chosen.reason}
            await audit.append(conn, self.clock, principal, "rollout.create", rollout_id, None, after)
        await self._news(principal.tenant_id, rollout_id)
        return rollout_id

    async def endpoints_of(self, principal: Principal) -> list[EndpointSummary]:
        """Every endpoint of the tenant, oldest first."""
        items: list[EndpointSummary] = []
        after = None
        while True:
            page = await self.fleet.list_endpoints(principal, "", sort="enrolled", after=after, limit=PAGE)
            items += page.items
            if page.next is None:
                return items
            after = page.next

    # --- steering -----------------------------------------------------------------------------------------------------

    def stop(self, tenant_id: str) -> None:
        """Something of this tenant was stopped, as the journal says: no lease, and no reply composed before now, leaves
        any more. In memory: needs neither database nor bus."""
        if self.releasing is not None:
            self.releasing.lease()
        if self.on_stop is not None:
            self.on_stop(tenant_id)

    def refuse_if_frozen(self, tenant_id: str) -> None:
        """Raises `Frozen`: what is started now would begin by itself when somebody lifts the freeze."""
        freeze = self.journal.frozen(tenant_id)
        if freeze is not None:
            raise Frozen(f"Everything is {freeze.told()}.", freeze=freeze.freeze_id)

    async def start(self, principal: Principal, rollout_id: str) -> Request | None:
        """From draft to its first ring; in the fast lane the request that a second person agrees to first.

        Starting what runs changes nothing.
        """
        principal.require("rollout.create")
        self.refuse_if_frozen(principal.tenant_id)
        async with self._starting:
            row = await self._get(principal.tenant_id, rollout_id)
            if asked := await self._second_person().before_start(principal, row):
                return asked
            await self._wish(principal, rollout_id, Wish.RUN, "rollout.start", "", START_FROM)
        return None

    async def start_agreed(self, agreed: Agreed, rollout_id: str, situation: str) -> None:
        """The same after two people have agreed, unless it has moved since."""
        self.refuse_if_frozen(agreed.principal.tenant_id)
        await self._wish(
            agreed.principal, rollout_id, Wish.RUN, "rollout.start", "", START_FROM, agreed, situation
        )  # fmt: skip

    async def lead_on(self, principal: Principal, rollout_id: str, policy: Policy) -> None:
        """For `linked`: a rollout that a conductor leads has these rings by now, and runs. Its grant bounds it."""
        async with self.db.tenant(principal.tenant_id) as conn:
            row = await self._locked(conn, rollout_id)
            if row.policy != policy:
                await leads.set_policy(conn, rollout_id, policy)
        if row.wish is Wish.DRAFT:
            await self._wish(principal, rollout_id, Wish.RUN, "rollout.start", "", START_FROM)
        elif row.policy != policy:
            await self._news(principal.tenant_id, rollout_id)

    async def situation_of(self, conn: Connection, tenant_id: str, rollout_id: str) -> Situation | None:
        """For `linked`: everything about one rollout at this moment, in this transaction."""
        row = await rollouts.get(conn, rollout_id)
        return await self._situation(conn, tenant_id, row) if row is not None else None

    async def stands(self, tenant_id: str, rollout_id: str) -> tuple[Phase, Wish] | None:
        """For `linked`: where one rollout is and what people want of it, without looking at its endpoints."""
        async with self.db.tenant(tenant_id) as conn:
            row = await rollouts.get(conn, rollout_id)
        if row is None:
            return None
        pressed = row.wish is not Wish.WITHDRAW and rollout_id in self.journal.all_pressed(tenant_id)
        return row.blueprint.phase, Wish.BRAKE if pressed else row.wish

    def _second_person(self) -> SecondPerson:
        if self.acts is None:
            raise Bug("nobody is asked for what takes two people")
        return self.acts

    async def waiting(self, principal: Principal, rollout_id: str) -> Request | None:
        """What about this rollout waits for a second person."""
        principal.require("rollout.read")
        return await self._second_person().waiting(principal.tenant_id, rollout_id)

    async def pause(self, principal: Principal, rollout_id: str, reason: str = "") -> None:
        """Hold: nothing new is offered; what runs goes on to its end, and everybody exposed is still watched."""
        principal.require("rollout.brake")
        await self._wish(principal, rollout_id, Wish.PAUSE, "rollout.pause", reason, frozenset({Wish.RUN, Wish.PAUSE}))

    async def withdraw(self, principal: Principal, rollout_id: str, reason: str) -> None:
        """End it for good. Nothing is rolled back by this."""
        principal.require("rollout.brake")
        _reason(reason)
        await self._wish(principal, rollout_id, Wish.WITHDRAW, "rollout.withdraw", reason, frozenset(Wish))

    async def brake(self, principal: Principal, rollout_id: str) -> BrakeAck:
        """Stop it, now. Durable in the journal before anything else; idempotent; works while the database is away."""
        principal.require("rollout.brake")
        now_ms, tenant_id = self.clock.now_ms(), principal.tenant_id
        known = self.live.of(tenant_id)
        if known is None or all(x.row.rollout_id != rollout_id for x in known):
            await self._get(tenant_id, rollout_id)  # an unknown id is `NotFound`, not a press
        try:
            self.journal.press(tenant_id, rollout_id, principal.name, now_ms)
        except Unavailable as e:
            raise Unavailable(f"{e.detail}. It is in force all the same until this server ends; press again.") from e
        finally:
            self.stop(tenant_id)
        try:
            async with asyncio.timeout(NOTE_S):
                await self._wish(
                    principal, rollout_id, Wish.BRAKE, "rollout.brake", "", frozenset(Wish) - {Wish.WITHDRAW}
                )
        except (Unavailable, TimeoutError):
            return BrakeAck(rollout_id, "pressed", now_ms)
        return BrakeAck(rollout_id, Phase.HALTED.value, now_ms)

    async def resume(self, principal: Principal, rollout_id: str, reason: str) -> Request | None:
        """Go on after a pause, a hold or a halt. Endpoints that are not proven now are set aside, by name, in the log.

        After a halt this lifts the quarantine that the halt made, and statistics begin anew; it is a request then, that
        a second person agrees to first.
        """
        principal.require("rollout.resume")
        _reason(reason)
        self.refuse_if_frozen(principal.tenant_id)
        row = await self._get(principal.tenant_id, rollout_id)
        _resumable(row)
        await self._refuse_undone(principal.tenant_id, rollout_id)
        if asked := await self._second_person().before_resume(principal, row, reason):
            return asked
        await self._resume(Agreed(principal, principal.name, 1, ""), rollout_id, reason, row.situation)
        return None

    async def resume_agreed(self, agreed: Agreed, rollout_id: str, reason: str, situation: str) -> None:
        """The same after two people have agreed, unless it has moved since."""
        self.refuse_if_frozen(agreed.principal.tenant_id)
        await self._refuse_undone(agreed.principal.tenant_id, rollout_id)
        await self._resume(agreed, rollout_id, reason, situation)

    async def _refuse_undone(self, tenant_id: str, rollout_id: str) -> None:
        """What is being taken back is not offered again at the same time."""
        async with self.db.tenant(tenant_id) as conn:
            other = await undo_store.undone_by(conn, rollout_id)
        if other:
            raise Conflict(f"rollback {other} takes it back; withdraw that first", id=rollout_id, rollback=other)

    async def _resume(self, agreed: Agreed, rollout_id: str, reason: str, situation: str) -> None:
        principal, names, tenant_id = agreed.principal, agreed.names, agreed.principal.tenant_id
        async with self.db.tenant(tenant_id) as conn:
            row = await self._locked(conn, rollout_id)
            phase = row.blueprint.phase
            _resumable(row)
            _unmoved(row, situation)
            now_ms = self.clock.now_ms()
            subjects = (await self._situation(conn, tenant_id, row)).subjects
            aside = _unproven(row.policy, subjects, now_ms)
            await arms_store.set_aside(conn, rollout_id, aside, now_ms)
            if phase is Phase.HALTED or row.wish is Wish.BRAKE:
                await rollouts.set_resumed(conn, rollout_id, row.blueprint.generation, now_ms)
                await rollouts.release(conn, rollout_id, names, now_ms)
            await rollouts.set_wish(conn, rollout_id, Wish.RUN, names, reason, now_ms)
            text = f"resumed: {reason}" + (f"; set aside: {', '.join(aside)}" if aside else "")
            await rollouts.add_event(conn, tenant_id, rollout_id, now_ms, "resume", names, text)
            await audit.append(
                conn, self.clock, principal, "rollout.resume", rollout_id, {"state": phase.value},
                {"reason": reason, "set_aside": aside, **_said(agreed)},
            )  # fmt: skip
        self.journal.release(tenant_id, rollout_id, names, now_ms)
        await self._news(tenant_id, rollout_id)

    async def _wish(
        self, principal: Principal, rollout_id: str, wish: Wish, action: str, reason: str,
        allowed_from: frozenset[Wish], agreed: Agreed | None = None, situation: str = "",
    ) -> None:  # fmt: skip
        names = agreed.names if agreed else principal.name
        async with self.db.tenant(principal.tenant_id) as conn:
            row = await self._locked(conn, rollout_id)
            _unmoved(row, situation)
            if row.wish is not wish:
                if row.wish not in allowed_from or row.blueprint.phase is Phase.WITHDRAWN:
                    raise Conflict(f"cannot {action.partition('.')[2]}: it is {row.blueprint.phase}", id=rollout_id)
                now_ms = self.clock.now_ms()
                await rollouts.set_wish(conn, rollout_id, wish, names, reason, now_ms)
                text = f"{wish.value}" + (f": {reason}" if reason else "")
                await rollouts.add_event(conn, principal.tenant_id, rollout_id, now_ms, wish.value, names, text)
                before = {"wish": row.wish.value}
                after = {"wish": wish.value, "reason": reason} | (_said(agreed) if agreed else {})
                await audit.append(conn, self.clock, principal, action, rollout_id, before, after)
        await self._news(principal.tenant_id, rollout_id)

    async def _news(self, tenant_id: str, rollout_id: str) -> None:
        """Act on what just changed, without waiting for the next round."""
        await self.executor.step(tenant_id, rollout_id)
        await self.refresh(tenant_id)
        if self.releasing is not None:
            await self.releasing.settle()
        await self.bus.publish(f"rollout:{tenant_id}", rollout_id)

    async def record(self, tenant_id: str, rollout_id: str, kind: str, text: str) -> None:
        """A line in the rollout's log, by Brakeline itself."""
        async with self.db.tenant(tenant_id) as conn:
            await rollouts.add_event(conn, tenant_id, rollout_id, self.clock.now_ms(), kind, WHO, text)

    async def _locked(self, conn: Connection, rollout_id: str) -> RolloutRow:
        row = await rollouts.lock(conn, rollout_id, change=True)
        if row is None:
            raise NotFound("no such rollout", id=rollout_id[:40])
        return row


def _unproven(policy: Policy, subjects: Iterable[Subject], now_ms: int) -> list[str]:
    """Who is set aside by a resume: treated endpoints that are done or silent without proof, and silent controls."""
    done = (Progress.FAILED, Progress.REFUSED, Progress.EXPIRED, Progress.INTERRUPTED)
    return sorted(
        s.endpoint_id
        for s in subjects
        if not proven(policy, s, now_ms)
        and (s.progress in done or s.explicit or s.unhealthy_now or view.silent_now(policy, s, now_ms))
    )


def _target(e: EndpointSummary, salt: bytes, change: Change, first: frozenset[str]) -> Target:
    """Stratum and attributes as they are now: frozen before any offer."""
    u = arms.draw(salt, e.id)
    u = arms.ahead(u, harmed=e.id in first) if change.takes_back else u
    attributes = (f"os:{e.os_id}-{e.os_version}", *(f"tag:{t}" for t in e.tags))
    return Target(e.id, e.hostname, e.region, e.machine_class, attributes, u)


def _kept_from_waiting(policy: Policy, change: Change, targets: list[Target]) -> tuple[Change, list[Target]]:
    """Whoever faces the internet is never held out: counted in the change, and moved below whoever is."""
    drawn = [facing.Drawn(t.endpoint_id, t.region, t.u, facing.faces(t.attributes)) for t in targets]
    change = replace(change, facing=facing.counted(policy, change, drawn))
    places = facing.placed(policy, change, drawn)
    return change, [replace(t, u=places[t.endpoint_id]) for t in targets]


def _resumable(row: RolloutRow) -> None:
    phase = row.blueprint.phase
    if phase in (Phase.WITHDRAWN, Phase.COMPLETED, Phase.DRAFT):
        raise Conflict(f"a rollout that is {phase} cannot be resumed", id=row.rollout_id)
    if row.change.release is not None and (phase is Phase.HALTED or row.wish is Wish.BRAKE):
        raise Conflict("its release was recalled when it was halted; publish a new release", id=row.rollout_id)


def _unmoved(row: RolloutRow, situation: str) -> None:
    if situation and row.situation != situation:
        raise Overtaken(f"it was {situation}, and is {row.situation}", id=row.rollout_id)


def _said(agreed: Agreed) -> dict[str, Any]:
    """For the audit log: one person or two, who, and by which request."""
    two = {"by": agreed.names, "approval": agreed.approval_id} if agreed.approval_id else {}
    return {"persons": agreed.persons, **two}


def _reason(reason: str) -> None:
    if not reason.strip():
        raise Invalid("say why: the reason is kept in the log for those who come after you")


def _plan(policy: Policy, change: Change, size: int) -> None:
    """Refuses a plan that cannot work for so many endpoints, with every reason at once."""
    if size and (wrong := plan_lint.problems(policy, change, size)):
        raise Invalid("; ".join(f.text for f in wrong), rules=[f.rule for f in wrong])


def _half_a_drill(change: Change) -> bool:
    """Whether it says that it is a drill and carries more, or is named as one and is none."""
    named = [p.name == DRILL_PACKAGE for p in change.updates]
    if not change.is_drill:
        return any(named)
    return named != [True] or change.release is not None or bool(change.undoes)


def _check(title: str, change: Change, policy: Policy) -> None:
    """What no rollout may be."""
    problems = [
        (not title.strip() or len(title) > TITLE_CHARS_MAX, f"a title has 1 to {TITLE_CHARS_MAX} characters"),
        (not change.updates, "a rollout needs at least one update"),
        (change.channel != STABLE and change.release is None, "only a release of ours goes to a channel"),
        (_half_a_drill(change), "a drill is a drill and nothing else"),
        (not policy.rings, "a policy needs at least one ring"),
        (policy.led, "only a conductor's grant makes a led policy: its rings are those granted, whole ones are yours"),
        (any(r.count is None and not 0 < (r.share or 0) <= 1 for r in policy.rings), "a ring has a count or a share"),
        (any(r.count is not None and r.count < 1 for r in policy.rings), "a ring's count is at least 1"),
        (policy.guard.no_data != "hold", "no_data can only be hold"),
        (policy.restarts.consent not in ("tagged", "all"), "restarts.consent is tagged or all"),
        (policy.restarts.without not in ("pass", "hold"), "restarts.without is pass or hold"),
        (not 0 < policy.guard.alpha <= 0.05, "alpha is above 0 and at most 0.05"),
        (policy.quorum < 0.5 or policy.enrolled < 0.5, "quorum and enrolled are at least one half"),
        (list(policy.checkpoints_s) != sorted(set(policy.checkpoints_s)) or not policy.checkpoints_s,
         "checkpoints rise"),
    ]  # fmt: skip
    for wrong, text in problems:
        if wrong:
            raise Invalid(text)
