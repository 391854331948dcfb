"""Use cases of cells: invite, join, drain, isolate, restore, list; and the two ends of an exchange.

Invariants: inviting, restoring and joining are acts of a person with `limits.write` and are in the audit log; narrowing
(drain, isolate) never waits for the other end; whatever cannot be verified raises `Doubt` and has changed nothing but
what it says of the link. What the messages are about is the rollout slice's (`conducting`, `linked`).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

from brakeline import __version__
from brakeline.cells import decide, store
from brakeline.cells.decide import Doubt
from brakeline.cells.leaving import Leaving
from brakeline.cells.model import (
    ANSWER_CONTEXT,
    CELLS_MAX,
    EXCHANGE_CONTEXT,
    GENERATION_JUMP_MAX,
    GRANT_CONTEXT,
    JOIN_CONTEXT,
    SKEW_MAX_MS,
    Answer,
    CellReport,
    Exchange,
    Grant,
    Invitation,
    Join,
    Link,
    Member,
    MemberState,
    Orphan,
    Sent,
    Signed,
    generation_of,
)
from brakeline.core.clock import Clock
from brakeline.core.errors import Bug, Conflict, Invalid, NotFound
from brakeline.fleet.cell import CellIdentity
from brakeline.platform import calls
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import TENANT_ID, Connection, Database
from brakeline.protocol.codec import Malformed, decode, encode, encode_sparse
from brakeline.tenancy import audit
from brakeline.tenancy.approvals import Agreed
from brakeline.tenancy.faults import Overtaken
from brakeline.tenancy.model import Principal
from brakeline.tenancy.two_people import Request

EXCHANGE_ROUTE: Final = "/cell/v1/exchange"
JOIN_ROUTE: Final = "/cell/v1/join"
SKEW_SHOWN_MAX_MS: Final = 10**13  # some centuries
INVITED_MS: Final = 24 * 3_600_000
BELIEVE, RESTORE = "believe", "restore"
RESTORABLE: Final = {MemberState.JOINED, MemberState.DRAINED}
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
TOKEN: Final = "blcell1."  # noqa: S105 - what join tokens begin with


class SecondPerson(Protocol):
    """Who is asked before anything is widened (`acts.CellActs`)."""

    async def before(
        self, principal: Principal, parameters: Mapping[str, str], says: tuple[str, ...], situation: str
    ) -> Request | None: ...


Post = Callable[[str, str, str, bytes], Awaitable[tuple[int, bytes]]]


@dataclass(frozen=True, slots=True)
class Invited:
    """A cell that may join; the token is shown once."""

    member: Member
    token: str


class CellsService:
    """See the module."""

    def __init__(self, db: Database, clock: Clock, ids: IdMaker, cell: CellIdentity, keys: Path, ca_pem: str,
                 post: Post = calls.post) -> None:  # fmt: skip
        """`keys`: the directory of this server's keys; `post`: how another server is called."""
        self._post = post
        self.acts: SecondPerson | None = None  # `acts.CellActs` puts itself here; without it nothing is widened
        self._db, self._clock, self._ids, self._cell, self._ca_pem = db, clock, ids, cell, ca_pem
        self.leaving = Leaving(db, clock, self._said)
        self._conductor = CellIdentity.load(keys / "conductor.key", cell.name, cell.region)

    def sign(self, context: bytes, message: object) -> Signed:
        """As a conductor. Sparse: what an older cell does not know stays away as long as it says nothing."""
        payload = encode_sparse(message)
        return Signed(payload.decode(), self._conductor.sign(context + payload).hex())

    def sign_grant(self, grant: Grant) -> Signed:
        return self.sign(GRANT_CONTEXT, grant)

    @property
    def conductor(self) -> CellIdentity:
        """The key of this cell as a conductor."""
        return self._conductor

    @property
    def name(self) -> str:
        """What this cell calls itself, and its endpoints call it."""
        return self._cell.name

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
        says = (f"Let cell {cell} take part again; it is {_standing(found)}.", f"Reason: {parameters['reason']}")
        if asked := await self._second_person().before(principal, parameters, says, _standing(found)):
            return asked
        return await self._set(principal, cell, MemberState.JOINED, reason, "cell.restore", RESTORABLE)

    async def restore_agreed(self, agreed: Agreed, p: Mapping[str, Any], situation: str) -> None:
        """The same after two people have agreed, unless it has changed since."""
        cell, reason = str(p["cell"]), str(p["reason"])
        if _standing(await self._known(agreed.principal.tenant_id, cell, RESTORABLE, reason)) != situation:
            raise Overtaken(f"it was {situation}, and is another by now")
        await self._set(agreed.principal, cell, MemberState.JOINED, reason, "cell.restore", RESTORABLE)

    def _second_person(self) -> SecondPerson:
        if self.acts is None:
            raise Bug("nobody is asked for what takes two people")
        return self.acts

    async def situation(self, tenant_id: str, p: Mapping[str, Any]) -> str:
        """What a request is about, as it is now."""
        if p["act"] == BELIEVE:
            link = await self.link_of(tenant_id)
            return _unbelieved(link) if link is not None else "it is gone"
        found = next((m for m in await self.members_of(tenant_id) if m.cell == p["cell"]), None)
        return _standing(found) if found is not None else "it is gone"

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

    async def on_exchange(self, body: bytes) -> tuple[str, Member, Exchange]:
        """Tenant, sender and message of what a cell sends. `Doubt` otherwise, and its clock's error is written down."""
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
                                skew_ms=said.sent_ms - now_ms, heard_ms=now_ms)  # fmt: skip
                if not await store.heard(conn, found):
                    problem = Doubt("a newer message of this cell was faster", why="replayed")
                elif said.left_generation > max(found.generation, found.left_generation):
                    await self._left(conn, sent.tenant_id, found, said)
        if problem is not None:
            raise problem
        return sent.tenant_id, found, said

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

    def answer(self, m: Member, counter: int, grants: tuple[Signed, ...], trouble: str) -> Signed:
        """The conductor's signed answer."""
        return self.sign(ANSWER_CONTEXT, Answer(m.link_id, counter, self._clock.now_ms(), __version__, grants, trouble))

    # --- people and the link in a cell --------------------------------------------------------------------------------

    async def join(self, principal: Principal, token: str, fast: bool = False) -> tuple[Link, Request | None]:
        """Redeem a join token at its conductor. From then on, or when a second person has agreed, this cell believes
        that conductor's grants, with `fast` also those of the fast lane; and no older conductor's."""
        principal.require("limits.write")
        invited = read_token(token)
        _require_newer(await self.link_of(principal.tenant_id), invited)
        now_ms = self._clock.now_ms()
        said = Join(invited.link_id, invited.secret, self._cell.public_hex, self._cell.region, now_ms, __version__)
        payload = encode(said)
        message = Signed(payload.decode(), self._cell.sign(JOIN_CONTEXT + payload).hex())
        raw = await self._call(invited.url, JOIN_ROUTE, invited.ca_pem,
                               Sent(invited.tenant_id, invited.link_id, message))  # fmt: skip
        link = Link(invited.link_id, invited.cell, invited.url, invited.ca_pem, invited.conductor_key,
                    isolated=True, joined_ms=now_ms, joined_by=principal.name,
                    their_tenant=invited.tenant_id, generation=invited.generation, fast=fast)  # fmt: skip
        decide.answered(link, _signed(raw), 0, self._clock.now_ms())
        async with self._db.tenant(principal.tenant_id) as conn:
            await store.put_link(conn, principal.tenant_id, link)
            after = {"conductor": invited.url, "as": invited.cell, "key": invited.conductor_key[:16],
                     "generation": invited.generation, "fast": fast}  # fmt: skip
            await audit.append(conn, self._clock, principal, "cell.join", invited.cell, None, after)
        says = (f"Let {link.url} (key {link.conductor_key[:16]}…) lead changes in this cell, which it calls "
                f"{link.cell}, inside this cell's own budgets, windows and brake.",
                *(["Also in the fast lane: 6 h 15 a ring instead of 26 h."] if fast else []))  # fmt: skip
        parameters = {"act": BELIEVE, "cell": link.cell}
        if asked := await self._second_person().before(principal, parameters, says, _unbelieved(link)):
            return link, asked
        await self._believe(principal, link)
        return replace(link, isolated=False), None

    async def believe_agreed(self, agreed: Agreed, _: Mapping[str, Any], situation: str) -> None:
        """The same after two people have agreed, unless it is another link by now."""
        link = await self.link_of(agreed.principal.tenant_id)
        if link is None or _unbelieved(link) != situation:
            raise Overtaken("this cell was joined to another conductor, or isolated from it, since")
        await self._believe(agreed.principal, link)

    async def _believe(self, principal: Principal, link: Link) -> None:
        async with self._db.tenant(principal.tenant_id) as conn:
            await store.believe(conn, link.link_id)
            await audit.append(conn, self._clock, principal, "cell.believe", link.cell, None, {"conductor": link.url})

    async def link(self, principal: Principal) -> Link | None:
        """The conductor that this cell believes, if any."""
        principal.require("rollout.read")
        return await self.link_of(principal.tenant_id)

    async def link_of(self, tenant_id: str) -> Link | None:
        """The same for the cell itself."""
        async with self._db.tenant(tenant_id) as conn:
            return await store.link(conn)

    async def link_in(self, conn: Connection) -> Link | None:
        """The same inside a transaction of somebody else's."""
        return await store.link(conn)

    async def isolate_self(self, principal: Principal, reason: str) -> Link:
        """This cell believes its conductor in nothing more, and holds what that one leads. Works with it away."""
        principal.require("rollout.brake")
        if not reason.strip():
            raise Invalid("say why: the reason is kept in the audit log")
        async with self._db.tenant(principal.tenant_id) as conn:
            found = await store.link(conn)
            if found is None:
                raise NotFound("this cell has no conductor")
            await store.isolate(conn, f"isolated by {principal.name}: {reason.strip()[:200]}")
            await audit.append(conn, self._clock, principal, "cell.isolate", found.cell, None,
                               {"reason": reason.strip()[:500], "conductor": found.url})  # fmt: skip
        return replace(found, isolated=True)

    async def exchange(self, tenant_id: str, link: Link, reports: tuple[CellReport, ...],
                       orphans: tuple[Orphan, ...] = ()) -> Answer:  # fmt: skip
        """Tell the conductor, hear what it answers. Whatever goes wrong is kept with the link and raised."""
        async with self._db.tenant(tenant_id) as conn:
            counter = await store.next_counter(conn, self._clock.now_ms())
        said = Exchange(link.link_id, link.cell, counter, self._clock.now_ms(), __version__, reports, orphans)
        return await self._said(link, said)

    async def _said(self, link: Link, said: Exchange) -> Answer:
        payload = encode_sparse(said)
        message = Signed(payload.decode(), self._cell.sign(EXCHANGE_CONTEXT + payload).hex())
        raw = await self._call(link.url, EXCHANGE_ROUTE, link.ca_pem, Sent(link.their_tenant, link.link_id, message))
        return decide.answered(link, _signed(raw), said.counter, self._clock.now_ms())

    async def settle(self, tenant_id: str, trouble: str, answer: Answer | None) -> None:
        """What the last exchange came to, for people and for the reason why something holds."""
        now_ms = self._clock.now_ms()
        skew = answer.sent_ms - now_ms if answer is not None else None
        async with self._db.tenant(tenant_id) as conn:
            await store.set_answered(conn, trouble, skew, now_ms if answer is not None else None)

    async def _call(self, url: str, route: str, ca_pem: str, sent: Sent) -> bytes:
        status, raw = await self._post(url, route, ca_pem, encode(sent))
        if status != 200:
            raise Doubt(_said_no(status, raw), why="refused")
        return raw


