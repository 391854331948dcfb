"""Ways in: the first start, one-time links, passwords, sessions.

What is tried with a wrong secret is answered with `Unauthenticated` and no hint which part was wrong.
"""

from __future__ import annotations

from typing import Final

from brakeline.core.errors import Forbidden, Unauthenticated
from brakeline.platform.database import Connection
from brakeline.tenancy import store, store_approvals
from brakeline.tenancy.faults import FreshSession
from brakeline.tenancy.model import LoginLink, NewSession, Person, Principal, Tenant, permissions_of, system_principal
from brakeline.tenancy.parts import Parts, principal_of, refuse_disabled
from brakeline.tenancy.passwords import secret_hash
from brakeline.tenancy.two_people import FRESH_MS, NOBODY

FIRST_TENANT: Final = "default"
FIRST_OWNER: Final = "owner@localhost"
LOGIN_FAILURES_MAX: Final = 10
LOGIN_LOCK_S: Final = 5 * 60  # 10 tries in 5 minutes: 2,880 a day against 12 characters


class SigningIn(Parts):
    """How people get in and out."""

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

    async def login_link(self, principal: Principal, person_id: str) -> LoginLink:
        """A one-time link for a person of one's tenant (first sign-in, lost password). Never into an account that may
        more than whoever asks (`Forbidden`)."""
        principal.require("people.manage")
        async with self._db.tenant(principal.tenant_id) as conn:
            person = await self._known_person(conn, person_id)
            principal.require_all(permissions_of(person.roles))
            by = await self._person_behind(conn, principal)
            link = await self._new_link(conn, principal.tenant_id, person, by)
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
            refuse_disabled(person)
            await store.end_sessions_of(conn, person_id)
            await store.set_password(conn, person_id, None, now, person_id)
            self.remembered.forget_all([person_id])
            await self._happened(conn, tenant_id, "link", person, await store_approvals.link_maker(conn, hashed))
            return await self._begin_session(conn, tenant_id, person, "session.begin-by-link")

    async def login(self, email: str, password: str) -> NewSession:
        """A session for the right pair of address and password. After ten wrong ones the account rests 5 minutes."""
        now = self._clock.now_ms()
        async with self._db.system() as conn:
            known = await store.credential(conn, email)
        good = await self._passwords.fits(known.password_hash if known else None, password)
        if known is None:
            raise Unauthenticated("address or password is wrong")
        async with self._db.tenant(known.tenant_id) as conn:
            await self._counted(conn, known.person_id, email, good, now)
            if good:
                person = await self._known_person(conn, known.person_id)
                refuse_disabled(person)
                return await self._begin_session(conn, known.tenant_id, person, "session.begin")
            await self._note(conn, system_principal(known.tenant_id, "sign-in"), "session.refused", known.person_id)
        raise Unauthenticated("address or password is wrong")

    async def confirm(self, principal: Principal, password: str) -> None:
        """This session proves anew who it is; wrong passwords count as they do at the door. Raises `Unauthenticated`,
        and `FreshSession` for somebody without a password."""
        now = self._clock.now_ms()
        async with self._db.tenant(principal.tenant_id) as conn:
            person = await self._known_person(conn, principal.id)
            known = await store.credential(conn, person.email)
        if known is None or known.password_hash is None:
            raise FreshSession("you have no password: set one, or sign in anew by a link")
        await self._prove(principal, known, password, "the password is wrong")
        async with self._db.tenant(principal.tenant_id) as conn:
            if not await store_approvals.confirm(conn, principal.session_id, principal.id, now):
                raise Unauthenticated("the session has ended; sign in again")
            await self._note(conn, principal, "session.confirm", principal.session_id)

    async def _prove(self, principal: Principal, known: store.Credential, password: str, otherwise: str) -> None:
        """That whoever holds this session knows the password. Whoever stole a cookie shall not be able to guess."""
        now = self._clock.now_ms()
        good = await self._passwords.fits(known.password_hash, password)
        async with self._db.tenant(principal.tenant_id) as conn:
            email = (await self._known_person(conn, principal.id)).email
            await self._counted(conn, principal.id, email, good, now)
            if not good:
                await self._note(conn, principal, "session.refused", principal.session_id)
        if not good:
            raise Unauthenticated(otherwise)

    async def _counted(self, conn: Connection, person_id: str, email: str, good: bool, now: int) -> None:
        """One after another, by what is known now: guesses that come all at once are as few as any others."""
        await conn.execute("SELECT pg_advisory_xact_lock(hashtext($1))", f"sign-in/{person_id}")
        known = await store.credential(conn, email)
        if known is not None:
            _refuse_resting(known, now)
        await store.note_attempt(conn, person_id, good, LOGIN_FAILURES_MAX, now + LOGIN_LOCK_S * 1000)

    async def set_password(self, principal: Principal, password: str, current: str = "") -> None:
        """Set one's own password; the present one is asked for if there is one. Ends the other sessions.

        A first one that comes late may be set by whoever found the cookie: for a week the account stands for nobody.
        """
        if principal.kind != "person":
            raise Forbidden("only a person has a password")
        hashed, now = await self._passwords.hash(password), self._clock.now_ms()
        async with self._db.tenant(principal.tenant_id) as conn:
            person = await self._known_person(conn, principal.id)
            known = await store.credential(conn, person.email)
        if known is not None and known.password_hash is not None:
            await self._prove(principal, known, current, "the present password is wrong")
        async with self._db.tenant(principal.tenant_id) as conn:
            since = await store_approvals.confirmed_ms(conn, principal.session_id, principal.id, now)
            if not since:
                raise Unauthenticated("the session has ended; sign in again")
            if (known is None or known.password_hash is None) and abs(now - since) > FRESH_MS:
                await self._happened(conn, principal.tenant_id, "link", person, NOBODY)
            await store.set_password(conn, principal.id, hashed, now, principal.id)
            await store.end_sessions_of(conn, principal.id, except_session=principal.session_id)
            self.remembered.forget_all([principal.id])
            await self._note(conn, principal, "person.set-password", principal.id)

    async def logout(self, cookie: str) -> None:
        """End the session; nothing happens if it has ended already."""
        self.remembered.forget(secret_hash(cookie))
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
        refuse_disabled(person)
        principal = principal_of(tenant_id, person, session_id)
        self.remembered.keep(secret_hash(cookie), principal, self._clock.now_ms())
        return principal


def _refuse_resting(known: store.Credential, now_ms: int) -> None:
    if known.locked_until_ms is not None and known.locked_until_ms > now_ms:
        wait_s = (known.locked_until_ms - now_ms) // 1000 + 1
        raise Unauthenticated(f"too many wrong passwords; try again in {wait_s} s", retry_after_s=wait_s)


def _link_problem(state: str) -> str:
    why = {"used": "this login link was used already", "expired": "this login link has expired"}
    return f"{why.get(state, 'this login link is unknown')}; get a new one: brakeline auth login-link"
