"""Limits over all rollouts of a tenant, budgets and freeze windows: what people set, and what is left to one rollout.

Invariants: whoever sets says why where it widens, and it is in the audit log; a budget is never without a bound; what
cannot be known now offers nothing. Spending is done by the database with each offer, see migration 0060; the decisions
are `budget` and `windows`, pure. The executor asks `of_tenant` and `allowance`, the check-in path `frozen_for`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from brakeline.core.clock import Clock
from brakeline.core.errors import Fault, Invalid, NotFound
from brakeline.fleet.model import EndpointIdentity
from brakeline.fleet.query import Age, InvalidQuery, Match, parse, render
from brakeline.fleet.service import FleetService
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Connection, Database
from brakeline.platform.observe import logger
from brakeline.rollout import budget, windows
from brakeline.rollout.budget import DEFAULT, FLEET, FREEZE_WINDOW, Allowance, Budget, Group, Limit, Per, Usage
from brakeline.rollout.model import Arm, Blueprint, Line, Report, State
from brakeline.rollout.situation import Situation
from brakeline.rollout.store import budgets as budgets_store
from brakeline.rollout.store import windows as windows_store
from brakeline.rollout.store.arms import Target
from brakeline.rollout.store.rollouts import RolloutRow
from brakeline.rollout.windows import Span, Weekly, Window
from brakeline.tenancy import audit
from brakeline.tenancy.model import Principal

BUDGETS_MAX: Final = 50  # each is counted with each offer
WINDOWS_MAX: Final = 50  # each with a filter is a question to the database while it is in force
REASON_CHARS_MAX: Final = 500
UNREADABLE: Final = "limits cannot be read, so nothing new is offered"
# Who is in a window must not change by what is (not) done in it; `seen` or `missing` do.
FILTER_KEYS: Final = ("os", "tag", "region", "class", "host", "id", "arch")


@dataclass(frozen=True, slots=True)
class ScopeView:
    """One group that a budget is counted for."""

    group: str
    cap: int
    used: int
    size: int
    next_ms: int  # when there is room again; 0 = there is, or nobody can say
    text: str


@dataclass(frozen=True, slots=True)
class BudgetView:
    """One budget as people see it; `standard` = the rule of every tenant, nobody has set it."""

    group: str  # "" = the whole fleet
    per: str  # hour | at_once
    limit: str
    endpoints: int | None
    percent: float | None
    set_ms: int
    set_by: str
    standard: bool
    scopes: tuple[ScopeView, ...]


@dataclass(frozen=True, slots=True)
class ScopeChange:
    """What setting a budget would do to one group; `before` None = it had none of its own."""

    group: str
    size: int
    before: int | None
    after: int


@dataclass(frozen=True, slots=True)
class BudgetPlan:
    """What setting a budget would do. `widens`: more may be changed than before, so it needs a reason."""

    group: str
    per: str
    before: str
    after: str
    widens: bool
    rollouts: int  # that go on now and would have it
    scopes: tuple[ScopeChange, ...]


@dataclass(frozen=True, slots=True)
class WindowView:
    """One freeze window as people see it. `state`: frozen (now), to come, or over."""

    id: str
    name: str
    when: str
    zone: str
    filter: str
    state: str
    text: str
    created_ms: int
    created_by: str


@dataclass(frozen=True, slots=True)
class TenantLimits:
    """All limits of a tenant at one moment."""

    usage: Usage
    frozen: str = ""  # what freezes the whole fleet, in words; "" = nothing
    partly: tuple[tuple[str, frozenset[str]], ...] = ()  # and what freezes these endpoints


class Limits:
    """See the module."""

    def __init__(self, db: Database, clock: Clock, ids: IdMaker, fleet: FleetService) -> None:
        self._db, self._clock, self._ids, self._fleet = db, clock, ids, fleet
        self._known: dict[str, TenantLimits] = {}

    # --- for rollouts -------------------------------------------------------------------------------------------------

    async def of_tenant(self, tenant_id: str) -> TenantLimits:
        """Read now. What cannot be read lets nothing open, and holds up no halt."""
        try:
            limits = await self._read(tenant_id)
        except Fault as e:
            logger.error("limits-unknown", tenant=tenant_id, reason=str(e))
            limits = TenantLimits(Usage(FLEET, Per.HOUR, 1, 1), f"{UNREADABLE}: {e}")
        self._known[tenant_id] = limits
        return limits

    async def _read(self, tenant_id: str) -> TenantLimits:
        now_ms = self._clock.now_ms()
        async with self._db.tenant(tenant_id) as conn:
            usage = await budgets_store.of_the_fleet(conn, now_ms)
            found = await windows_store.windows(conn)
        for_all = windows.frozen((w for w in found if not w.filter), now_ms)
        partly = [
            (str(in_force), frozenset(await self._fleet.matching(tenant_id, w.filter)))
            for w in found if w.filter and (in_force := windows.frozen((w,), now_ms)) is not None
        ]  # fmt: skip
        return TenantLimits(usage, str(for_all) if for_all else "", tuple(partly))

    def closed(self, tenant_id: str) -> bool:
        """Whether, when it was last looked, a freeze window or a spent budget kept the fleet from any change."""
        known = self._known.get(tenant_id)
        return known is not None and (known.frozen != "" or known.usage.room < 1)

    async def allowance(
        self, conn: Connection, row: RolloutRow, targets: Sequence[Target], limits: TenantLimits
    ) -> Allowance:
        """What the limits leave to one rollout. Releases are leased by name where a range would reach too many."""
        passes = (limits.frozen or limits.partly) and await windows_store.passes(conn, row.rollout_id)
        partly = () if passes else limits.partly
        by_name: dict[str, int] = {}
        if row.change.release is not None:
            held = (await budgets_store.budgeted(conn)).union(*(ids for _, ids in partly))
            for t in targets:
                if t.endpoint_id in held:
                    by_name[t.region] = min(t.u, by_name.get(t.region, t.u))
        return Allowance(
            limits.usage, await budgets_store.reserved(conn, row.rollout_id), await budgets_store.sharers(conn),
            "" if passes else limits.frozen, by_name, _notes(targets, partly),
        )  # fmt: skip

    async def frozen_for(self, identity: EndpointIdentity) -> str:
        """What freezes this endpoint now, in words; "" = nothing."""
        now_ms = self._clock.now_ms()
        try:
            async with self._db.tenant(identity.tenant_id) as conn:
                found = await windows_store.windows(conn)
            if windows.frozen(found, now_ms) is None:
                return ""
            mine = [w for w in found if not w.filter or await self._matches(identity, w.filter)]
        except Invalid as e:
            return f"{UNREADABLE}: {e}"
        in_force = windows.frozen(mine, now_ms)
        return str(in_force) if in_force else ""

    async def _matches(self, identity: EndpointIdentity, text: str) -> bool:
        return bool(await self._fleet.matching(identity.tenant_id, text, [identity.endpoint_id]))

    # --- budgets ------------------------------------------------------------------------------------------------------

    async def budgets(self, principal: Principal) -> tuple[BudgetView, ...]:
        """Every budget in force with what is spent of it, the fleet's first."""
        principal.require("rollout.read")
        return await self._budgets(principal.tenant_id)

    async def _budgets(self, tenant_id: str) -> tuple[BudgetView, ...]:
        now_ms = self._clock.now_ms()
        async with self._db.tenant(tenant_id) as conn:
            found = await budgets_store.budgets(conn)
            usages = await budgets_store.usages(conn, now_ms)
        if not any((b.group, b.per) == (FLEET, Per.HOUR) for b in found):
            found = (Budget(FLEET, Per.HOUR, DEFAULT), *found)
        return tuple(_budget_view(b, usages, now_ms) for b in found)

    async def plan_budget(
        self, principal: Principal, *, group: str = "", per: str = "hour", endpoints: int | None = None,
        percent: float | None = None,
    ) -> BudgetPlan:  # fmt: skip
        """What `set_budget` would do; changes nothing. Raises as it would, except for a missing reason."""
        principal.require("rollout.read")
        which, how, limit = budget.parse_group(group), _per(per), budget.checked(endpoints, percent)
        sizes = await self._sizes(principal, which)
        async with self._db.tenant(principal.tenant_id) as conn:
            old = next((b for b in await budgets_store.budgets(conn) if (b.group, b.per) == (which, how)), None)
            usages = {u.group: u for u in await budgets_store.usages(conn, self._clock.now_ms()) if u.per is how}
            rollouts = await budgets_store.sharers(conn)
        before = old.limit if old else _standard(which, how)
        scopes = (
            ScopeChange(str(g), size, usages[g].cap if g in usages else None, limit.cap(size))
            for g, size in sizes.items()
        )
        return BudgetPlan(
            str(which), how.value, str(before or ""), str(limit), budget.widens(before, limit), rollouts, tuple(scopes)
        )

    async def set_budget(
        self, principal: Principal, *, group: str = "", per: str = "hour", endpoints: int | None = None,
        percent: float | None = None, reason: str = "",
    ) -> BudgetView:  # fmt: skip
        """Set one, or set it anew. `Invalid` for what makes no sense, and for raising it without a reason."""
        principal.require("limits.write")
        wanted = Budget(
            budget.parse_group(group), _per(per), budget.checked(endpoints, percent), self._clock.now_ms(),
            principal.name,
        )  # fmt: skip
        await self._sizes(principal, wanted.group)
        async with self._db.tenant(principal.tenant_id) as conn:
            old = await budgets_store.get(conn, wanted.group, wanted.per)
            if old is None and len(await budgets_store.budgets(conn)) >= BUDGETS_MAX:
                raise Invalid(f"there are {BUDGETS_MAX} budgets already; remove one that is no longer needed")
            before = old.limit if old else _standard(wanted.group, wanted.per)
            if before != wanted.limit or old is None:
                facts = _widening(principal, budget.widens(before, wanted.limit), reason)
                await budgets_store.put(conn, principal.tenant_id, wanted)
                after = {"limit": str(wanted.limit), "per": wanted.per.value} | facts
                await audit.append(conn, self._clock, principal, "budget.set", _name(wanted.group),
                                   {"limit": str(before)} if before else None, after)  # fmt: skip
        key = (str(wanted.group), wanted.per.value)
        return next(v for v in await self._budgets(principal.tenant_id) if (v.group, v.per) == key)

    async def remove_budget(
        self, principal: Principal, *, group: str = "", per: str = "hour", reason: str = ""
    ) -> None:
        """Remove one; the fleet's goes back to the rule of every tenant."""
        principal.require("limits.write")
        which, how = budget.parse_group(group), _per(per)
        async with self._db.tenant(principal.tenant_id) as conn:
            old = await budgets_store.get(conn, which, how)
            if old is None:
                raise NotFound("nobody has set such a budget; `brakeline budget show` lists them", group=group[:80])
            after = _standard(which, how)
            facts = _widening(principal, budget.widens(old.limit, after), reason)
            await budgets_store.remove(conn, which, how)
            await audit.append(conn, self._clock, principal, "budget.remove", _name(which),
                               {"limit": str(old.limit), "per": how.value}, facts)  # fmt: skip

    async def _sizes(self, principal: Principal, group: Group) -> dict[Group, int]:
        """The groups that it stands for, by how many endpoints are in each. None is a mistake in the name."""
        if group == FLEET:
            return {FLEET: len(await self._fleet.matching(principal.tenant_id, "state:active"))}
        known = await self._fleet.values_of(principal.tenant_id, group.key)
        found = {g: n for value, n in known.items() if group.covers(g := Group(group.key, value))}
        if found:
            return found
        near = difflib.get_close_matches(group.value.rstrip("*"), known, n=1)
        some = ", ".join([*known][:10]) or "none"
        hint = f"did you mean {group.key}:{near[0]}?" if near else f"there are: {some}"
        raise Invalid(f"no endpoint is in {group}, so nothing would be bounded; {hint}", group=str(group))

    # --- freeze windows -----------------------------------------------------------------------------------------------

    async def freeze_windows(self, principal: Principal) -> tuple[WindowView, ...]:
        """All of them, oldest first."""
        principal.require("rollout.read")
        async with self._db.tenant(principal.tenant_id) as conn:
            found = await windows_store.windows(conn)
        return tuple(_window_view(w, self._clock.now_ms()) for w in found)

    async def add_window(
        self, principal: Principal, *, name: str, weekly: str = "", begins: str = "", ends: str = "", zone: str = "UTC",
        filter_text: str = "",
    ) -> WindowView:  # fmt: skip
        """A new one: weekly, or once from `begins` (now, where it is empty) to `ends` (empty = until it is removed)."""
        principal.require("limits.write")
        now_ms = self._clock.now_ms()
        windows.checked_zone(zone)
        window = Window(
            name.strip(), _when(weekly, begins, ends, zone, now_ms), zone, _filter(filter_text), self._ids.new("fw"),
            now_ms, principal.name,
        )  # fmt: skip
        windows.check(window, now_ms)
        if window.filter and not await self._fleet.matching(principal.tenant_id, window.filter):
            raise Invalid(f"no endpoint matches {window.filter}, so nothing would be frozen", filter=window.filter[:80])
        async with self._db.tenant(principal.tenant_id) as conn:
            if len(await windows_store.windows(conn)) >= WINDOWS_MAX:
                raise Invalid(f"there are {WINDOWS_MAX} freeze windows already; remove those that are over")
            await windows_store.insert(conn, principal.tenant_id, window)
            await audit.append(conn, self._clock, principal, "freeze_window.add", window.id, None, _facts(window))
        return _window_view(window, now_ms)

    async def remove_window(self, principal: Principal, name: str, *, reason: str = "") -> WindowView:
        """By id or name. What it holds up goes on from the next round: unless it is over, that needs a reason."""
        principal.require("limits.write")
        now_ms = self._clock.now_ms()
        async with self._db.tenant(principal.tenant_id) as conn:
            gone = await windows_store.delete(conn, name)
            if gone is None:
                raise NotFound("no such freeze window; `brakeline freeze-window list` has them", name=name[:80])
            facts = _widening(principal, not windows.over(gone, now_ms), reason)
            await audit.append(conn, self._clock, principal, "freeze_window.remove", gone.id, _facts(gone), facts)
        return _window_view(gone, now_ms)


