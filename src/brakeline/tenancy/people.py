"""People of an organisation and their roles; the last owner always stays, and more than before takes two people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from brakeline.core.errors import Conflict, NotFound
from brakeline.platform.database import Connection
from brakeline.tenancy import store
from brakeline.tenancy.approvals import Agreed, Approvals
from brakeline.tenancy.faults import Overtaken
from brakeline.tenancy.model import LoginLink, Person, Principal, made_through, permissions_of
from brakeline.tenancy.parts import Parts
from brakeline.tenancy.two_people import Act, Request


class People(Parts):
    """Who is there; asks for `people.manage`."""

    approvals: Approvals

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
        """A new person, who signs in for the first time by the link that is returned. Never with more permissions than
        whoever adds has himself (`Forbidden`)."""
        principal.require("people.manage")
        roles = tuple(roles)
        principal.require_all(permissions_of(roles))
        async with self._db.tenant(principal.tenant_id) as conn:
            person = await self._add_person(conn, principal, email, name, roles, self._clock.now_ms())
            by = await self._person_behind(conn, principal)
            return await self._new_link(conn, principal.tenant_id, person, by)

    async def set_roles(self, principal: Principal, person_id: str, roles: Iterable[str]) -> Person | Request:
        """Replace a person's roles: at once where nothing is gained, else the request that a second person agrees to.
        The last owner stays one (`Conflict`)."""
        principal.require("people.manage")
        wanted = tuple(dict.fromkeys(roles))
        gained = permissions_of(wanted)
        async with self._db.tenant(principal.tenant_id) as conn:
            person = await self._may_have(conn, person_id, wanted)
            gained -= permissions_of(person.roles)
            if not gained:
                return await self._give(conn, principal, person, wanted, (await self._person_behind(conn, principal),))
        says = (
            f"Give {person.name} ({person.email}) the roles {', '.join(wanted)} instead of "
            f"{', '.join(person.roles) or 'none'}.",
            f"That adds: {', '.join(sorted(gained))}.",
        )  # fmt: skip
        return await self.approvals.ask(
            principal, Act.ROLES, person_id, {"roles": list(wanted)}, says, _standing(person)
        )  # fmt: skip

    async def situation(self, tenant_id: str, request: Request) -> str:
        """For `approvals.Performer`: the roles that are to be replaced."""
        async with self._db.tenant(tenant_id) as conn:
            return _standing(await self._known_person(conn, request.object_id))

    async def perform(self, agreed: Agreed, request: Request) -> None:
        """For `approvals.Performer`: both who agreed are bound to the account that they raised."""
        wanted, who = tuple(request.parameters["roles"]), agreed.principal
        async with self._db.tenant(who.tenant_id) as conn:
            person = await self._may_have(conn, request.object_id, wanted)
            if _standing(person) != request.situation:
                raise Overtaken(f"{person.name} is {_standing(person)}")
            await self._give(conn, who, person, wanted, tuple(dict.fromkeys((request.first, who.id))), agreed)

    async def _may_have(self, conn: Connection, person_id: str, wanted: tuple[str, ...]) -> Person:
        owners = await store.owners_for_update(conn)
        person = await store.person(conn, person_id, lock=True)
        if person is None:
            raise NotFound(f"there is no person {person_id[:40]}")
        if "owner" not in wanted:
            _refuse_last_owner(owners, person_id)
        return person

    async def _give(self, conn: Connection, who: Principal, person: Person, wanted: tuple[str, ...],
                    by: tuple[str, ...], agreed: Agreed | None = None) -> Person:  # fmt: skip
        had, has = permissions_of(person.roles), permissions_of(wanted)
        self.remembered.forget_all([person.person_id])
        await store.set_roles(conn, person.person_id, wanted)
        for one in by:
            if had - has:
                await self._happened(conn, who.tenant_id, "lowered", person, one)
            if has - had:
                await self._happened(conn, who.tenant_id, "raised", person, one)
        gone = await self._revoke_beyond(conn, person.person_id, had - has)
        before: dict[str, Any] = {"roles": list(person.roles)}
        after: dict[str, Any] = {"roles": list(wanted)} | ({"tokens_revoked": list(gone)} if gone else {})
        if agreed is not None:
            after |= {"by": agreed.names, "persons": agreed.persons, "approval": agreed.approval_id}
        await self._note(conn, who, "person.set-roles", person.person_id, before, after)
        return await self._known_person(conn, person.person_id)

    async def _revoke_beyond(self, conn: Connection, person_id: str, lost: frozenset[str]) -> tuple[str, ...]:
        """Tokens made through a person that may do what the person may no more: they stop working at once."""
        found = made_through(person_id, await store.tokens(conn)) if lost else ()
        gone = tuple(t.token_id for t in found if t.revoked_ms is None and lost & frozenset(t.permissions))
        for token_id in gone:
            await store.revoke_token(conn, token_id, self._clock.now_ms())
        self.remembered.forget_all(gone)
        return gone

    async def disable_person(self, principal: Principal, person_id: str) -> Person:
        """End sessions and tokens of a person for good. The last owner cannot be disabled (`Conflict`)."""
        principal.require("people.manage")
        now = self._clock.now_ms()
        async with self._db.tenant(principal.tenant_id) as conn:
            _refuse_last_owner(await store.owners_for_update(conn), person_id)
            person = await self._known_person(conn, person_id)
            await store.set_disabled(conn, person_id, person.disabled_ms or now)
            await self._happened(
                conn, principal.tenant_id, "disabled", person, await self._person_behind(conn, principal)
            )
            await store.end_sessions_of(conn, person_id)
            tokens = made_through(person_id, await store.tokens(conn))
            for token in tokens:
                await store.revoke_token(conn, token.token_id, now)
            self.remembered.forget_all([person_id, *(t.token_id for t in tokens)])
            await self._note(conn, principal, "person.disable", person_id)
            return await self._known_person(conn, person_id)


def _refuse_last_owner(owners: tuple[str, ...], person_id: str) -> None:
    if owners == (person_id,):
        raise Conflict("this is the last owner; make somebody else an owner first")


def _standing(person: Person) -> str:
    return f"{'disabled' if person.disabled_ms is not None else 'enabled'}, {', '.join(person.roles) or 'no role'}"
