"""The cell's end: join a conductor, believe it, isolate oneself from it; tell it and hear what it answers.

Invariants: joining is an act of a person with `limits.write` and is in the audit log; a link is believed only after
`acts` was asked; isolating needs nobody's answer; whatever cannot be verified raises `Doubt`.
What the messages are about is the rollout slice's (`linked`).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from brakeline import __version__
from brakeline.cells import decide, store
from brakeline.cells.base import EXCHANGE_ROUTE, JOIN_ROUTE, TOKEN, Base
from brakeline.cells.decide import Doubt
from brakeline.cells.model import (
    EXCHANGE_CONTEXT,
    GENERATION_JUMP_MAX,
    JOIN_CONTEXT,
    LEADS_KNOWN,
    Answer,
    CellReport,
    Exchange,
    Invitation,
    Join,
    Link,
    Orphan,
    Sent,
    Signed,
)
from brakeline.core.errors import Conflict, Invalid, NotFound
from brakeline.platform.calls import CALL_S
from brakeline.platform.database import Connection
from brakeline.protocol.codec import Malformed, decode, encode, encode_sparse
from brakeline.tenancy import audit
from brakeline.tenancy.approvals import Agreed
from brakeline.tenancy.faults import Overtaken
from brakeline.tenancy.model import Principal
from brakeline.tenancy.two_people import Request

BELIEVE: Final = "believe"


class Links(Base):
    """See the module."""

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
        if asked := await self._second_person().before(principal, parameters, says, unbelieved(link)):
            return link, asked
        await self._believe(principal, unbelieved(link))
        return replace(link, isolated=False), None

    async def believe_agreed(self, agreed: Agreed, _: Mapping[str, Any], situation: str) -> None:
        """The same after two people have agreed, unless it is another link by now."""
        await self._believe(agreed.principal, situation)

    async def _believe(self, principal: Principal, situation: str) -> None:
        """The link of that `situation`, looked at and believed in one transaction."""
        async with self._db.tenant(principal.tenant_id) as conn:
            link = await store.link(conn, lock=True)
            if link is None or unbelieved(link) != situation:
                raise Overtaken("this cell was joined to another conductor, or isolated from it, since")
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
                       orphans: tuple[Orphan, ...] = (), wait_s: int = 0, has: str = "",
                       leads: int = LEADS_KNOWN) -> Answer:  # fmt: skip
        """Tell the conductor, hear what it answers: at once, or within `wait_s` when there is something new to whoever
        `has` what it was told last. Whatever goes wrong is raised."""
        async with self._db.tenant(tenant_id) as conn:
            counter = await store.next_counter(conn, self._clock.now_ms())
        said = Exchange(link.link_id, link.cell, counter, self._clock.now_ms(), __version__, reports, orphans,
                        leads=leads)  # fmt: skip
        return await self.say(link, said, wait_s, has)

    async def say(self, link: Link, said: Exchange, wait_s: int = 0, has: str = "") -> Answer:
        """One exchange over a link, which need not be the one of today."""
        payload = encode_sparse(said)  # so a conductor of the version before meets no word that says nothing yet
        message = Signed(payload.decode(), self._cell.sign(EXCHANGE_CONTEXT + payload).hex())
        sent = Sent(link.their_tenant, link.link_id, message, wait_s, has)
        raw = await self._call(link.url, EXCHANGE_ROUTE, link.ca_pem, sent)
        return decide.answered(link, _signed(raw), said.counter, self._clock.now_ms())

    async def settle(self, tenant_id: str, trouble: str, answer: Answer | None) -> None:
        """What the last exchange came to, for people and for the reason why something holds."""
        now_ms = self._clock.now_ms()
        skew = answer.sent_ms - now_ms if answer is not None else None
        async with self._db.tenant(tenant_id) as conn:
            await store.set_answered(conn, trouble, skew, now_ms if answer is not None else None)

    async def _call(self, url: str, route: str, ca_pem: str, sent: Sent) -> bytes:
        status, raw = await self._post(url, route, ca_pem, encode_sparse(sent), CALL_S + sent.wait_s)
        if status != 200:
            raise _refused(status, raw)
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
    if invited.generation > (most := (link.generation if link is not None else 0) + GENERATION_JUMP_MAX):
        raise Conflict(f"the token is of generation {invited.generation}, and {most} is the highest that may follow "
                       "here: this cell could never be led by anybody else again", generation=most)  # fmt: skip


def read_token(token: str) -> Invitation:
    """What a join token holds; `Invalid`."""
    text = token.strip().removeprefix(TOKEN)
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) if token.strip().startswith(TOKEN) else b""
        return decode(Invitation, raw)
    except (ValueError, Malformed):
        raise Invalid("this is no join token; `brakeline cell add NAME` at the conductor makes one") from None


def unbelieved(link: Link) -> str:
    """A link that nobody has agreed to, or that was isolated; another one every time: whoever makes a token chooses its
    id, so it is named by all that was shown to the second person, and by when it was joined."""
    said = f"{link.link_id} of {link.url}, key {link.conductor_key}, as {link.cell}, organisation {link.their_tenant}"
    said += f", generation {link.generation}{', fast lane' if link.fast else ''}, joined {link.joined_ms}"
    authority = hashlib.sha256(link.ca_pem.encode()).hexdigest()
    said += f", authority {authority[:16]}"
    return f"{said}, {'not believed' if link.isolated else 'believed'} {link.trouble if link.isolated else ''}"


def _signed(raw: bytes) -> Signed:
    return decode(Signed, raw)


def _refused(status: int, raw: bytes) -> decide.Doubt:
    """Why the conductor says no; by name the field that it does not know, if that is why."""
    try:
        found: Any = json.loads(raw)
        text = f"the conductor refuses: {found['title']} {found['detail']}"[:400]
        context = found.get("context") or {}
        field = str(context.get("field", ""))[:40] if context.get("why") == decide.UNKNOWN_FIELD else ""
    except (ValueError, TypeError, KeyError, AttributeError):
        return Doubt(f"the conductor refuses with status {status}", why="refused")
    return Doubt(text, why="refused", field=field) if field else Doubt(text, why="refused")
