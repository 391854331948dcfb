"""What the use cases of tenancy share: the ports, and the steps that several of them take inside a transaction."""

from __future__ import annotations

from typing import Any, Final, Protocol

from brakeline.core.clock import Clock
from brakeline.core.errors import Conflict, Invalid, NotFound, Unauthenticated
from brakeline.platform.database import Connection, Database
from brakeline.tenancy import audit, store, store_approvals
from brakeline.tenancy.model import LoginLink, NewSession, Person, Principal, permissions_of
from brakeline.tenancy.passwords import Passwords, secret_hash
from brakeline.tenancy.remembered import Remembered
from brakeline.tenancy.two_people import NOBODY, Change, Event, behind

LOGIN_LINK_TTL_S: Final = 60 * 60  # time to copy a line from a terminal; a new one is one command away
SESSION_TTL_S: Final = 12 * 60 * 60  # a working day; acts that need two people ask again anyway
MAIL_CHARS_MAX: Final = 254  # RFC 5321


class Ids(Protocol):
    """Where ids and secrets come from (`platform.clock.IdMaker`)."""

    def new(self, prefix: str) -> str: ...
    def secret(self, nbytes: int = 32) -> str: ...


class Parts:
    """Ports and shared steps; every step runs inside the caller's transaction."""

    def __init__(self, db: Database, clock: Clock, ids: Ids) -> None:
        self._db, self._clock, self._ids = db, clock, ids
        self._passwords = Passwords()
        self.remembered = Remembered()

    async def _add_person(
        self, conn: Connection, by: Principal, email: str, name: str, roles: tuple[str, ...], now: int
    ) -> Person:
        address = email.strip().lower()
        if address.count("@") != 1 or len(address) > MAIL_CHARS_MAX or address.startswith("@") or address.endswith("@"):
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

    async def _person_behind(self, conn: Connection, who: Principal) -> str:
        """The person who acts: himself, or whoever made the token; NOBODY for what belongs to none."""
        if who.kind == "person":
            return who.id
        if who.kind == "system":
            return NOBODY
        return behind(who.id, {t.token_id: t.created_by for t in await store.tokens(conn)})

    async def _happened(self, conn: Connection, tenant_id: str, change: Change, person: Person, by: str) -> None:
        """Keep what was done to an account: who is independent of whom follows from it (`two_people`)."""
        before = permissions_of(person.roles) if person.disabled_ms is None else frozenset()
        event = Event(self._clock.now_ms(), change, person.person_id, by, before)
        await store_approvals.add_event(conn, tenant_id, event)

    async def _new_link(self, conn: Connection, tenant_id: str, person: Person, by: str = NOBODY) -> LoginLink:
        secret, expires = self._ids.secret(), self._clock.now_ms() + LOGIN_LINK_TTL_S * 1000
        await store.add_login_link(conn, secret_hash(secret), person.person_id, expires, by)
        return LoginLink(person, secret, expires, tenant_id)

    async def _begin_session(self, conn: Connection, tenant_id: str, person: Person, action: str) -> NewSession:
        now, cookie = self._clock.now_ms(), self._ids.secret()
        session_id, expires = self._ids.new("se"), now + SESSION_TTL_S * 1000
        await store.add_session(conn, secret_hash(cookie), session_id, person.person_id, now, expires)
        principal = principal_of(tenant_id, person, session_id)
        await self._note(conn, principal, action, session_id)
        return NewSession(principal, cookie, expires)

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


def principal_of(tenant_id: str, person: Person, session_id: str) -> Principal:
    return Principal(tenant_id, person.person_id, "person", person.name, permissions_of(person.roles), session_id)


def refuse_disabled(person: Person) -> None:
    if person.disabled_ms is not None:
        raise Unauthenticated("this account was disabled; ask an owner of your organisation")