def within(situation: Situation, proposed: Blueprint, report: Report, allowed: Allowance,
           now_ms: int) -> tuple[Blueprint, Report]:  # fmt: skip
    """What the planner proposes, with no gate that the limits do not cover; the report says so first. Pure."""
    row, seen = situation.row, situation.summary
    treated_in = {(t.region, t.tick): t.treated for t in seen.ticks}
    fitted, lines = budget.fit(
        row.blueprint, proposed, allowed, treated_in, lambda region, n: seen.places.untreated(region).at(n), now_ms,
        row.report.lines,
    )  # fmt: skip
    if row.change.release is not None:
        treated = {s.endpoint_id for s in situation.subjects if s.arm is Arm.TREATED}
        draws: dict[str, list[int]] = {t.region: [] for t in situation.targets}
        for t in situation.targets:
            if t.endpoint_id not in treated:
                draws[t.region].append(t.u)
        lines = budget.leased_within(lines, fitted, treated_in, draws)
    return fitted, Report(budget.waits_first(report.lines, lines))


def _notes(targets: Iterable[Target], partly: Iterable[tuple[str, frozenset[str]]]) -> tuple[Line, ...]:
    """Which part of a rollout's endpoints waits for which limit."""
    targets = tuple(targets)
    lines = [
        Line(FREEZE_WINDOW, State.WAIT, f"{in_force}: {n} of {len(targets)} endpoints are offered nothing", {"n": n})
        for in_force, ids in partly if (n := sum(t.endpoint_id in ids for t in targets))
    ]  # fmt: skip
    reasons: dict[str, int] = {}
    for t in targets:
        if t.blocked_code == budget.GROUP_BUDGET:
            said = t.blocked_reason.partition(";")[0]
            reasons[said] = reasons.get(said, 0) + 1
    lines += [Line(budget.BUDGET, State.WAIT, f"{said}: {n} wait for it", {"n": n}) for said, n in reasons.items()]
    return tuple(lines)


