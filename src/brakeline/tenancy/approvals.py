"""Requests for acts that take two people: ask, look, agree, reject. The decision is in `two_people`.

Whoever owns an act registers a `Performer`: it says what the situation is, and does it once two people (or one, after
the delay) have agreed to exactly what was shown. An approval is written down before it is performed; a crash in between
leaves it `approved`, and the same person's pressing again performs it, if nothing has moved on. A request that asks for
the same again is the same request; one that asks for something else about the same thing overtakes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from brakeline.core.clock import Clock
from brakeline.core.errors import Bug, Fault, Invalid, NotFound
from brakeline.platform.database import Connection, Database
from brakeline.platform.observe import logger
from brakeline.tenancy import store, store_approvals
from brakeline.tenancy.faults import FreshSession, Overtaken, TwoPeople
from brakeline.tenancy.model import Principal, permissions_of
from brakeline.tenancy.parts import Ids, Parts
from brakeline.tenancy.two_people import (
    A_PERSON,
    CONFIRM_MS,
    NOBODY,
    RELATED_MS,
    Act,
    Approve,
    Approver,
    Event,
    Facts,
    Member,
    Refuse,
    Request,
    TakeOver,
    Way,
    behind,
    judge,
    seconds,
    times,
    way,
)

PAGE_MAX: Final = 200
REASON_CHARS_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Agreed:
    """Who wants it done: the last to agree acts, `names` are all of them."""

    principal: Principal
    names: str
    persons: int
    approval_id: str


class Performer(Protocol):
    """Whoever does one kind of act."""

    async def situation(self, tenant_id: str, request: Request) -> str:
        """What must be as it was when it was asked for, as it is now."""
        ...

    async def perform(self, agreed: Agreed, request: Request) -> None:
        """Do it. Checks the situation once more under its own locks; raises `Fault` where it cannot be done."""
        ...


class Confirming(Protocol):
    """Asks for the password again (`signing_in.SigningIn`)."""

    async def confirm(self, principal: Principal, password: str) -> None: ...


class Approvals(Parts):
    """See the module."""

    def __init__(self, db: Database, clock: Clock, ids: Ids, people: Confirming) -> None:
        super().__init__(db, clock, ids)
        self._people = people
        self._performers: dict[Act, Performer] = {}
        self.on_change: Callable[[str], Awaitable[None]] | None = None  # tells everybody who looks, by tenant

    def register(self, act: Act, performer: Performer) -> None:
        """Once, by whoever owns the act."""
        self._performers[act] = performer

    # --- asking ------------------------------------------------------------------------------------------------------

    async def ask(self, principal: Principal, act: Act, object_id: str, parameters: Mapping[str, Any],
                  says: Iterable[str], situation: str) -> Request:  # fmt: skip
        """Ask for an act that `principal` may ask for (checked by the caller). The same again is the same request."""
        if act not in self._performers:
            raise Bug("nobody performs this act", act=act.value)
        now_ms, tenant_id = self._clock.now_ms(), principal.tenant_id
        async with self._db.tenant(tenant_id) as conn:
            await conn.execute("SELECT pg_advisory_xact_lock(hashtext($1))", f"{tenant_id}/{act.value}/{object_id}")
            first = await self._person_behind(conn, principal)
            known = await store_approvals.pending(conn, act, object_id, lock=True)
            if known is not None:
                same = (known.parameters, known.situation, known.first) == (dict(parameters), situation, first)
                if same and known.standing(now_ms) == "open":
                    return known
                why = "its time was over" if known.standing(now_ms) == "expired" else f"{principal.name} asked anew"
                await self._decided(conn, principal, known, "overtaken", why)
            how = Way.TWO if first == NOBODY else way(first, act, await self._facts(conn, now_ms), now_ms)
            not_before_ms, expires_ms = times(how, now_ms, now_ms)
            if first == NOBODY:  # the first who agrees takes it over; the night may pass before
                expires_ms = now_ms + CONFIRM_MS
            made = Request(
                self._ids.new("ap"), act, object_id, dict(parameters), tuple(says), situation, now_ms, principal.id,
                principal.name, first, how, not_before_ms, expires_ms,
            )  # fmt: skip
            await store_approvals.insert(conn, tenant_id, made)
            after = {"act": act.value, "object": object_id, "way": how.value, "says": list(made.says)}
            await self._note(conn, principal, "approval.ask", made.approval_id, None, after | dict(parameters))
        logger.warning("approval-asked", approval=made.approval_id, act=act.value, object=object_id, way=how.value)
        await self._tell(tenant_id)
        return made

    # --- looking ------------------------------------------------------------------------------------------------------

    async def list(self, principal: Principal, *, every: bool = False, limit: int = 50) -> tuple[Request, ...]:
        """What waits for somebody, newest first; with `every` also what is over."""
        principal.require("rollout.brake")
        async with self._db.tenant(principal.tenant_id) as conn:
            after_ms = None if every else self._clock.now_ms()
            return await store_approvals.newest(conn, min(max(limit, 1), PAGE_MAX), after_ms)

    async def get(self, principal: Principal, approval_id: str) -> Request:
        """One request. `NotFound`."""
        principal.require("rollout.brake")
        return await self._known(principal.tenant_id, approval_id)

    async def pending(self, tenant_id: str, act: Act, object_id: str) -> Request | None:
        """What waits for somebody about one thing."""
        async with self._db.tenant(tenant_id) as conn:
            found = await store_approvals.pending(conn, act, object_id)
        return found if found is not None and found.standing(self._clock.now_ms()) != "expired" else None

    async def about(self, tenant_id: str, object_id: str) -> Request | None:
        """What waits for somebody about one thing, whatever the act."""
        async with self._db.tenant(tenant_id) as conn:
            return await store_approvals.about(conn, object_id, self._clock.now_ms())

    async def who_can_agree(self, principal: Principal, request: Request) -> tuple[str, ...]:
        """Names of those who could be the second person now."""
        now_ms = self._clock.now_ms()
        async with self._db.tenant(principal.tenant_id) as conn:
            facts = await self._facts(conn, now_ms)
        return tuple(m.name for m in seconds(request.first, request.act, facts, now_ms))

    async def in_first_week(self, tenant_id: str) -> bool:
        """Whether this organisation was made within a week: it may still be trying things out."""
        async with self._db.tenant(tenant_id) as conn:
            made_ms = await store_approvals.tenant_created_ms(conn)
        return bool(made_ms) and self._clock.now_ms() - made_ms < RELATED_MS

    # --- deciding -----------------------------------------------------------------------------------------------------

    async def approve(self, principal: Principal, approval_id: str, digest: str, password: str = "") -> Request:
        """Agree to what has this digest; it is done before this returns. `password` proves anew who this session is.

        Raises `TwoPeople` (not by this one, not this way), `FreshSession`, `Overtaken`, and whatever the act raises.
        """
        if principal.kind != "person":
            raise TwoPeople(A_PERSON, reason="token")
        if password:
            await self._people.confirm(principal, password)
        tenant_id = principal.tenant_id
        request = await self._known(tenant_id, approval_id)
        performer = self._performers[request.act]
        situation = await performer.situation(tenant_id, request)
        moved = situation != request.situation and request.state in ("open", "approved")
        async with self._db.tenant(tenant_id) as conn:
            request = await self._locked(conn, approval_id)
            verdict = await self._verdict(conn, principal, request, digest)
            if isinstance(verdict, TakeOver):
                return await self._take_over(conn, principal, request, verdict)
            if moved:
                request = await self._decided(conn, principal, request, "overtaken", "things have moved on")
            else:
                request = await self._approved(conn, principal, request, verdict)
        if moved:
            await self._tell(tenant_id)
            raise Overtaken(f"{approval_id}: {'; '.join(request.says)}")
        return await self._perform(principal, performer, request, verdict)

    async def _verdict(
        self, conn: Connection, principal: Principal, request: Request, digest: str
    ) -> Approve | TakeOver:
        now_ms = self._clock.now_ms()
        since_ms = await store_approvals.confirmed_ms(conn, principal.session_id, principal.id, now_ms)
        approver = Approver(principal.id, principal.name, principal.kind, principal.permissions, since_ms)
        verdict = judge(request, approver, digest, await self._facts(conn, now_ms), now_ms)
        if isinstance(verdict, Refuse):
            fault = FreshSession if verdict.code == "stale" else Overtaken if verdict.code == "other" else TwoPeople
            raise fault(verdict.text, reason=verdict.code, **verdict.data)
        return verdict

    async def _take_over(self, conn: Connection, principal: Principal, request: Request, verdict: TakeOver) -> Request:
        taken = replace(request, first=principal.id, way=verdict.way, not_before_ms=verdict.not_before_ms,
                        expires_ms=verdict.expires_ms)  # fmt: skip
        await store_approvals.decide(conn, taken)
        after = {"way": verdict.way.value, "not_before_ms": verdict.not_before_ms}
        await self._note(conn, principal, "approval.take-over", request.approval_id, None, after)
        return taken

    async def _approved(self, conn: Connection, principal: Principal, request: Request, verdict: Approve) -> Request:
        if request.state == "approved":
            return request
        action = "approval.single-person" if verdict.single else "approval.approve"
        return await self._decided(conn, principal, request, "approved", request.way.value, action)

    async def _perform(self, principal: Principal, performer: Performer, request: Request, verdict: Approve) -> Request:
        tenant_id = principal.tenant_id
        async with self._db.tenant(tenant_id) as conn:
            first = (await self._facts(conn, self._clock.now_ms())).name(request.first)
        names = principal.name if verdict.single else f"{first} and {principal.name}"
        agreed = Agreed(principal, names, 1 if verdict.single else 2, request.approval_id)
        try:
            await performer.perform(agreed, request)
        except Fault as e:
            async with self._db.tenant(tenant_id) as conn:
                await self._decided(conn, principal, request, "failed", str(e)[:REASON_CHARS_MAX])
            await self._tell(tenant_id)
            raise
        async with self._db.tenant(tenant_id) as conn:
            done = replace(request, state="done")
            await store_approvals.decide(conn, done)
        logger.warning("approval-done", approval=request.approval_id, act=request.act.value, persons=agreed.persons)
        await self._tell(tenant_id)
        return done

    async def reject(self, principal: Principal, approval_id: str, reason: str) -> Request:
        """Say no, for everybody. Whoever may brake may, also by a token: it only narrows."""
        principal.require("rollout.brake")
        if not reason.strip() or len(reason) > REASON_CHARS_MAX:
            raise Invalid(f"a reason of at most {REASON_CHARS_MAX} characters is needed; it is kept in the audit log")
        async with self._db.tenant(principal.tenant_id) as conn:
            request = await self._locked(conn, approval_id)
            if request.state not in ("open", "rejected"):
                raise TwoPeople(f"It is {request.state} already.", reason="over")
            if request.state == "open":
                request = await self._decided(conn, principal, request, "rejected", reason.strip(), "approval.reject")
        await self._tell(principal.tenant_id)
        return request

    # --- steps -------------------------------------------------------------------------------------------------------

    async def _known(self, tenant_id: str, approval_id: str) -> Request:
        async with self._db.tenant(tenant_id) as conn:
            found = await store_approvals.get(conn, approval_id)
        if found is None:
            raise NotFound("there is no such request; `brakeline approval list` has them", id=approval_id[:40])
        return found

    async def _locked(self, conn: Connection, approval_id: str) -> Request:
        found = await store_approvals.get(conn, approval_id, lock=True)
        if found is None:
            raise NotFound("there is no such request; `brakeline approval list` has them", id=approval_id[:40])
        return found

    async def _decided(self, conn: Connection, who: Principal, request: Request, state: str, note: str,
                       action: str = "") -> Request:  # fmt: skip
        decided = replace(request, state=state, decided_ms=self._clock.now_ms(), decided_by_id=who.id,
                          decided_by=who.name, note=note)  # fmt: skip
        await store_approvals.decide(conn, decided)
        after = {"state": state, "act": request.act.value, "object": request.object_id, "note": note}
        await self._note(conn, who, action or f"approval.{state}", request.approval_id, None, after)
        return decided

    async def _facts(self, conn: Connection, now_ms: int) -> Facts:
        """Everybody, and what was done to their accounts lately. That an account was made stands with the account."""
        makers = {t.token_id: t.created_by for t in await store.tokens(conn)}
        people = await store.people(conn)
        made = tuple(Event(p.created_ms, "created", p.person_id, behind(p.created_by, makers)) for p in people)
        members = tuple(
            Member(p.person_id, p.name, permissions_of(p.roles), p.disabled_ms is None) for p in people
        )  # fmt: skip
        return Facts(members, made + await store_approvals.events(conn, now_ms - RELATED_MS))

    async def _tell(self, tenant_id: str) -> None:
        if self.on_change is not None:
            await self.on_change(tenant_id)
