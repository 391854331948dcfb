"""Limits over all rollouts of a tenant, budgets and freeze windows: what people set, and what is left to one rollout.

Invariants: whoever sets says why where it widens, and it is in the audit log; a budget is never without a bound; what
cannot be known now offers nothing. Spending is done by the database with each offer, see migration 0060; the decisions
are `budget` and `windows`, pure. The executor asks `of_tenant` and `allowance`, the check-in path `frozen_for`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from brakeline.core.clock import Clock
from brakeline.core.errors import Bug, Fault, Invalid, NotFound
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
from brakeline.tenancy.approvals import Agreed
from brakeline.tenancy.faults import Overtaken
from brakeline.tenancy.model import Principal
from brakeline.tenancy.two_people import Request

BUDGETS_MAX: Final = 50  # each is counted with each offer
WINDOWS_MAX: Final = 50  # each with a filter is a question to the database while it is in force
REASON_CHARS_MAX: Final = 500
UNREADABLE: Final = "limits cannot be read, so nothing new is offered"
SET, REMOVE, END_WINDOW = "set-budget", "remove-budget", "end-window"
BUDGET_ID: Final = "budget:"  # of a request about a budget, which has no id of its own
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


class Widens(Exception):
    """An act that lets more be changed than before, found out before anything was written. Never leaves this slice."""

    def __init__(self, object_id: str, parameters: Mapping[str, Any], says: tuple[str, ...], situation: str) -> None:
        super().__init__(object_id)
        self.object_id, self.parameters, self.says, self.situation = object_id, parameters, says, situation


class SecondPerson(Protocol):
    """Who is asked before a limit is raised (`limit_acts.LimitActs`)."""

    async def before(self, principal: Principal, act: Widens) -> Request | None: ...


class Limits:
    """See the module."""

    def __init__(self, db: Database, clock: Clock, ids: IdMaker, fleet: FleetService) -> None:
        self._db, self._clock, self._ids, self._fleet = db, clock, ids, fleet
        self._known: dict[str, TenantLimits] = {}
        self.acts: SecondPerson | None = None  # `limit_acts.LimitActs` puts itself here; without it nothing is raised

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
    ) -> BudgetView | Request:  # fmt: skip
        """Set one, or set it anew; where that raises it, the request that a second person agrees to first.

        `Invalid` for what makes no sense, and for raising it without a reason.
        """
        principal.require("limits.write")
        which, how = budget.parse_group(group), _per(per)
        budget.checked(endpoints, percent)
        await self._sizes(principal, which)
        parameters = {
            "act": SET, "group": group, "per": per, "endpoints": endpoints, "percent": percent,
            "reason": reason.strip(),
        }  # fmt: skip
        if asked := await self._either(principal, parameters):
            return asked
        key = (str(which), how.value)
        return next(v for v in await self._budgets(principal.tenant_id) if (v.group, v.per) == key)

    async def _set(self, by: Agreed, asked: bool, p: Mapping[str, Any], expected: str) -> None:
        principal, which, how = by.principal, budget.parse_group(p["group"]), _per(p["per"])
        limit = budget.checked(p["endpoints"], p["percent"])
        wanted = Budget(which, how, limit, self._clock.now_ms(), by.names)
        async with self._db.tenant(principal.tenant_id) as conn:
            old = await budgets_store.get(conn, which, how)
            if old is None and len(await budgets_store.budgets(conn)) >= BUDGETS_MAX:
                raise Invalid(f"there are {BUDGETS_MAX} budgets already; remove one that is no longer needed")
            before = old.limit if old else _standard(which, how)
            _unmoved(expected, str(before))
            if before != wanted.limit or old is None:
                facts = _widening(
                    by, budget.widens(before, limit), asked, p, f"{BUDGET_ID}{_name(which)}/{how.value}", str(before),
                    f"Raise the budget of {_of(which)} {_each(how)} from {before} to {limit}.",
                )  # fmt: skip
                await budgets_store.put(conn, principal.tenant_id, wanted)
                after = {"limit": str(limit), "per": how.value} | facts
                await audit.append(conn, self._clock, principal, "budget.set", _name(which),
                                   {"limit": str(before)} if before else None, after)  # fmt: skip

    async def remove_budget(
        self, principal: Principal, *, group: str = "", per: str = "hour", reason: str = ""
    ) -> Request | None:
        """Remove one; the fleet's goes back to the rule of every tenant. Where that raises it, a second person agrees
        to the request first."""
        principal.require("limits.write")
        return await self._either(
            principal, {"act": REMOVE, "group": group, "per": per, "reason": reason.strip()}
        )  # fmt: skip

    async def _remove(self, by: Agreed, asked: bool, p: Mapping[str, Any], expected: str) -> None:
        which, how = budget.parse_group(p["group"]), _per(p["per"])
        async with self._db.tenant(by.principal.tenant_id) as conn:
            old = await budgets_store.get(conn, which, how)
            if old is None:
                raise NotFound(
                    "nobody has set such a budget; `brakeline budget show` lists them", group=str(p["group"])[:80]
                )  # fmt: skip
            after = _standard(which, how)
            _unmoved(expected, str(old.limit))
            facts = _widening(
                by, budget.widens(old.limit, after), asked, p, f"{BUDGET_ID}{_name(which)}/{how.value}", str(old.limit),
                f"Remove the budget of {_of(which)} {_each(how)}: {old.limit}; what holds then: {after or 'none'}.",
            )  # fmt: skip
            await budgets_store.remove(conn, which, how)
            await audit.append(conn, self._clock, by.principal, "budget.remove", _name(which),
                               {"limit": str(old.limit), "per": how.value}, facts)  # fmt: skip

    # --- two people ---------------------------------------------------------------------------------------------------

    async def _either(self, principal: Principal, parameters: Mapping[str, Any]) -> Request | None:
        """Do it, or ask a second person first where it widens."""
        by = Agreed(principal, principal.name, 1, "")
        try:
            await self._do(by, parameters, asked=False)
        except Widens as act:
            if self.acts is None:
                raise Bug("nobody is asked for what takes two people") from None
            if asked := await self.acts.before(principal, act):
                return asked
            await self._do(by, parameters, asked=True)
        return None

    async def agreed_to(self, agreed: Agreed, parameters: Mapping[str, Any], situation: str) -> None:
        """Do what two people have agreed to, unless the limit is another one by now (`Overtaken`)."""
        await self._do(agreed, parameters, asked=True, expected=situation)

    async def _do(self, by: Agreed, p: Mapping[str, Any], *, asked: bool, expected: str = "") -> None:
        act = {SET: self._set, REMOVE: self._remove, END_WINDOW: self._end_window}[p["act"]]
        await act(by, asked, p, expected)

    async def situation(self, tenant_id: str, p: Mapping[str, Any]) -> str:
        """The limit that `parameters` would change, as it is now."""
        async with self._db.tenant(tenant_id) as conn:
            if p["act"] == END_WINDOW:
                found = next((w for w in await windows_store.windows(conn) if w.id == p["window"]), None)
                return _standing(found) if found is not None else "it is gone"
            which, how = budget.parse_group(p["group"]), _per(p["per"])
            old = await budgets_store.get(conn, which, how)
        return str(old.limit if old else _standard(which, how))

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

    async def remove_window(self, principal: Principal, name: str, *, reason: str = "") -> WindowView | Request:
        """By id or name. What it holds up goes on from the next round: unless it is over, that needs a reason, and a
        second person agrees to the request first."""
        principal.require("limits.write")
        async with self._db.tenant(principal.tenant_id) as conn:
            found = next((w for w in await windows_store.windows(conn) if name in (w.id, w.name)), None)
        if found is None:
            raise NotFound("no such freeze window; `brakeline freeze-window list` has them", name=name[:80])
        parameters = {"act": END_WINDOW, "window": found.id, "reason": reason.strip()}
        return await self._either(principal, parameters) or _window_view(found, self._clock.now_ms())

    async def _end_window(self, by: Agreed, asked: bool, p: Mapping[str, Any], expected: str) -> None:
        now_ms = self._clock.now_ms()
        async with self._db.tenant(by.principal.tenant_id) as conn:
            gone = await windows_store.delete(conn, str(p["window"]))
            if gone is None:
                raise NotFound("no such freeze window; `brakeline freeze-window list` has them", name=str(p["window"]))
            _unmoved(expected, _standing(gone))
            facts = _widening(
                by, not windows.over(gone, now_ms), asked, p, gone.id, _standing(gone),
                f"End the freeze window {gone.name} ({windows.in_words(gone)}) for {gone.filter or 'everybody'}.",
            )  # fmt: skip
            await audit.append(conn, self._clock, by.principal, "freeze_window.remove", gone.id, _facts(gone), facts)


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


def _widening(by: Agreed, widens: bool, asked: bool, p: Mapping[str, Any], object_id: str, situation: str,
              says: str) -> dict[str, object]:  # fmt: skip
    """Facts for the audit log of an act that may let more be changed than before. `Invalid` without a reason.

    Every act that raises a budget or ends a freeze window comes through this one function, before anything is written
    (or inside a transaction that is then undone): `Widens` where nobody was asked yet.
    """
    reason = str(p["reason"])
    if widens and not reason:
        raise Invalid("this lets more be changed than before: say why; the reason is kept in the audit log")
    if len(reason) > REASON_CHARS_MAX:
        raise Invalid(f"a reason has at most {REASON_CHARS_MAX} characters", got=len(reason))
    if not widens:
        return {"widens": False, "reason": reason}
    if not asked:
        raise Widens(object_id, p, (says, f"Reason: {reason}"), situation)
    two = {"by": by.names, "approval": by.approval_id} if by.approval_id else {}
    return {"widens": True, "reason": reason, "persons": by.persons, **two}


def _unmoved(expected: str, now: str) -> None:
    if expected and expected != now:
        raise Overtaken(f"it was {expected}, and is {now}")


def _standing(w: Window) -> str:
    return f"{windows.in_words(w)}, {w.zone}, for {w.filter or 'everybody'}"


def _of(group: Group) -> str:
    return str(group) or "the fleet"


def _each(per: Per) -> str:
    return "an hour" if per is Per.HOUR else "at once"