def _budget_view(b: Budget, usages: Iterable[Usage], now_ms: int) -> BudgetView:
    mine = [u for u in usages if u.per is b.per and b.group.covers(u.group)]
    percent = b.limit.permille / 10 if b.limit.permille is not None else None
    return BudgetView(
        str(b.group), b.per.value, str(b.limit), b.limit.endpoints, percent, b.set_ms, b.set_by, not b.set_ms,
        tuple(ScopeView(str(u.group), u.cap, u.used, u.size, u.next_ms, budget.in_words(u, now_ms)) for u in mine),
    )  # fmt: skip


def _window_view(w: Window, now_ms: int) -> WindowView:
    in_force = windows.frozen((w,), now_ms)
    state = "over" if windows.over(w, now_ms) else "to come" if in_force is None else "frozen"
    return WindowView(
        w.id, w.name, windows.in_words(w), w.zone, w.filter, state, str(in_force) if in_force else "", w.created_ms,
        w.created_by,
    )  # fmt: skip


def _facts(w: Window) -> dict[str, object]:
    return {"name": w.name, "when": windows.in_words(w), "zone": w.zone, "filter": w.filter}


def _standard(group: Group, per: Per) -> Limit | None:
    return DEFAULT if (group, per) == (FLEET, Per.HOUR) else None


