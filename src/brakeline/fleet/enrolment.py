"""Use cases of enrolment: tokens, new endpoints, check-in secrets, the end of an identity.

Spending a token and making the endpoint are one transaction. An endpoint whose enrolment was answered but never
heard may ask again with the same key and token and gets the same id; any other second use is refused.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from typing import Final

from brakeline.core.errors import Invalid, NotFound
from brakeline.core.ids import ALPHABET
from brakeline.core.limits import ENROL_TOKEN_TTL_S, SECRET_LIFETIME_S
from brakeline.fleet.decide import Accept, Cloned, CounterVerdict, Held, decide_counter
from brakeline.fleet.faults import ClonedIdentity, KeyKnown, Replayed, TokenExpired, TokenUnknown, TokenUsed
from brakeline.fleet.model import CounterState, EndpointIdentity, EndpointState, EnrolToken, NewEnrolToken
from brakeline.fleet.parts import FleetParts, record_event
from brakeline.fleet.sessions import Session, session_of
from brakeline.fleet.store import identities
from brakeline.fleet.store.identities import TokenUse
from brakeline.fleet.store.rows import Connection
from brakeline.protocol.channels import channel_of
from brakeline.protocol.messages import EnrolReply, EnrolRequest, Secret
from brakeline.tenancy import audit
from brakeline.tenancy.model import Principal

TOKEN_CHARS: Final = 32  # of 5 bits each: 160 bits
TOKEN_USES_MAX: Final = 100_000
TOKEN_TTL_S_MAX: Final = 30 * 86400  # an image build may need weeks; for ever is a password
TAGS_MAX: Final = 32
OUTDATED_KEPT: Final = 4  # secrets remembered after their replacement: as many machines as share an identity, less one
_NAME = re.compile(r"[a-z0-9][a-z0-9._/-]{0,62}")
_TOKEN_FAULTS: Final = {"unknown": TokenUnknown, "used": TokenUsed, "expired": TokenExpired, "revoked": TokenExpired}


def token_hash(token: str) -> bytes:
    """What is stored of a token: SHA-256; a token is random, so nothing slower is needed."""
    return hashlib.sha256(token.encode()).digest()


def checked_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Sorted, without repeats; `Invalid` names the one that cannot be a tag."""
    for tag in tags:
        if not _NAME.fullmatch(tag):
            raise Invalid("a tag is lower-case letters, digits and . _ / - (at most 63)", tag=tag[:80])
    if len(tags) > TAGS_MAX:
        raise Invalid(f"at most {TAGS_MAX} tags")
    return tuple(sorted(set(tags)))


