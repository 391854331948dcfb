"""Use cases of tenancy: the first owner, signing in, people, tokens, and who a secret belongs to.

Each method is one transaction and, where something of consequence changes, one audit entry in it. Secrets leave
these methods once (login link, cookie, token) and are kept as hashes only. What is tried with a wrong secret is
answered with `Unauthenticated` and no hint which part was wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Protocol

from brakeline.core.clock import Clock
from brakeline.core.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from brakeline.core.ids import TenantId
from brakeline.platform.database import Connection, Database
from brakeline.tenancy import audit, store
from brakeline.tenancy.model import (
    ApiToken,
    LoginLink,
    NewSession,
    NewToken,
    Person,
    Principal,
    Tenant,
    made_through,
    permissions_of,
    system_principal,
)
from brakeline.tenancy.passwords import Passwords, secret_hash

FIRST_TENANT: Final = "default"
FIRST_OWNER: Final = "owner@localhost"
LOGIN_LINK_TTL_S: Final = 60 * 60  # time to copy a line from a terminal; a new one is one command away
SESSION_TTL_S: Final = 12 * 60 * 60  # a working day; acts that need two people ask again anyway
TOKEN_TTL_S: Final = 90 * 24 * 60 * 60
TOKEN_TTL_S_MAX: Final = 366 * 24 * 60 * 60  # a token that never ends is never looked at again
TOKEN_PREFIX: Final = "blt_"  # noqa: S105 - recognisable for secret scanners and for people
TOKEN_SHOWN_CHARS: Final = 10
LOGIN_FAILURES_MAX: Final = 10
LOGIN_LOCK_S: Final = 5 * 60  # 10 tries in 5 minutes: 2,880 a day against 12 characters


class Ids(Protocol):
    """Where ids and secrets come from (`platform.clock.IdMaker`)."""

    def new(self, prefix: str) -> str: ...
    def secret(self, nbytes: int = 32) -> str: ...


class TenancyService:
    """Everything about who is there and what they may do."""

    def __init__(self, db: Database, clock: Clock, ids: Ids) -> None:
        self._db, self._clock, self._ids = db, clock, ids
        self._passwords = Passwords()

    # --- the beginning ---------------------------------------------------------------------------------------------

    async def bootstrap(self, email: str = FIRST_OWNER) -> LoginLink | None:
        """Make the first tenant and its owner; a fresh login link as long as no password was set. Idempotent."""
        now = self._clock.now_ms()
        async with self._db.system() as conn:
            await conn.execute("SELECT pg_advisory_xact_lock(hashtext('brakeline.bootstrap'))")
            tenant_id = await self._first_tenant(conn, now)
            await store.set_tenant(conn, tenant_id)
            owner = await self._first_owner(conn, tenant_id, email, now)
            known = await store.credential(conn, owner.email)
            if known is not None and known.password_hash is not None:
                return None
            return await self._new_link(conn, tenant_id, owner)

    async def tenants(self) -> list[TenantId]:
        """Ids of all tenants of this installation."""
        async with self._db.system() as conn:
            return [TenantId(t.tenant_id) for t in await store.tenants(conn)]

    async def first_tenant(self) -> Tenant:
        """The tenant that `bootstrap` made."""
        async with self._db.system() as conn:
            found = next((t for t in await store.tenants(conn) if t.name == FIRST_TENANT), None)
        if found is None:
            raise NotFound("there is no tenant yet; start the server once")
        return found

    async def _first_tenant(self, conn: Connection, now: int) -> str:
        tenant = Tenant(self._ids.new("te"), FIRST_TENANT)
        if await store.create_tenant(conn, tenant, now):
            return tenant.tenant_id
        return next(t.tenant_id for t in await store.tenants(conn) if t.name == FIRST_TENANT)

    async def _first_owner(self, conn: Connection, tenant_id: str, email: str, now: int) -> Person:
        owners = await store.owners_for_update(conn)
        if owners:
            found = await store.person(conn, owners[0])
            assert found is not None
            return found
        who = system_principal(tenant_id, "first start")
        return await self._add_person(conn, who, email, "Owner", ("owner",), now)

    # --- signing in ------------------------------------------------------------------------------------------------

    async def login_link(self, principal: Principal, person_id: str) -> LoginLink:
        """A one-time link for a person of one's tenant (first sign-in, lost password)."""
        principal.require("people.manage")
        async with self._db.tenant(principal.tenant_id) as conn:
            person = await self._known_person(conn, person_id)
            link = await self._new_link(conn, principal.tenant_id, person)
            await self._note(conn, principal, "person.login-link", person_id, after={"expires_ms": link.expires_ms})
        return link

    async def redeem_login_link(self, secret: str) -> NewSession:
        """A session for whoever holds the link, once. Ends the person's other sessions and unsets the password."""
        now, hashed = self._clock.now_ms(), secret_hash(secret)
        async with self._db.system() as conn:
            found = await store.redeem_login_link(conn, hashed, now)
            if found is None:
                state = await store.login_link_state(conn, hashed, now)
                raise Unauthenticated(_link_problem(state))
            tenant_id, person_id = found
            await store.set_tenant(conn, tenant_id)
            person = await self._known_person(conn, person_id)
            _refuse_disabled(person)
            await store.end_sessions_of(conn, person_id)
            await store.set_password(conn, person_id, None, now, person_id)
            return await self._begin_session(conn, tenant_id, person, "session.begin-by-link")

    async def login(self, email: str, password: str) -> NewSession:
        """A session for the right pair of address and password. After ten wrong ones the account rests 5 minutes."""
        now = self._clock.now_ms()
        async with self._db.system() as conn:
            known = await store.credential(conn, email)
        good = await self._passwords.fits(known.password_hash if known else None, password)
        if known is None:
            raise Unauthenticated("address or password is wrong")
        if known.locked_until_ms is not None and known.locked_until_ms > now:
            wait_s = (known.locked_until_ms - now) // 1000 + 1
            raise Unauthenticated(f"too many wrong passwords; try again in {wait_s} s", retry_after_s=wait_s)
        async with self._db.tenant(known.tenant_id) as conn:
            until = now + LOGIN_LOCK_S * 1000
            await store.note_attempt(conn, known.person_id, good, LOGIN_FAILURES_MAX, until)
            if good:
                person = await self._known_person(conn, known.person_id)
                _refuse_disabled(person)
                return await self._begin_session(conn, known.tenant_id, person, "session.begin")
            await self._note(conn, system_principal(known.tenant_id, "sign-in"), "session.refused", known.person_id)
        raise Unauthenticated("address or password is wrong")

    async def set_password(self, principal: Principal, password: str, current: str = "") -> None:
        """Set one's own password; the present one is asked for if there is one. Ends the other sessions."""
        if principal.kind != "person":
            raise Forbidden("only a person has a password")
        hashed = await self._passwords.hash(password)
        async with self._db.tenant(principal.tenant_id) as conn:
            person = await self._known_person(conn, principal.id)
            known = await store.credential(conn, person.email)
            stored = known.password_hash if known else None
            if stored is not None and not await self._passwords.fits(stored, current):
                raise Unauthenticated("the present password is wrong")
            await store.set_password(conn, principal.id, hashed, self._clock.now_ms(), principal.id)
            await store.end_sessions_of(conn, principal.id, except_session=principal.session_id)
            await self._note(conn, principal, "person.set-password", principal.id)

    async def logout(self, cookie: str) -> None:
        """End the session; nothing happens if it has ended already."""
        async with self._db.system() as conn:
            await store.end_session(conn, secret_hash(cookie))

    async def authenticate_session(self, cookie: str) -> Principal:
        """Whose session this is. Raises `Unauthenticated`."""
        async with self._db.system() as conn:
            found = await store.session(conn, secret_hash(cookie), self._clock.now_ms())
            if found is None:
                raise Unauthenticated("the session has ended; sign in again")
            tenant_id, person_id, session_id = found
            await store.set_tenant(conn, tenant_id)
            person = await self._known_person(conn, person_id)
        _refuse_disabled(person)
        return _principal(tenant_id, person, session_id)

    async def authenticate_token(self, bearer: str) -> Principal:
        """Whose API token this is. Raises `Unauthenticated`, saying whether it expired or was revoked."""
        async with self._db.system() as conn:
            row = await store.token(conn, secret_hash(bearer))
        if row is None:
            raise Unauthenticated("the API token is unknown; was it copied whole? It begins with blt_")
        if row.revoked:
            raise Unauthenticated(f"the API token {row.name!r} was revoked", token_id=row.token_id)
        if row.expires_ms <= self._clock.now_ms():
            raise Unauthenticated(f"the API token {row.name!r} has expired; make a new one", token_id=row.token_id)
        return Principal(row.tenant_id, row.token_id, "token", f"token {row.name}", row.permissions)

    # --- people ----------------------------------------------------------------------------------------------------

    async def people(self, principal: Principal) -> tuple[Person, ...]:
        principal.require("people.manage")
        async with self._db.tenant(principal.tenant_id) as conn:
            return await store.people(conn)

    async def add_person(self, principal: Principal, email: str, name: str, roles: Iterable[str]) -> LoginLink:
        """A new person, who signs in for the first time by the link that is returned."""
        principal.require("people.manage")
        async with self._db.tenant(principal.tenant_id) as conn:
            person = await self._add_person(conn, principal, email, name, tuple(roles), self._clock.now_ms())
            return await self._new_link(conn, principal.tenant_id, person)

    async def set_roles(self, principal: Principal, person_id: str, roles: Iterable[str]) -> Person:
        """Replace a person's roles. The last owner stays one (`Conflict`)."""
        principal.require("people.manage")
        wanted = tuple(dict.fromkeys(roles))
        permissions_of(wanted)
        async with self._db.tenant(principal.tenant_id) as conn:
            owners = await store.owners_for_update(conn)
            person = await self._known_person(conn, person_id)
            if "owner" not in wanted:
                _refuse_last_owner(owners, person_id)
            await store.set_roles(conn, person_id, wanted)
            before, after = {"roles": list(person.roles)}, {"roles": list(wanted)}
            await self._note(conn, principal, "person.set-roles", person_id, before, after)
            return await self._known_person(conn, person_id)

    async def disable_person(self, principal: Principal, person_id: str) -> Person:
        """End sessions and tokens of a person for good. The last owner cannot be disabled (`Conflict`)."""
        principal.require("people.manage")
        now = self._clock.now_ms()
        async with self._db.tenant(principal.tenant_id) as conn:
            _refuse_last_owner(await store.owners_for_update(conn), person_id)
            person = await self._known_person(conn, person_id)
            await store.set_disabled(conn, person_id, person.disabled_ms or now)
            await store.end_sessions_of(conn, person_id)
            for token in made_through(person_id, await store.tokens(conn)):
                await store.revoke_token(conn, token.token_id, now)
            await self._note(conn, principal, "person.disable", person_id)
            return await self._known_person(conn, person_id)

    # --- API tokens ------------------------------------------------------------------------------------------------

    async def create_token(
        self,
        principal: Principal,
        name: str,
        permissions: Iterable[str] | None = None,
        ttl_s: int = TOKEN_TTL_S,
        *,
        replace: bool = False,
    ) -> NewToken:
        """A token with `permissions` (None = all of the maker's), for `ttl_s` seconds.

        Never more than the maker's own (`Forbidden`). `replace` revokes older tokens of the same name.
        """
        principal.require("token.manage")
        wanted = principal.permissions if permissions is None else frozenset(permissions)
        for permission in sorted(wanted):
            principal.require(permission)
        if not 60 <= ttl_s <= TOKEN_TTL_S_MAX:
            raise Invalid(f"a token lives between 60 s and {TOKEN_TTL_S_MAX // 86400} days", ttl_s=ttl_s)
        if not name.strip() or len(name) > 80:
            raise Invalid("a token needs a name of at most 80 characters that says what it is for")
        now, secret = self._clock.now_ms(), TOKEN_PREFIX + self._ids.secret()
        token = ApiToken(
            self._ids.new("to"), name, secret[:TOKEN_SHOWN_CHARS] + "…", tuple(sorted(wanted)), principal.id, now,
            now + ttl_s * 1000,
        )  # fmt: skip
        async with self._db.tenant(principal.tenant_id) as conn:
            if replace:
                await self._revoke_named(conn, name, now)
            await store.add_token(conn, token, secret_hash(secret))
            after = {"name": name, "permissions": list(token.permissions), "expires_ms": token.expires_ms}
            await self._note(conn, principal, "token.create", token.token_id, after=after)
        return NewToken(token, secret)

    async def tokens(self, principal: Principal) -> tuple[ApiToken, ...]:
        principal.require("token.manage")
        async with self._db.tenant(principal.tenant_id) as conn:
            return await store.tokens(conn)

    async def revoke_token(self, principal: Principal, token_id: str) -> None:
        """The token stops working at once. `NotFound` if there is none; twice is fine."""
        principal.require("token.manage")
        async with self._db.tenant(principal.tenant_id) as conn:
            if not await store.revoke_token(conn, token_id, self._clock.now_ms()):
                raise NotFound(f"there is no token {token_id[:40]}")
            await self._note(conn, principal, "token.revoke", token_id)

    # --- audit -----------------------------------------------------------------------------------------------------

    async def audit_entries(self, principal: Principal, before: int | None, limit: int) -> tuple[audit.Entry, ...]:
        """Newest first, older than sequence `before`."""
        principal.require("audit.read")
        async with self._db.tenant(principal.tenant_id) as conn:
            return await audit.entries_before(conn, before, limit)

    async def audit_verify(self, principal: Principal) -> audit.Verified:
        """Check the tenant's whole chain."""
        principal.require("audit.read")
        async with self._db.tenant(principal.tenant_id) as conn:
            return await audit.verify(conn, principal.tenant_id)

    # --- parts -----------------------------------------------------------------------------------------------------

    async def _add_person(
        self, conn: Connection, by: Principal, email: str, name: str, roles: tuple[str, ...], now: int
    ) -> Person:
        address = email.strip().lower()
        if address.count("@") != 1 or len(address) > 254 or address.startswith("@") or address.endswith("@"):
            raise Invalid(f"{email[:60]!r} is no mail address")
        permissions_of(roles)
        person = Person(self._ids.new("pe"), address, name.strip() or address, tuple(dict.fromkeys(roles)), now, by.id)
        if not await store.add_person(conn, by.tenant_id, person):
            raise Conflict(f"{address} is known already")
        await self._note(conn, by, "person.add", person.person_id, after={"email": address, "roles": list(roles)})
        return person

    async def _known_person(self, conn: Connection, person_id: str) -> Person:
        person = await store.person(conn, person_id)
        if person is None:
            raise NotFound(f"there is no person {person_id[:40]}")
        return person

    async def _new_link(self, conn: Connection, tenant_id: str, person: Person) -> LoginLink:
        secret, expires = self._ids.secret(), self._clock.now_ms() + LOGIN_LINK_TTL_S * 1000
        await store.add_login_link(conn, secret_hash(secret), person.person_id, expires)
        return LoginLink(person, secret, expires, tenant_id)

    async def _begin_session(self, conn: Connection, tenant_id: str, person: Person, action: str) -> NewSession:
        now, cookie = self._clock.now_ms(), self._ids.secret()
        session_id, expires = self._ids.new("se"), now + SESSION_TTL_S * 1000
        await store.add_session(conn, secret_hash(cookie), session_id, person.person_id, now, expires)
        principal = _principal(tenant_id, person, session_id)
        await self._note(conn, principal, action, session_id)
        return NewSession(principal, cookie, expires)

    async def _revoke_named(self, conn: Connection, name: str, now: int) -> None:
        for token in await store.tokens(conn):
            if token.name == name and token.revoked_ms is None:
                await store.revoke_token(conn, token.token_id, now)

    async def _note(
        self,
        conn: Connection,
        who: Principal,
        action: str,
        object_id: str,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
    ) -> None:
        await audit.append(conn, self._clock, who, action, object_id, before, after)


def _principal(tenant_id: str, person: Person, session_id: str) -> Principal:
    return Principal(tenant_id, person.person_id, "person", person.name, permissions_of(person.roles), session_id)


def _refuse_disabled(person: Person) -> None:
    if person.disabled_ms is not None:
        raise Unauthenticated("this account was disabled; ask an owner of your organisation")


def _refuse_last_owner(owners: tuple[str, ...], person_id: str) -> None:
    if owners == (person_id,):
        raise Conflict("this is the last owner; make somebody else an owner first")


def _link_problem(state: str) -> str:
    why = {"used": "this login link was used already", "expired": "this login link has expired"}
    return f"{why.get(state, 'this login link is unknown')}; get a new one: brakeline auth login-link"