def _name(group: Group) -> str:
    return str(group) or "fleet"


def _per(text: str) -> Per:
    if text not in tuple(Per):
        raise Invalid(f"a budget is per hour or at_once, not {text[:40]!r}", got=text[:40])
    return Per(text)


def _when(weekly: str, begins: str, ends: str, zone: str, now_ms: int) -> Span | Weekly:
    if weekly and (begins or ends):
        raise Invalid("a freeze window is weekly or has a begin and an end, not both")
    if weekly:
        return windows.parse_weekly(weekly)
    if not begins and not ends:
        raise Invalid(f"when? Give a begin and an end, or weekly hours: {windows.HINT}")
    start = windows.parse_instant(begins, zone, latest=False) if begins else now_ms
    return Span(start, windows.parse_instant(ends, zone, latest=True) if ends else None)


def _filter(text: str) -> str:
    """The filter in its one way of being written; only of keys that what is frozen does not change."""
    query = parse(text)
    for term in query.terms:
        if isinstance(term, Age) or (isinstance(term, Match) and term.key not in FILTER_KEYS):
            raise InvalidQuery(
                f"{term.key} changes by itself, so endpoints would slip out of the window; "
                f"it may speak of {', '.join(FILTER_KEYS)}"
            )
    return render(query)


def _widening(principal: Principal, widens: bool, reason: str) -> dict[str, object]:
    """Facts for the audit log of an act that may let more be changed than before. `Invalid` without a reason.

    Two persons will be asked here once two-person acts are built (a second session of a person, never a token): every
    act that raises a budget or ends a freeze window comes through this one function, before anything is written.
    """
    if widens and not reason.strip():
        raise Invalid("this lets more be changed than before: say why; the reason is kept in the audit log")
    if len(reason) > REASON_CHARS_MAX:
        raise Invalid(f"a reason has at most {REASON_CHARS_MAX} characters", got=len(reason))
    persons = 1 if principal.kind == "person" else 0
    return {"widens": widens, "reason": reason.strip()} | ({"persons": persons} if widens else {})
