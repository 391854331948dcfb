"""What people read of rollouts: the list, everything about one, its endpoints page by page, why it does what it does.

Nothing here writes. Who is followed by this process's executor is looked at there, which costs what changed since; any
other is read whole. Endpoints are listed in pages, which the database picks. `service` steers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from brakeline.core.errors import Invalid, NotFound
from brakeline.fleet.model import Presence
from brakeline.fleet.service import FleetService
from brakeline.platform.database import Connection
from brakeline.protocol.channels import STABLE
from brakeline.rollout import arms, led, lint, people, plan_lint, planner, view
from brakeline.rollout.executor import Executor
from brakeline.rollout.frozen import held
from brakeline.rollout.limit_within import within
from brakeline.rollout.lint import Finding
from brakeline.rollout.live import OFFERING
from brakeline.rollout.model import Line, Wish
from brakeline.rollout.offering import Offering
from brakeline.rollout.one import STOPPED
from brakeline.rollout.pace_text import chosen_line
from brakeline.rollout.situation import Lens, Situation, load, quarantined_elsewhere
from brakeline.rollout.store import arms as arms_store
from brakeline.rollout.store import members as members_store
from brakeline.rollout.store import offers as offers_store
from brakeline.rollout.store import rollouts
from brakeline.rollout.store import undo as undo_store
from brakeline.rollout.store.arms import SubjectRow, Target
from brakeline.rollout.store.members import Asked, Counted
from brakeline.rollout.store.rollouts import Quarantined, RolloutRow
from brakeline.rollout.told import Told
from brakeline.rollout.undo import left_out_line
from brakeline.rollout.view import LogLine, Member, RolloutView, TargetName
from brakeline.tenancy.model import Principal
from brakeline.tenancy.two_people import Request

PAGE: Final = 500
TOLD_MAX: Final = 500  # results of one endpoint that are looked through: years of weekly patching
PAGES_MAX: Final = 20  # looked through for the few that went wrong, before a page is given that has fewer
NO_LAUNCHER: Final = "no launcher runs its agent, so it takes no release: enrol the machine again to get one"
SHOWS: Final = ("", "treated", "spared", "bad")  # which endpoints of a rollout a list may show


@dataclass(frozen=True, slots=True)
class RolloutSummary:
    """One line of the list."""

    id: str
    title: str
    state: str
    why: str
    updates: int
    created_ms: int
    created_by: str
    ring: int
    generation: int
    targets: int
    exposed: int
    proven: int
    failed: int
    release: str = ""  # id of the release of ours that it rolls out; "" = updates
    undoes: str = ""  # id of the rollout whose updates it takes back
    drill: bool = False  # on real endpoints: nothing is changed
    restart: bool = False  # of machines: no update
    channel: str = ""  # of a release: to which it was promoted


@dataclass(frozen=True, slots=True)
class ReleaseRollout:
    """A rollout of a release of ours, in one line."""

    id: str
    release: str
    title: str
    state: str
    created_ms: int
    channel: str = STABLE


@dataclass(frozen=True, slots=True)
class MemberPage:
    """Endpoints of a rollout by host name; `next` goes into `after` for the following ones, None at the end."""

    items: tuple[Member, ...]
    next: str | None
    title: str  # of the rollout
    release: str  # id of the release of ours that it rolls out; "" = updates


class SecondPerson(Protocol):
    """What takes two people (`acts.Acts`)."""

    async def before_start(self, principal: Principal, row: RolloutRow) -> Request | None: ...
    async def before_resume(self, principal: Principal, row: RolloutRow, reason: str) -> Request | None: ...
    async def waiting(self, tenant_id: str, rollout_id: str) -> Request | None: ...
    async def lines(self, tenant_id: str, row: RolloutRow) -> tuple[Line, ...]: ...


class Reading(Offering):
    """See the module."""

    fleet: FleetService
    executor: Executor
    acts: SecondPerson | None

    async def _situation(self, conn: Connection, tenant_id: str, row: RolloutRow) -> Situation:
        presence = await self.fleet.presence(tenant_id, None)
        elsewhere = await quarantined_elsewhere(conn, row.rollout_id)
        pressed = self.journal.all_pressed(tenant_id).get(row.rollout_id) if row.wish is not Wish.WITHDRAW else None
        return await load(conn, row, presence, elsewhere, pressed, self.clock.now_ms())

    async def list(self, principal: Principal, *, states: Iterable[str] = (), before: str | None = None,
                   limit: int = 50, release: str = "") -> tuple[RolloutSummary, ...]:  # fmt: skip
        """Newest first; `before` = the id after which to go on; `release` = only those of this release."""
        principal.require("rollout.read")
        async with self.db.tenant(principal.tenant_id) as conn:
            rows = await rollouts.page(conn, before, min(max(limit, 1), PAGE), [*states], release)
            counts = await members_store.counts(conn, [row.rollout_id for row in rows])
        return tuple(_summary(row, counts[row.rollout_id]) for row in rows)

    async def of_releases(self, principal: Principal) -> tuple[ReleaseRollout, ...]:
        """The newest rollouts of releases, without looking at their endpoints: for lists of many releases."""
        principal.require("rollout.read")
        async with self.db.tenant(principal.tenant_id) as conn:
            rows = await rollouts.of_releases(conn)
        return tuple(
            ReleaseRollout(r.rollout_id, r.change.release.release_id, r.title, r.blueprint.phase.value, r.created_ms,
                           r.change.channel)
            for r in rows if r.change.release is not None
        )  # fmt: skip

    async def show(self, principal: Principal, rollout_id: str) -> RolloutView:
        """Everything about one rollout at this moment."""
        principal.require("rollout.read")
        tenant_id = principal.tenant_id
        row = await self._get(tenant_id, rollout_id)
        kept = await self.executor.look(tenant_id, row)
        async with self.db.tenant(tenant_id) as conn:
            situation = kept or await self._situation(conn, tenant_id, row)
            left_out = tuple(await undo_store.left_out(conn, rollout_id)) if row.change.takes_back else ()
            log = tuple(LogLine(e.at_ms, e.kind, e.who, e.text) for e in await rollouts.events(conn, rollout_id))
            samples = [(s.at_ms, s.n_t, s.x_t, s.n_c, s.x_c) for s in await rollouts.samples(conn, rollout_id)]
        presence = await self.fleet.presence(tenant_id, None) if row.change.release else {}
        lines = await self._lines(tenant_id, row)
        names = [_target_name(t, _without_launcher(presence.get(t.endpoint_id))) for t in situation.targets]
        return view.build(
            rollout_id=rollout_id, title=row.title, change=row.change, policy=row.policy, attributes=row.attributes,
            created_ms=row.created_ms, created_by=row.created_by, wish=row.wish, blueprint=row.blueprint,
            lines=lines, names=names, subjects=situation.subjects, samples=samples, log=log,
            population=situation.summary.population or len(names), left_out=left_out, now_ms=self.clock.now_ms(),
        )  # fmt: skip

    async def members(self, principal: Principal, rollout_id: str, *, region: str = "", ring: str = "", show: str = "",
                      after: str = "", limit: int = 100) -> MemberPage:  # fmt: skip
        """Its endpoints by host name, `after` that endpoint: of a region, treated in a ring, or of what `show` says:
        treated, spared (not treated), bad (treated, and failed, unhealthy, silent or broken off)."""
        principal.require("rollout.read")
        row, limit = await self._get(principal.tenant_id, rollout_id), min(max(limit, 1), PAGE)
        names = await self._ring_names(principal.tenant_id, row)
        asked = _asked(names, region, ring, show)
        items, more = list[Member](), False
        for _ in range(PAGES_MAX):
            found = await self._members(principal.tenant_id, row, names, asked, after, limit + 1)
            wanted = [m for m in found[:limit] if show != "bad" or m.state in view.HARMED]
            room, more = limit - len(items), len(found) > limit
            items += wanted[:room]
            if len(wanted) > room or len(items) == limit:
                more, after = more or len(wanted) > room, items[-1].endpoint_id
                break
            if not more:
                break
            after = found[limit - 1].endpoint_id
        release = row.change.release.release_id if row.change.release else ""
        return MemberPage(tuple(items), after if more else None, row.title, release)

    async def _ring_names(self, tenant_id: str, row: RolloutRow) -> tuple[str, ...]:
        seen = await self.executor.look(tenant_id, row)
        if seen is None:
            async with self.db.tenant(tenant_id) as conn:
                seen = await self._situation(conn, tenant_id, row)
        population = seen.summary.population or len(seen.targets)
        return tuple(r.name for r, _ in arms.rings_for(row.policy, row.change, population))

    async def _members(self, tenant_id: str, row: RolloutRow, names: tuple[str, ...], asked: Asked, after: str,
                       limit: int) -> tuple[Member, ...]:  # fmt: skip
        async with self.db.tenant(tenant_id) as conn:
            found = await members_store.page(conn, row.rollout_id, asked, after, limit)
        presence = await self.fleet.presence(tenant_id, [t.endpoint_id for t, _ in found])
        lens, now_ms = Lens.of(row), self.clock.now_ms()

        def member(target: Target, stored: SubjectRow | None) -> Member:
            seen = presence.get(target.endpoint_id)
            subject = lens.subject(stored, target, seen, now_ms) if stored is not None else None
            name = _target_name(target, row.change.release is not None and _without_launcher(seen))
            return view.member(row.policy, names, name, subject, row.blueprint.phase, now_ms)

        return tuple(member(*each) for each in found)

    async def offered_in(self, conn: Connection, offer_id: str, endpoint_id: str) -> str:
        """The rollout in which this offer was made to this endpoint; "" = it was made to nobody, or to another. Asked
        inside a transaction of whoever keeps what the endpoint says of it."""
        offer = await offers_store.by_id(conn, offer_id, endpoint_id)
        return offer.rollout_id if offer is not None else ""

    async def told_of(self, conn: Connection, endpoint_id: str) -> tuple[Told, ...]:
        """The newest results of an endpoint, newest first; in the same way."""
        return await offers_store.told_of(conn, endpoint_id, TOLD_MAX)

    async def explain(self, principal: Principal, rollout_id: str) -> tuple[Line, ...]:
        """Why it does what it does: every gate in the order in which it was asked."""
        principal.require("rollout.read")
        return await self._lines(principal.tenant_id, await self._get(principal.tenant_id, rollout_id))

    async def _lines(self, tenant_id: str, row: RolloutRow) -> tuple[Line, ...]:
        """The report; behind its first line what waits for a second person, and who a rollback leaves out; at its end
        why it has this pace."""
        more = await self.acts.lines(tenant_id, row) if self.acts is not None else ()
        if row.change.takes_back:
            async with self.db.tenant(tenant_id) as conn:
                left_out = tuple(await undo_store.left_out(conn, row.rollout_id))
            more += (left_out_line(left_out),) if left_out else ()
        more += await self._people(tenant_id, row)
        pace = (chosen_line(row.pace),) if row.pace is not None else ()
        return (*row.report.lines[:1], *more, *row.report.lines[1:], *pace)

    async def _people(self, tenant_id: str, row: RolloutRow) -> tuple[Line, ...]:
        """Which machines wait for whoever sits at them, and until when."""
        if not row.change.is_restart or row.blueprint.phase not in OFFERING:
            return ()
        async with self.db.tenant(tenant_id) as conn:
            found = await arms_store.waiting_for_people(conn, row.rollout_id)
        waits = people.lines((name, wait) for name, text in found if (wait := people.read(text)) is not None)
        return (*waits, people.terms_line(row.policy.people)) if row.policy.people is not None else waits

    async def lint(self, principal: Principal, rollout_id: str) -> tuple[Finding, ...]:
        """What an independent look at the next step finds wrong; as notes what stops it, what its plan cannot do, and
        the alpha table, row by row."""
        principal.require("rollout.read")
        tenant_id = principal.tenant_id
        row, limits = await self._get(tenant_id, rollout_id), await self.limits.of_tenant(tenant_id)
        freeze = self.journal.frozen(tenant_id)
        async with self.db.tenant(tenant_id) as conn:
            situation = held(await self._situation(conn, tenant_id, row), freeze)
            allowed = await self.limits.allowance(conn, row, situation.targets, limits)
            leading = await self.executor.leading(conn, tenant_id, row)
        now_ms = self.clock.now_ms()
        proposed, report = planner.decide(row.policy, row.blueprint, situation.summary, now_ms)
        if leading is not None:
            proposed, report = led.bounded(row.blueprint, proposed, report, leading, now_ms)
        proposed, _ = within(situation, proposed, report, allowed, now_ms)
        size = len(situation.targets)
        return (
            *lint.check(row.policy, row.blueprint, proposed, situation.observed, allowed),
            *lint.stop_notes(freeze.told() if freeze else "", allowed),
            *plan_lint.notes(row.policy, row.change, size),
            lint.alpha_note(row.policy, row.attributes),
            *lint.alpha_rows(row.policy, row.attributes),
        )

    async def quarantined(self, principal: Principal) -> tuple[Quarantined, ...]:
        """Updates that no rollout of this tenant offers."""
        principal.require("rollout.read")
        async with self.db.tenant(principal.tenant_id) as conn:
            return tuple(await rollouts.quarantined(conn))

    async def _get(self, tenant_id: str, rollout_id: str) -> RolloutRow:
        async with self.db.tenant(tenant_id) as conn:
            row = await rollouts.get(conn, rollout_id)
        if row is None:
            raise NotFound("no such rollout", id=rollout_id[:40])
        return row


def _summary(row: RolloutRow, n: Counted) -> RolloutSummary:
    why = row.report.lines[0].text if row.report.lines else row.blueprint.why
    return RolloutSummary(
        row.rollout_id, row.title, row.blueprint.phase.value, why, len(row.change.updates), row.created_ms,
        row.created_by, row.blueprint.ring, row.blueprint.generation, n.targets, n.treated, n.proven, n.failed,
        row.change.release.release_id if row.change.release else "", row.change.undoes, row.change.is_drill,
        row.change.is_restart, row.change.channel if row.change.release else "",
    )  # fmt: skip


def _target_name(t: Target, lacking: bool) -> TargetName:
    wait = people.read(t.people)
    waits = people.words(wait) if wait is not None else ""
    blocked, stopped = NO_LAUNCHER if lacking else t.blocked_reason, t.blocked_code == STOPPED
    return TargetName(t.endpoint_id, t.hostname, t.region, blocked, waits, stopped)


def _without_launcher(seen: Presence | None) -> bool:
    return seen is not None and bool(seen.last_check_in_ms) and seen.launcher is None


def _asked(names: tuple[str, ...], region: str, ring: str, show: str) -> Asked:
    if show not in SHOWS:
        raise Invalid(f"endpoints are shown by {', '.join(filter(None, SHOWS))}", got=show[:20])
    if ring and ring not in names:
        raise Invalid(f"no ring is called {ring[:40]!r}; there are {', '.join(names)}")
    treated = None if not show else show != "spared"
    return Asked(region, names.index(ring) if ring else None, treated)
