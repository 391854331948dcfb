"""People of an organisation and their roles; the last owner always stays."""

from __future__ import annotations

from collections.abc import Iterable

from brakeline.core.errors import Conflict
from brakeline.tenancy import store
from brakeline.tenancy.model import LoginLink, Person, Principal, made_through, permissions_of
from brakeline.tenancy.parts import Parts


class People(Parts):
    """Who is there; asks for `people.manage`."""

    async def people(self, principal: Principal) -> tuple[Person, ...]:
        principal.require("people.manage")
        async with self._db.tenant(principal.tenant_id) as conn:
            return await store.people(conn)

    async def lineage(self, principal: Principal) -> tuple[str, ...]:
        """The principal's id, its maker's, that one's maker's, … Two acts are of two people only if neither person
        stands in the other's line."""
        async with self._db.tenant(principal.tenant_id) as conn:
            makers = {t.token_id: t.created_by for t in await store.tokens(conn)}
            makers |= {p.person_id: p.created_by for p in await store.people(conn)}
        line = [principal.id]
        while (maker := makers.get(line[-1], "")) and maker not in line:
            line.append(maker)
        return tuple(line)

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


def _refuse_last_owner(owners: tuple[str, ...], person_id: str) -> None:
    if owners == (person_id,):
        raise Conflict("this is the last owner; make somebody else an owner first")
