"""Use cases of accepted risk and of terms: accept a finding, take it back, look at what was accepted, set the terms.

Invariants: nothing is accepted without a reason, a person (or two, as the terms say) and an end; the audit entry is of
the same transaction; another acceptance of the same thing replaces the one before; to loosen a term takes two people,
to tighten it one. Whoever asks sees how many endpoints are concerned; that number is told to whoever agrees.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from brakeline.core.clock import Clock
from brakeline.core.errors import Invalid, NotFound
from brakeline.exposure import store_findings
from brakeline.exposure.acceptance import (
    REASON_CHARS_MAX,
    UNTIL_MAX_DAYS,
    Acceptance,
    Standing,
    last_ms,
    standing,
    takes_two,
)
from brakeline.exposure.due import CLASSES, DAYS, Terms, TwoPeople, loosened
from brakeline.exposure.service import ExposureService
from brakeline.fleet.query import parse, render
from brakeline.fleet.service import FleetService
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.tenancy import audit
from brakeline.tenancy.approvals import Agreed, Approvals
from brakeline.tenancy.faults import CountMoved
from brakeline.tenancy.model import Principal
from brakeline.tenancy.two_people import Act, Request

TERMS: Final = "terms"  # object of a request to loosen them
ACCEPTANCES_MAX: Final = 1000  # in force at once; whoever accepts more has another problem
_CVE = re.compile(r"[A-Z]{2,12}-[A-Za-z0-9:._-]{3,40}")


@dataclass(frozen=True, slots=True)
class AcceptanceView:
    """An acceptance, where it stands, and on how many endpoints it says something now (None = it says nothing)."""

    acceptance: Acceptance
    standing: Standing
    endpoints: int | None


class Accepting:
    """See the module. Puts itself into the approvals."""

    def __init__(self, db: Database, clock: Clock, ids: IdMaker, fleet: FleetService, exposure: ExposureService,
                 approvals: Approvals) -> None:  # fmt: skip
        self._db, self._clock, self._ids = db, clock, ids
        self._fleet, self._exposure, self._approvals = fleet, exposure, approvals
        approvals.register(Act.ACCEPT, self)

    async def accept(
        self, principal: Principal, cve: str, *, reason: str, days: int, filter_text: str = "",
        expect_count: int | None = None,
    ) -> Acceptance | Request:  # fmt: skip
        """Accept it on the endpoints of the filter; the request where that takes a second person."""
        principal.require("policy.write")
        cve, reason, text = await self._wanted(cve, reason, days, filter_text)
        found = await self._concerned(principal.tenant_id, cve, text)
        if expect_count is not None and found != expect_count:
            raise CountMoved(f"it stands open on {found} endpoints of the filter now, not {expect_count}", found=found)
        exploited = await self._exploited(cve)
        async with self._db.tenant(principal.tenant_id) as conn:
            rule = (await store_findings.terms(conn)).two_people
        if takes_two(rule, exploited=exploited):
            said = {"cve": cve, "filter": text, "reason": reason, "days": days}
            says = (
                f"Accept {cve} for {days} days on {text or 'every endpoint'}: {found} endpoints now.",
                f"It also holds for endpoints that match later. Reason: {reason}",
                *(("It is known to be exploited.",) if exploited else ()),
            )
            return await self._approvals.ask(
                principal, Act.ACCEPT, f"{cve} {text}", said, says, _situation(exploited=exploited)
            )
        return await self._accept(principal, principal.name, 1, cve, text, reason, days, exploited=exploited)

    async def end(self, principal: Principal, acceptance_id: str, why: str) -> Acceptance:
        """Take it back: what stands open counts as open at once. It only narrows: one person may."""
        principal.require("policy.write")
        _reason(why)
        async with self._db.tenant(principal.tenant_id) as conn:
            known = await store_findings.acceptance(conn, acceptance_id)
            if known is None:
                raise NotFound("there is no such acceptance; `brakeline vuln accepted` has them", id=acceptance_id[:40])
            if not known.ended_ms:
                now_ms = self._clock.now_ms()
                await store_findings.end(conn, acceptance_id, principal.name, why.strip(), now_ms)
                facts = {"cve": known.cve, "filter": known.filter, "why": why.strip()}
                await audit.append(conn, self._clock, principal, "risk.end", acceptance_id, None, facts)
                known = known._replace(ended_ms=now_ms, ended_by=principal.name, ended_why=why.strip())
        return known

    async def acceptances(
        self, principal: Principal, *, every: bool = False, cve: str = ""
    ) -> tuple[AcceptanceView, ...]:
        """What is accepted, newest first; with `every` also what is over."""
        principal.require("exposure.read")
        async with self._db.tenant(principal.tenant_id) as conn:
            found = await store_findings.acceptances(conn, every=every, cve=cve.strip().upper())
        exploited = frozenset((await self._exposure.knowledge()).exploited)
        reach = await self._exposure.accepted_reach(principal.tenant_id)
        now_ms = self._clock.now_ms()
        return tuple(AcceptanceView(one, standing(one, now_ms, exploited), reach.get(one.id)) for one in found)

    async def terms(self, principal: Principal) -> Terms:
        principal.require("exposure.read")
        async with self._db.tenant(principal.tenant_id) as conn:
            return await store_findings.terms(conn)

    async def set_terms(self, principal: Principal, wanted: Terms) -> Request | None:
        """Set them; the request where they are loosened."""
        principal.require("policy.write")
        for name in CLASSES:
            if not DAYS[0] <= getattr(wanted, name) <= DAYS[1]:
                raise Invalid(f"{name} is a number of days from {DAYS[0]} to {DAYS[1]}", got=getattr(wanted, name))
        async with self._db.tenant(principal.tenant_id) as conn:
            now = await store_findings.terms(conn)
        looser = loosened(now, wanted)
        if looser:
            says = ("Close findings later, or accept them with fewer people:", *looser)
            return await self._approvals.ask(principal, Act.ACCEPT, TERMS, _plain(wanted), says, _told(now))
        await self._set_terms(principal, principal.name, 1, wanted)
        return None

    # --- two people --------------------------------------------------------------------------------------------------

    async def situation(self, tenant_id: str, request: Request) -> str:
        """For `approvals.Performer`."""
        if request.object_id == TERMS:
            async with self._db.tenant(tenant_id) as conn:
                return _told(await store_findings.terms(conn))
        return _situation(exploited=await self._exploited(str(request.parameters["cve"])))

    async def perform(self, agreed: Agreed, request: Request) -> None:
        """For `approvals.Performer`."""
        said = request.parameters
        if request.object_id == TERMS:
            await self._set_terms(agreed.principal, agreed.names, agreed.persons, terms_of(said))
            return
        cve = str(said["cve"])
        await self._accept(
            agreed.principal, agreed.names, agreed.persons, cve, str(said["filter"]), str(said["reason"]),
            int(said["days"]), exploited=await self._exploited(cve), asked_by=request.asked_by,
        )  # fmt: skip

    # --- steps -------------------------------------------------------------------------------------------------------

    async def _wanted(self, cve: str, reason: str, days: int, filter_text: str) -> tuple[str, str, str]:
        cve = cve.strip().upper()
        if not _CVE.fullmatch(cve):
            raise Invalid("accepted is one CVE (or GHSA, RUSTSEC …) by its id", got=cve[:40])
        if not 1 <= days <= UNTIL_MAX_DAYS:
            raise Invalid(f"it is accepted for 1 to {UNTIL_MAX_DAYS} days, and then decided anew", got=days)
        return cve, _reason(reason), render(parse(filter_text))

    async def _concerned(self, tenant_id: str, cve: str, text: str) -> int:
        """On how many endpoints of the filter it stands open, in what can run."""
        ids = None if not text else frozenset(await self._fleet.matching(tenant_id, text))
        on = await self._exposure.endpoints_with(tenant_id, cve)
        return len(on if ids is None else on & ids)

    async def _exploited(self, cve: str) -> bool:
        return cve in (await self._exposure.knowledge()).exploited

    async def _accept(
        self, principal: Principal, names: str, persons: int, cve: str, text: str, reason: str, days: int, *,
        exploited: bool, asked_by: str = "",
    ) -> Acceptance:  # fmt: skip
        now_ms = self._clock.now_ms()
        made = Acceptance(
            self._ids.new("ac"), cve, text, reason, exploited, now_ms, asked_by or principal.name, names, persons,
            last_ms(days, now_ms),
        )  # fmt: skip
        async with self._db.tenant(principal.tenant_id) as conn:
            if await store_findings.count(conn) >= ACCEPTANCES_MAX:
                raise Invalid(f"{ACCEPTANCES_MAX} are accepted already; end some first (`brakeline vuln accepted`)")
            before = await store_findings.replaced(conn, cve, text, names, now_ms)
            await store_findings.insert(conn, principal.tenant_id, made)
            facts = {"cve": cve, "filter": text, "reason": reason, "until_ms": made.until_ms, "persons": persons,
                     "by": names, "exploited": exploited, "replaces": before}  # fmt: skip
            await audit.append(conn, self._clock, principal, "risk.accept", made.id, None, facts)
        return made

    async def _set_terms(self, principal: Principal, names: str, persons: int, wanted: Terms) -> None:
        async with self._db.tenant(principal.tenant_id) as conn:
            now = await store_findings.terms(conn)
            await store_findings.set_terms(conn, principal.tenant_id, wanted, names, self._clock.now_ms())
            facts = {**_plain(wanted), "persons": persons, "by": names}
            await audit.append(conn, self._clock, principal, "risk.terms", TERMS, _plain(now), facts)


def _reason(text: str) -> str:
    if not text.strip() or len(text) > REASON_CHARS_MAX:
        raise Invalid(f"say why, in 1 to {REASON_CHARS_MAX} characters: whoever looks next wants to know")
    return text.strip()


def _situation(*, exploited: bool) -> str:
    return "known to be exploited" if exploited else "not known to be exploited"


def _plain(terms: Terms) -> dict[str, Any]:
    return {**terms._asdict(), "two_people": terms.two_people.value}


def _told(terms: Terms) -> str:
    return ", ".join(f"{name} {value}" for name, value in _plain(terms).items())


def terms_of(plain: Any) -> Terms:
    """The terms as a request or a body names them. Raises `Invalid`."""
    try:
        days: dict[str, Any] = {name: int(plain[name]) for name in CLASSES}
        return Terms(**days, catalogue=bool(plain["catalogue"]), two_people=TwoPeople(plain["two_people"]))
    except (KeyError, TypeError, ValueError) as e:
        raise Invalid(f"terms are {', '.join(CLASSES)} in days, catalogue, and two_people: {e}") from None