def _require_newer(link: Link | None, invited: Invitation) -> None:
    """Two conductors of one generation would both be believed by some: a hand-over is to a newer one."""
    other = link is not None and link.conductor_key != invited.conductor_key
    if link is not None and invited.generation < link.generation + (1 if other else 0):
        raise Conflict(
            f"this cell was led in generation {link.generation}, and the token is of {invited.generation}: make one "
            f"there with `brakeline cell add {invited.cell} --region {invited.region} --generation "
            f"{link.generation + 1}`", generation=link.generation,
        )  # fmt: skip


def read_token(token: str) -> Invitation:
    """What a join token holds; `Invalid`."""
    text = token.strip().removeprefix(TOKEN)
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) if token.strip().startswith(TOKEN) else b""
        return decode(Invitation, raw)
    except (ValueError, Malformed):
        raise Invalid("this is no join token; `brakeline cell add NAME` at the conductor makes one") from None


def _standing(m: Member) -> str:
    return f"{m.state.value}, not believed: {m.doubt}" if m.doubt else m.state.value


def _unbelieved(link: Link) -> str:
    """A link that nobody has agreed to, or that was isolated; another one every time."""
    return f"{link.link_id}, {'not believed' if link.isolated else 'believed'} {link.trouble if link.isolated else ''}"


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


def _signed(raw: bytes) -> Signed:
    return decode(Signed, raw)


def _said_no(status: int, raw: bytes) -> str:
    try:
        found: Any = json.loads(raw)
        return f"the conductor refuses: {found['title']} {found['detail']}"[:400]
    except (ValueError, TypeError, KeyError):
        return f"the conductor refuses with status {status}"
