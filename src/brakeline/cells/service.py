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
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from brakeline import __version__
from brakeline.cells import decide, store
from brakeline.cells.decide import Doubt
from brakeline.cells.model import (
    ANSWER_CONTEXT,
    CELLS_MAX,
    EXCHANGE_CONTEXT,
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
    Sent,
    Signed,
)
from brakeline.core.clock import Clock
from brakeline.core.errors import Conflict, Invalid, NotFound
from brakeline.fleet.cell import CellIdentity
from brakeline.platform import calls
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import TENANT_ID, Connection, Database
from brakeline.protocol.codec import Malformed, decode, encode
from brakeline.tenancy import audit
from brakeline.tenancy.model import Principal

EXCHANGE_ROUTE: Final = "/cell/v1/exchange"
JOIN_ROUTE: Final = "/cell/v1/join"
INVITED_MS: Final = 24 * 3_600_000
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
TOKEN: Final = "blcell1."  # noqa: S105 - what join tokens begin with


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
        self._db, self._clock, self._ids, self._cell, self._ca_pem = db, clock, ids, cell, ca_pem
        self._conductor = CellIdentity.load(keys / "conductor.key", cell.name, cell.region)

    def sign(self, context: bytes, message: object) -> Signed:
        """As a conductor."""
        payload = encode(message)
        return Signed(payload.decode(), self._conductor.sign(context + payload).hex())

    def sign_grant(self, grant: Grant) -> Signed:
        return self.sign(GRANT_CONTEXT, grant)

    # --- people at the conductor --------------------------------------------------------------------------------------

    async def invite(self, principal: Principal, cell: str, region: str, url: str) -> Invited:
        """A join token for one cell, good once and for a day."""
        principal.require("limits.write")
        if not NAME.fullmatch(cell) or not NAME.fullmatch(region):
            raise Invalid("a cell and a region are named with small letters, digits and -, 41 at most", got=cell[:60])
        now_ms, secret = self._clock.now_ms(), self._ids.secret()
        member = Member(self._ids.new("li"), cell, region, MemberState.INVITED, added_ms=now_ms,
                        added_by=principal.name)  # fmt: skip
        async with self._db.tenant(principal.tenant_id) as conn:
            if len(await store.members(conn)) >= CELLS_MAX:
                raise Invalid(f"there are {CELLS_MAX} cells already")
            if not await store.invite(conn, principal.tenant_id, member, _hash(secret), now_ms + INVITED_MS):
                raise Conflict("a cell of that name has joined; isolate it first, then add it again", cell=cell)
            await audit.append(conn, self._clock, principal, "cell.add", cell, None, {"region": region})
        made = Invitation(url, self._ca_pem, self._conductor.public_hex, member.link_id, principal.tenant_id, cell,
                          region, secret)  # fmt: skip
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
        return await self._set(principal, cell, MemberState.DRAINED, reason, "cell.drain",
                               {MemberState.JOINED, MemberState.DRAINED})  # fmt: skip

    async def isolate(self, principal: Principal, cell: str, reason: str) -> Member:
        """As drained, and nothing that it says is even read; it comes back only with a new join token."""
        return await self._set(principal, cell, MemberState.ISOLATED, reason, "cell.isolate", set(MemberState))

    async def restore(self, principal: Principal, cell: str, reason: str) -> Member:
        """A drained or doubted cell takes part again."""
        return await self._set(principal, cell, MemberState.JOINED, reason, "cell.restore",
                               {MemberState.JOINED, MemberState.DRAINED})  # fmt: skip

    async def _set(self, principal: Principal, cell: str, state: MemberState, reason: str, action: str,
                   allowed: set[MemberState]) -> Member:  # fmt: skip
        principal.require("limits.write")
        if not reason.strip():
            raise Invalid("say why: the reason is kept in the audit log")
        async with self._db.tenant(principal.tenant_id) as conn:
            found = next((m for m in await store.members(conn) if m.cell == cell), None)
            if found is None:
                raise NotFound("no such cell; `brakeline cell list` has them", cell=cell[:60])
            if found.state not in allowed:
                raise Conflict(f"that cell is {found.state.value}", cell=cell)
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
            m = await store.redeem(conn, said.link_id, _hash(said.secret), said.public_key, said.version, now_ms)
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
        if problem is not None:
            raise problem
        return sent.tenant_id, found, said

    async def _remember(self, conn: Connection, m: Member, message: Signed, why: Doubt, now_ms: int) -> None:
        """A clock that is wrong is shown; a message that is not signed says nothing of its cell."""
        if why.context.get("why") == "clock_skew":
            said = decode(Exchange, message.payload.encode())
            await store.set_skew(conn, m.link_id, said.sent_ms - now_ms)

    async def doubt(self, tenant_id: str, link_id: str, why: str) -> None:
        """What this cell reports cannot be true: no grants until a person has looked."""
        async with self._db.tenant(tenant_id) as conn:
            await store.set_doubt(conn, link_id, why)

    def answer(self, m: Member, counter: int, grants: tuple[Signed, ...], trouble: str) -> Signed:
        """The conductor's signed answer."""
        return self.sign(ANSWER_CONTEXT, Answer(m.link_id, counter, self._clock.now_ms(), __version__, grants, trouble))

    # --- people and the link in a cell --------------------------------------------------------------------------------

    async def join(self, principal: Principal, token: str) -> Link:
        """Redeem a join token at its conductor; from then on this cell believes that conductor's grants."""
        principal.require("limits.write")
        invited = read_token(token)
        now_ms = self._clock.now_ms()
        said = Join(invited.link_id, invited.secret, self._cell.public_hex, self._cell.region, now_ms, __version__)
        payload = encode(said)
        message = Signed(payload.decode(), self._cell.sign(JOIN_CONTEXT + payload).hex())
        raw = await self._call(invited.url, JOIN_ROUTE, invited.ca_pem,
                               Sent(invited.tenant_id, invited.link_id, message))  # fmt: skip
        link = Link(invited.link_id, invited.cell, invited.url, invited.ca_pem, invited.conductor_key,
                    joined_ms=now_ms, joined_by=principal.name, their_tenant=invited.tenant_id)  # fmt: skip
        decide.answered(link, _signed(raw), 0, self._clock.now_ms())
        async with self._db.tenant(principal.tenant_id) as conn:
            await store.put_link(conn, principal.tenant_id, link)
            after = {"conductor": invited.url, "as": invited.cell, "key": invited.conductor_key[:16]}
            await audit.append(conn, self._clock, principal, "cell.join", invited.cell, None, after)
        return link

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
            await store.isolate(conn)
            await audit.append(conn, self._clock, principal, "cell.isolate", found.cell, None,
                               {"reason": reason.strip()[:500], "conductor": found.url})  # fmt: skip
        return replace(found, isolated=True)

    async def exchange(self, tenant_id: str, link: Link, reports: tuple[CellReport, ...]) -> Answer:
        """Tell the conductor, hear what it answers. Whatever goes wrong is kept with the link and raised."""
        async with self._db.tenant(tenant_id) as conn:
            counter = await store.next_counter(conn, self._clock.now_ms())
        said = Exchange(link.link_id, link.cell, counter, self._clock.now_ms(), __version__, reports)
        payload = encode(said)
        message = Signed(payload.decode(), self._cell.sign(EXCHANGE_CONTEXT + payload).hex())
        raw = await self._call(link.url, EXCHANGE_ROUTE, link.ca_pem, Sent(link.their_tenant, link.link_id, message))
        return decide.answered(link, _signed(raw), counter, self._clock.now_ms())

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


def read_token(token: str) -> Invitation:
    """What a join token holds; `Invalid`."""
    text = token.strip().removeprefix(TOKEN)
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) if token.strip().startswith(TOKEN) else b""
        return decode(Invitation, raw)
    except (ValueError, Malformed):
        raise Invalid("this is no join token; `brakeline cell add NAME` at the conductor makes one") from None


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
