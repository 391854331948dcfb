"""Limits over all rollouts of a tenant, budgets and freeze windows: what people set, and what is left to one rollout.

Invariants: whoever sets says why where it widens, and it is in the audit log; a budget is never without a bound; what
cannot be known now offers nothing. Spending is done by the database with each offer, see migration 0060; the decisions
are `budget` and `windows`, pure, and what comes of them for one plan `limit_within`. The executor asks `of_tenant` and
`allowance`, the check-in path `frozen_for`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from brakeline.core.clock import Clock
from brakeline.core.errors import Bug, Fault, Invalid, NotFound
from brakeline.fleet.model import EndpointIdentity
from brakeline.fleet.service import FleetService
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Connection, Database
from brakeline.platform.observe import logger
from brakeline.rollout import budget, windows
from brakeline.rollout.budget import DEFAULT, FLEET, Allowance, Budget, Group, Per, Usage
from brakeline.rollout.limit_views import (
    BudgetPlan,
    BudgetView,
    ScopeChange,
    WindowView,
    budget_view,
    window_view,
)
from brakeline.rollout.limit_within import notes
from brakeline.rollout.limit_words import each, filter_of, name_of, of_group, per_of, standard, when_of
from brakeline.rollout.store import budgets as budgets_store
from brakeline.rollout.store import windows as windows_store
from brakeline.rollout.store.arms import Target
from brakeline.rollout.store.rollouts import RolloutRow
from brakeline.rollout.windows import Window
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
NOTHING_SPENT: Final = Usage(FLEET, Per.HOUR, budget.ENDPOINTS_MAX, 0)
BUDGET_ID: Final = "budget:"  # of a request about a budget, which has no id of its own


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
        if row.change.is_drill:  # spends nothing; a freeze window holds it like everything else
            return Allowance(NOTHING_SPENT, frozen=limits.frozen, notes=notes(targets, limits.partly))
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
            "" if passes else limits.frozen, by_name, notes(targets, partly),
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
        return tuple(budget_view(b, usages, now_ms) for b in found)

    async def plan_budget(
        self, principal: Principal, *, group: str = "", per: str = "hour", endpoints: int | None = None,
        percent: float | None = None,
    ) -> BudgetPlan:  # fmt: skip
        """What `set_budget` would do; changes nothing. Raises as it would, except for a missing reason."""
        principal.require("rollout.read")
        which, how, limit = budget.parse_group(group), per_of(per), budget.checked(endpoints, percent)
        sizes = await self._sizes(principal, which)
        async with self._db.tenant(principal.tenant_id) as conn:
            old = next((b for b in await budgets_store.budgets(conn) if (b.group, b.per) == (which, how)), None)
            usages = {u.group: u for u in await budgets_store.usages(conn, self._clock.now_ms()) if u.per is how}
            rollouts = await budgets_store.sharers(conn)
        before = old.limit if old else standard(which, how)
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
        which, how = budget.parse_group(group), per_of(per)
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
        principal, which, how = by.principal, budget.parse_group(p["group"]), per_of(p["per"])
        limit = budget.checked(p["endpoints"], p["percent"])
        wanted = Budget(which, how, limit, self._clock.now_ms(), by.names)
        async with self._db.tenant(principal.tenant_id) as conn:
            old = await budgets_store.get(conn, which, how)
            if old is None and len(await budgets_store.budgets(conn)) >= BUDGETS_MAX:
                raise Invalid(f"there are {BUDGETS_MAX} budgets already; remove one that is no longer needed")
            before = old.limit if old else standard(which, how)
            _unmoved(expected, str(before))
            if before != wanted.limit or old is None:
                facts = _widening(
                    by, budget.widens(before, limit), asked, p, f"{BUDGET_ID}{name_of(which)}/{how.value}", str(before),
                    f"Raise the budget of {of_group(which)} {each(how)} from {before} to {limit}.",
                )  # fmt: skip
                await budgets_store.put(conn, principal.tenant_id, wanted)
                after = {"limit": str(limit), "per": how.value} | facts
                await audit.append(conn, self._clock, principal, "budget.set", name_of(which),
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
        which, how = budget.parse_group(p["group"]), per_of(p["per"])
        async with self._db.tenant(by.principal.tenant_id) as conn:
            old = await budgets_store.get(conn, which, how)
            if old is None:
                raise NotFound(
                    "nobody has set such a budget; `brakeline budget show` lists them", group=str(p["group"])[:80]
                )  # fmt: skip
            after = standard(which, how)
            _unmoved(expected, str(old.limit))
            facts = _widening(
                by, budget.widens(old.limit, after), asked, p, f"{BUDGET_ID}{name_of(which)}/{how.value}",
                str(old.limit),
                f"Remove the budget of {of_group(which)} {each(how)}: {old.limit}; what holds then: {after or 'none'}.",
            )  # fmt: skip
            await budgets_store.remove(conn, which, how)
            await audit.append(conn, self._clock, by.principal, "budget.remove", name_of(which),
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
            which, how = budget.parse_group(p["group"]), per_of(p["per"])
            old = await budgets_store.get(conn, which, how)
        return str(old.limit if old else standard(which, how))

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
        return tuple(window_view(w, self._clock.now_ms()) for w in found)

    async def add_window(
        self, principal: Principal, *, name: str, weekly: str = "", begins: str = "", ends: str = "", zone: str = "UTC",
        filter_text: str = "",
    ) -> WindowView:  # fmt: skip
        """A new one: weekly, or once from `begins` (now, where it is empty) to `ends` (empty = until it is removed)."""
        principal.require("limits.write")
        now_ms = self._clock.now_ms()
        windows.checked_zone(zone)
        window = Window(
            name.strip(), when_of(weekly, begins, ends, zone, now_ms), zone, filter_of(filter_text),
            self._ids.new("fw"), now_ms, principal.name,
        )  # fmt: skip
        windows.check(window, now_ms)
        if window.filter and not await self._fleet.matching(principal.tenant_id, window.filter):
            raise Invalid(f"no endpoint matches {window.filter}, so nothing would be frozen", filter=window.filter[:80])
        async with self._db.tenant(principal.tenant_id) as conn:
            if len(await windows_store.windows(conn)) >= WINDOWS_MAX:
                raise Invalid(f"there are {WINDOWS_MAX} freeze windows already; remove those that are over")
            await windows_store.insert(conn, principal.tenant_id, window)
            await audit.append(conn, self._clock, principal, "freeze_window.add", window.id, None, _facts(window))
        return window_view(window, now_ms)

    async def remove_window(self, principal: Principal, name: str, *, reason: str = "") -> WindowView | Request:
        """By id or name. What it holds up goes on from the next round: unless it is over, that needs a reason, and a
        second person agrees to the request first."""
        principal.require("limits.write")
        async with self._db.tenant(principal.tenant_id) as conn:
            found = next((w for w in await windows_store.windows(conn) if name in (w.id, w.name)), None)
        if found is None:
            raise NotFound("no such freeze window; `brakeline freeze-window list` has them", name=name[:80])
        parameters = {"act": END_WINDOW, "window": found.id, "reason": reason.strip()}
        return await self._either(principal, parameters) or window_view(found, self._clock.now_ms())

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


def _facts(w: Window) -> dict[str, object]:
    return {"name": w.name, "when": windows.in_words(w), "zone": w.zone, "filter": w.filter}


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