class Enrolment(FleetParts):
    """See the module."""

    async def create_token(
        self,
        principal: Principal,
        *,
        region: str = "",
        tags: tuple[str, ...] = (),
        uses: int = 1,
        ttl_s: int = ENROL_TOKEN_TTL_S,
    ) -> NewEnrolToken:
        """A token that can only enrol: `uses` times, within `ttl_s` seconds."""
        principal.require("endpoint.enrol")
        region = region or self.cell.region
        if not _NAME.fullmatch(region):
            raise Invalid("a region is lower-case letters, digits and . _ / - (at most 63)", region=region[:80])
        if not 1 <= uses <= TOKEN_USES_MAX or not 1 <= ttl_s <= TOKEN_TTL_S_MAX:
            raise Invalid(f"uses is 1 to {TOKEN_USES_MAX}, ttl at most {TOKEN_TTL_S_MAX // 86400} days")
        token = "et_" + "".join(ALPHABET[b % 32] for b in bytes.fromhex(self.ids.secret(TOKEN_CHARS)))
        now = self.clock.now_ms()
        record = EnrolToken(
            self.ids.new("et"), region, checked_tags(tags), uses, 0, now, now + ttl_s * 1000, principal.name
        )
        async with self.db.tenant(principal.tenant_id) as conn:
            await identities.add_token(conn, record, token_hash(token))
            after = {"region": region, "tags": record.tags, "uses": uses, "expires_ms": record.expires_ms}
            await audit.append(conn, self.clock, principal, "enrol_token.create", record.id, None, after)
        return NewEnrolToken(token, record)

    async def list_tokens(self, principal: Principal) -> tuple[EnrolToken, ...]:
        """The newest 500 tokens of the tenant."""
        principal.require("endpoint.enrol")
        async with self.db.tenant(principal.tenant_id) as conn:
            return await identities.list_tokens(conn)

    async def revoke_token(self, principal: Principal, token_id: str) -> None:
        """Make a token useless from now on; endpoints that it enrolled stay. `NotFound`."""
        principal.require("endpoint.enrol")
        async with self.db.tenant(principal.tenant_id) as conn:
            if not await identities.revoke_token(conn, token_id):
                raise NotFound("no such enrolment token", id=token_id)
            await audit.append(conn, self.clock, principal, "enrol_token.revoke", token_id, None, {"revoked": True})

    async def enrol(
        self, request: EnrolRequest, public_key: bytes, boot_id: str, counter: int, digest: str
    ) -> EnrolReply:
        """Make an endpoint of whoever holds `public_key` and an unspent token. The caller has verified the signature.

        Raises TokenUnknown, TokenUsed, TokenExpired, KeyKnown, Replayed; a token is spent only by success.
        """
        now = self.clock.now_ms()
        state = CounterState(boot_id, ((counter, digest),))
        async with self.db.system() as conn:
            use = await identities.use_token(conn, token_hash(request.token), now)
            if use.outcome == "used":
                session = await self._again(conn, use, public_key, (boot_id, counter, digest))
            elif use.outcome != "ok":
                raise _TOKEN_FAULTS[use.outcome]
            else:
                session = await self._make(conn, request, use, public_key, state, now)
        session = self.sessions.add(session)
        await self.announce(session.identity.tenant_id, session.identity.endpoint_id)
        secret = self._issue(session)
        identity = session.identity
        return EnrolReply(
            identity.endpoint_id, secret, self.cell.public_hex, self.cell.name, identity.region,
            channel_of(identity.tenant_id),
        )  # fmt: skip

    async def _make(
        self, conn: Connection, request: EnrolRequest, use: TokenUse, key: bytes, state: CounterState, now: int
    ) -> Session:
        await identities.adopt_tenant(conn, use.tenant_id)
        identity = EndpointIdentity(
            use.tenant_id, self.ids.new("ep"), key, EndpointState.ACTIVE, use.region, use.tags,
            request.facts.machine_class,
        )  # fmt: skip
        if not await identities.add_endpoint(conn, identity, request, use, state, now):
            raise KeyKnown
        facts = {"hostname": request.hostname, "region": use.region, "tags": use.tags, "token": use.token_id}
        await record_event(conn, self.clock, identity, "endpoint.enrol", facts)
        return Session(identity, state, Held())

    async def _again(self, conn: Connection, use: TokenUse, key: bytes, heard: tuple[str, int, str]) -> Session:
        """The same endpoint once more, if this key made it with this token and the message is a new one."""
        endpoint_id = await identities.enrolled_with(conn, key, use.token_id)
        known = await identities.find(conn, endpoint_id) if endpoint_id else None
        if known is None:
            raise TokenUsed
        session = self.sessions.add(session_of(known))
        verdict = decide_counter(session.counter, *heard)
        if not isinstance(verdict, Accept):
            raise Replayed
        session.counter = verdict.state
        await identities.save_counter(conn, known.identity.endpoint_id, verdict.state)
        return session

    def _issue(self, session: Session) -> Secret:
        """A fresh check-in secret, kept in memory only; the one before it is void at once, but still evidence."""
        now = self.clock.now_ms()
        if session.secret:
            before = ((session.secret, session.secret_expires_ms), *session.outdated)
            session.outdated = tuple(s for s in before if s[1] > now)[:OUTDATED_KEPT]
        session.secret = bytes.fromhex(self.ids.secret(32))
        session.secret_expires_ms = now + SECRET_LIFETIME_S * 1000
        return Secret(session.secret.hex(), session.secret_expires_ms, now)

    async def renew_secret(self, session: Session) -> Secret:
        """A fresh secret; the counter of the signed request is durable first, so it cannot be played again."""
        await self.remember(session)
        return self._issue(session)

    async def remember(self, session: Session) -> None:
        """Make the counter of a signed message durable, so that it cannot be played again after a restart."""
        async with self.db.system() as conn:
            await identities.save_counter(conn, session.identity.endpoint_id, session.counter)

    async def refuse(self, session: Session, verdict: CounterVerdict) -> None:
        """Raise what a verdict other than Accept means; a clone is stopped for good first."""
        if isinstance(verdict, Cloned):
            # In memory at once: both machines are stopped even while the database is away.
            session.identity = dataclasses.replace(session.identity, state=EndpointState.CLONED)
            session.secret, session.outdated = b"", ()
            self.unsaved_clones[session.identity.endpoint_id] = (session.identity, verdict.reason)
            await self.save_clones()
            raise ClonedIdentity(verdict.reason)
        raise Replayed

    async def save_clones(self) -> None:
        """Write down clones found; those that cannot be written now stay for the next flush."""
        for endpoint_id, (identity, reason) in list(self.unsaved_clones.items()):
            async with self.db.tenant(identity.tenant_id) as conn:
                if await identities.stop(conn, endpoint_id, EndpointState.CLONED, reason):
                    await record_event(conn, self.clock, identity, "endpoint.cloned", {"reason": reason})
            self.unsaved_clones.pop(endpoint_id, None)
            await self.announce(identity.tenant_id, endpoint_id)

    async def retire(self, principal: Principal, endpoint_id: str, reason: str = "") -> None:
        """End an identity for good: no offers, no check-ins, out of lists. `NotFound`."""
        principal.require("endpoint.manage")
        async with self.db.tenant(principal.tenant_id) as conn:
            if not await identities.stop(conn, endpoint_id, EndpointState.RETIRED, reason):
                raise NotFound("no such endpoint, or it is retired already", id=endpoint_id)
            after = {"state": "retired", "reason": reason}
            await audit.append(conn, self.clock, principal, "endpoint.retire", endpoint_id, None, after)
        if session := self.sessions.known(endpoint_id):
            session.identity = dataclasses.replace(session.identity, state=EndpointState.RETIRED)
        await self.announce(principal.tenant_id, endpoint_id)
