"""The conductor's end: invite, list, drain, isolate, restore cells; take in what they send and sign what they get.

Invariants: inviting and restoring are acts of a person with `limits.write` and are in the audit log; narrowing (drain,
isolate) never waits for the other end; whatever cannot be verified raises `Doubt` and has changed nothing but what it
says of the link. What the messages are about is the rollout slice's (`conducting`).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from brakeline import __version__
from brakeline.cells import decide, store
from brakeline.cells.base import TOKEN, Base
from brakeline.cells.decide import Doubt
from brakeline.cells.model import (
    ANSWER_CONTEXT,
    CELLS_MAX,
    GENERATION_JUMP_MAX,
    GRANT_CONTEXT,
    JOIN_CONTEXT,
    SKEW_MAX_MS,
    Answer,
    Exchange,
    Grant,
    Invitation,
    Join,
    Member,
    MemberState,
    Sent,
    Signed,
    generation_of,
)
from brakeline.core.errors import Conflict, Invalid, NotFound
from brakeline.platform.database import TENANT_ID, Connection
from brakeline.protocol.codec import Malformed, decode, encode, encode_sparse
from brakeline.tenancy import audit
from brakeline.tenancy.approvals import Agreed
from brakeline.tenancy.faults import Overtaken
from brakeline.tenancy.model import Principal
from brakeline.tenancy.two_people import Request

SKEW_SHOWN_MAX_MS: Final = 10**13  # some centuries
INVITED_MS: Final = 24 * 3_600_000
RESTORE: Final = "restore"
RESTORABLE: Final = {MemberState.JOINED, MemberState.DRAINED}
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")


@dataclass(frozen=True, slots=True)
class Invited:
    """A cell that may join; the token is shown once."""

    member: Member
    token: str


@dataclass(frozen=True, slots=True)
class Heard:
    """A message that is believed: whose, and how long its answer may be held open while there is nothing new."""

    tenant_id: str
    member: Member
    said: Exchange
    held_s: int = 0
    has: str = ""
    asks: bool = False  # it knows that answers may be held open


class Members(Base):
    """See the module."""

    def sign(self, context: bytes, message: object) -> Signed:
        """As a conductor. Sparse: what an older cell does not know stays away as long as it says nothing."""
        payload = encode_sparse(message)
        return Signed(payload.decode(), self._conductor.sign(context + payload).hex())

    def sign_grant(self, grant: Grant) -> Signed:
        return self.sign(GRANT_CONTEXT, grant)

    # --- people at the conductor --------------------------------------------------------------------------------------

    async def invite(self, principal: Principal, cell: str, region: str, url: str, generation: int = 0) -> Invited:
        """A join token for one cell, good once and for a day. Its `generation` is at least this cell's own, and above
        that of whoever conducts this cell: who has joined it believes no older conductor any more."""
        principal.require("limits.write")
        if not NAME.fullmatch(cell) or not NAME.fullmatch(region):
            raise Invalid("a cell and a region are named with small letters, digits and -, 41 at most", got=cell[:60])
        now_ms, secret = self._clock.now_ms(), self._ids.secret()
        member = Member(self._ids.new("li"), cell, region, MemberState.INVITED, added_ms=now_ms,
                        added_by=principal.name)  # fmt: skip
        async with self._db.tenant(principal.tenant_id) as conn:
            members, link = await store.members(conn), await store.link(conn)
            if len(members) >= CELLS_MAX:
                raise Invalid(f"there are {CELLS_MAX} cells already")
            above = generation_of(members)
            if link is not None and link.conductor_key != self._conductor.public_hex:
                above = max(above, link.generation + 1)
            if not 0 <= generation <= above + GENERATION_JUMP_MAX:
                raise Invalid(f"a generation is a number, here of {above} to {above + GENERATION_JUMP_MAX}")
            member = replace(member, generation=max(above, generation))
            if not await store.invite(conn, principal.tenant_id, member, _hash(secret), now_ms + INVITED_MS):
                raise Conflict("a cell of that name has joined; isolate it first, then add it again", cell=cell)
            await audit.append(conn, self._clock, principal, "cell.add", cell, None,
                               {"region": region, "generation": member.generation})  # fmt: skip
        made = Invitation(url, self._ca_pem, self._conductor.public_hex, member.link_id, principal.tenant_id, cell,
                          region, secret, member.generation)  # fmt: skip
        return Invited(member, TOKEN + base64.urlsafe_b64encode(encode(made)).decode().rstrip("="))

    async def members(self, principal: Principal) -> tuple[Member, ...]:
        """Every cell that this one conducts."""
        principal.require("rollout.read")
        return await self.members_of(principal.tenant_id)

    async def members_of(self, tenant_id: str) -> tuple[Member, ...]:
        """For the conducting itself, which nobody asks for."""
        async with self._db.tenant(tenant_id) as conn:
            return await store.members(conn)

    async def drain(self, principal: Principal, cell: str, reason: str) -> Member:
        """It takes no further part: no grants, and no ring waits for it. What was told of it stays evidence."""
        principal.require("limits.write")
        return await self._set(principal, cell, MemberState.DRAINED, reason, "cell.drain",
                               {MemberState.JOINED, MemberState.DRAINED})  # fmt: skip

    async def isolate(self, principal: Principal, cell: str, reason: str) -> Member:
        """As drained, and nothing that it says is even read; it comes back only with a new join token."""
        principal.require("limits.write")
        return await self._set(principal, cell, MemberState.ISOLATED, reason, "cell.isolate", set(MemberState))

    async def restore(self, principal: Principal, cell: str, reason: str) -> Member | Request:
        """A drained or doubted cell takes part again; the request that a second person agrees to first."""
        principal.require("limits.write")
        found = await self._known(principal.tenant_id, cell, RESTORABLE, reason)
        parameters = {"act": RESTORE, "cell": cell, "reason": reason.strip()[:500]}
        says = (f"Let cell {cell} take part again; it is {standing(found)}.", f"Reason: {parameters['reason']}")
        if asked := await self._second_person().before(principal, parameters, says, standing(found)):
            return asked
        return await self._set(principal, cell, MemberState.JOINED, reason, "cell.restore", RESTORABLE)

    async def restore_agreed(self, agreed: Agreed, p: Mapping[str, Any], situation: str) -> None:
        """The same after two people have agreed, unless it has changed since."""
        cell, reason = str(p["cell"]), str(p["reason"])
        if standing(await self._known(agreed.principal.tenant_id, cell, RESTORABLE, reason)) != situation:
            raise Overtaken(f"it was {situation}, and is another by now")
        await self._set(agreed.principal, cell, MemberState.JOINED, reason, "cell.restore", RESTORABLE)

    async def _known(self, tenant_id: str, cell: str, allowed: set[MemberState], reason: str) -> Member:
        if not reason.strip():
            raise Invalid("say why: the reason is kept in the audit log")
        found = next((m for m in await self.members_of(tenant_id) if m.cell == cell), None)
        if found is None:
            raise NotFound("no such cell; `brakeline cell list` has them", cell=cell[:60])
        if found.state not in allowed:
            raise Conflict(f"that cell is {found.state.value}", cell=cell)
        return found

    async def _set(self, principal: Principal, cell: str, state: MemberState, reason: str, action: str,
                   allowed: set[MemberState]) -> Member:  # fmt: skip
        found = await self._known(principal.tenant_id, cell, allowed, reason)
        async with self._db.tenant(principal.tenant_id) as conn:
            now = await store.member(conn, found.link_id)  # locked
            if state is MemberState.JOINED and (now is None or standing(now) != standing(found)):
                raise Overtaken(f"it was {standing(found)}, and is another by now")  # isolated or doubted since
            await store.set_state(conn, found.link_id, state)
            before = {"state": found.state.value, "doubt": found.doubt}
            await audit.append(conn, self._clock, principal, action, cell, before,
                               {"state": state.value, "reason": reason.strip()[:500]})  # fmt: skip
        return replace(found, state=state, doubt="" if state is MemberState.JOINED else found.doubt)

    # --- a cell calls the conductor -----------------------------------------------------------------------------------

    async def on_join(self, body: bytes) -> Signed:
        """Redeem a join token. `Doubt` for one that was used, has run out or never was."""
        sent = _sent(body)
        said = _claims(sent.message)
        decide.opened(sent.message, JOIN_CONTEXT, said.public_key, Join)
        now_ms = self._clock.now_ms()
        if abs(now_ms - said.sent_ms) > SKEW_MAX_MS:
            apart = abs(now_ms - said.sent_ms) // 1000
            raise Doubt(f"its clock and the conductor's are {apart} s apart; set them right first", why="clock_skew")
        async with self._db.tenant(sent.tenant_id) as conn:
            m = await store.redeem(conn, said.link_id, _hash(said.secret), said.public_key, said.version[:40], now_ms)
            if m is None:
                raise Doubt("this join token was used, has run out or is none of ours", why="token")
            who = Principal(sent.tenant_id, m.link_id, "system", f"cell {m.cell}", frozenset())
            await audit.append(conn, self._clock, who, "cell.join", m.cell, None, {"key": said.public_key[:16]})
        return self.sign(ANSWER_CONTEXT, Answer(said.link_id, 0, now_ms, __version__))

    async def on_exchange(self, body: bytes) -> Heard:
        """What a cell sends, believed. `Doubt` otherwise, and its clock's error is written down."""
        sent, now_ms = _sent(body), self._clock.now_ms()
        async with self._db.tenant(sent.tenant_id) as conn:
            found = await store.member(conn, sent.link_id)
            if found is None:
                raise Doubt("no cell has joined under this link", why="unknown")
            problem: Doubt | None = None
            try:
                said = decide.heard(found, sent.message, now_ms)
            except Doubt as e:
                problem = e
                await self._remember(conn, found, sent.message, e, now_ms)
            if problem is None:
                found = replace(found, counter=said.counter, version=said.version[:40],
                                skew_ms=said.sent_ms - now_ms, heard_ms=now_ms, leads=said.leads)  # fmt: skip
                if not await store.heard(conn, found):
                    problem = Doubt("a newer message of this cell was faster", why="replayed")
                elif said.left_generation > max(found.generation, found.left_generation):
                    await self._left(conn, sent.tenant_id, found, said)
        if problem is not None:
            raise problem
        return Heard(sent.tenant_id, found, said, decide.held_s(sent), sent.has, sent.wait_s > 0)

    async def _left(self, conn: Connection, tenant_id: str, m: Member, said: Exchange) -> None:
        """A cell believes a newer conductor: this one opens nothing more (`model.superseded`)."""
        await store.set_left(conn, m.link_id, said.left_generation, said.left_for)
        who = Principal(tenant_id, m.link_id, "system", f"cell {m.cell}", frozenset())
        after = {"generation": said.left_generation, "conductor": said.left_for}
        await audit.append(conn, self._clock, who, "cell.left", m.cell, {"generation": m.generation}, after)

    async def _remember(self, conn: Connection, m: Member, message: Signed, why: Doubt, now_ms: int) -> None:
        """A clock that is wrong is shown; a message that is not signed says nothing of its cell."""
        if why.context.get("why") == "clock_skew":
            said = decode(Exchange, message.payload.encode())
            skew_ms = said.sent_ms - now_ms
            await store.set_skew(conn, m.link_id, max(-SKEW_SHOWN_MAX_MS, min(skew_ms, SKEW_SHOWN_MAX_MS)))

    async def doubt(self, tenant_id: str, link_id: str, why: str) -> None:
        """What this cell reports cannot be true: no grants until a person has looked."""
        async with self._db.tenant(tenant_id) as conn:
            await store.set_doubt(conn, link_id, why)

    def answer(self, heard: Heard, grants: tuple[Signed, ...], trouble: str, holds: bool) -> Signed:
        """The conductor's signed answer. Whoever cannot be held open does not know the word for it either."""
        now_ms, said = self._clock.now_ms(), heard.said
        made = Answer(said.link_id, said.counter, now_ms, __version__, grants, trouble, holds and heard.asks)
        return self.sign(ANSWER_CONTEXT, made)


def standing(m: Member) -> str:
    return f"{m.state.value}, not believed: {m.doubt}" if m.doubt else m.state.value


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _sent(body: bytes) -> Sent:
    sent = decode(Sent, body)
    if not TENANT_ID.fullmatch(sent.tenant_id):
        raise Malformed("this names no organisation")
    return sent


def _claims(message: Signed) -> Join:
    """What a joining cell says, before its signature is looked at: the key is in it."""
    return decode(Join, message.payload.encode())
