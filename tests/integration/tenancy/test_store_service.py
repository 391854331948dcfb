"""People, sessions and tokens, from the first start on."""

from __future__ import annotations

import asyncio
import json

import asyncpg
import pytest
from tests.postgres_clusters import TestDatabase

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.tenancy.model import ROLE_PERMISSIONS, NewSession, Principal
from brakeline.tenancy.parts import LOGIN_LINK_TTL_S, SESSION_TTL_S
from brakeline.tenancy.service import TenancyService
from brakeline.tenancy.signing_in import LOGIN_FAILURES_MAX
from brakeline.tenancy.two_people import Request

PASSWORD = "four random words, really"


@pytest.fixture
def tenancy(database: Database, clock: ManualClock, ids: IdMaker) -> TenancyService:
    return TenancyService(database, clock, ids)


@pytest.fixture
async def owner(tenancy: TenancyService) -> NewSession:
    link = await tenancy.bootstrap()
    assert link is not None
    return await tenancy.redeem_login_link(link.secret)


async def member(tenancy: TenancyService, by: Principal, email: str, *roles: str) -> Principal:
    link = await tenancy.add_person(by, email, "", roles)
    return (await tenancy.redeem_login_link(link.secret)).principal


async def test_the_first_start_makes_a_tenant_and_an_owner_and_later_starts_make_no_more(
    tenancy: TenancyService,
) -> None:
    first, second = await asyncio.gather(tenancy.bootstrap(), tenancy.bootstrap())
    assert first is not None
    assert second is not None
    assert first.person == second.person
    assert first.secret != second.secret  # until a password is set, every start gives a way in
    tenants = await tenancy.tenants()
    assert tenants == [first.tenant_id] == [(await tenancy.first_tenant()).tenant_id]
    session = await tenancy.redeem_login_link(second.secret)
    await tenancy.set_password(session.principal, PASSWORD)
    assert await tenancy.bootstrap() is None


async def test_a_login_link_works_once_and_not_for_ever(tenancy: TenancyService, clock: ManualClock) -> None:
    first, second = await tenancy.bootstrap(), await tenancy.bootstrap()
    assert first is not None
    assert second is not None
    tried = await asyncio.gather(*(tenancy.redeem_login_link(first.secret) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(t, NewSession) for t in tried) == 1
    with pytest.raises(Unauthenticated, match="used already"):
        await tenancy.redeem_login_link(first.secret)
    clock.advance(LOGIN_LINK_TTL_S)
    with pytest.raises(Unauthenticated, match="expired"):
        await tenancy.redeem_login_link(second.secret)
    with pytest.raises(Unauthenticated, match="unknown"):
        await tenancy.redeem_login_link("guess")


async def test_a_session_is_its_persons_until_it_ends(
    tenancy: TenancyService, owner: NewSession, clock: ManualClock
) -> None:
    who = await tenancy.authenticate_session(owner.cookie)
    assert who == owner.principal
    assert (who.kind, who.may("people.manage")) == ("person", True)
    clock.advance(SESSION_TTL_S - 1)
    await tenancy.authenticate_session(owner.cookie)
    clock.advance(1)
    with pytest.raises(Unauthenticated):
        await tenancy.authenticate_session(owner.cookie)


async def test_logout_and_a_made_up_cookie(tenancy: TenancyService, owner: NewSession) -> None:
    await tenancy.logout(owner.cookie)
    for cookie in (owner.cookie, "", "made up"):
        with pytest.raises(Unauthenticated):
            await tenancy.authenticate_session(cookie)


async def test_passwords(tenancy: TenancyService, owner: NewSession) -> None:
    with pytest.raises(Invalid, match="12 characters"):
        await tenancy.set_password(owner.principal, "short")
    await tenancy.set_password(owner.principal, PASSWORD)
    session = await tenancy.login("OWNER@localhost", PASSWORD)
    assert session.principal.id == owner.principal.id
    with pytest.raises(Unauthenticated, match="present password"):
        await tenancy.set_password(session.principal, PASSWORD + "2", "wrong")
    await tenancy.set_password(session.principal, PASSWORD + "2", PASSWORD)
    with pytest.raises(Unauthenticated):
        await tenancy.authenticate_session(owner.cookie)  # a new password ends the other sessions
    await tenancy.authenticate_session(session.cookie)
    for email, password in (("owner@localhost", PASSWORD), ("nobody@localhost", PASSWORD), ("", "")):
        with pytest.raises(Unauthenticated, match="address or password is wrong"):
            await tenancy.login(email, password)


async def test_after_too_many_wrong_passwords_the_account_rests(
    tenancy: TenancyService, owner: NewSession, clock: ManualClock
) -> None:
    await tenancy.set_password(owner.principal, PASSWORD)
    for _ in range(LOGIN_FAILURES_MAX):
        with pytest.raises(Unauthenticated, match="wrong"):
            await tenancy.login("owner@localhost", "guess")
    with pytest.raises(Unauthenticated, match="try again in 301 s"):
        await tenancy.login("owner@localhost", PASSWORD)
    clock.advance(301)
    await tenancy.login("owner@localhost", PASSWORD)


async def test_guesses_that_come_all_at_once_are_no_more_than_others(
    tenancy: TenancyService, owner: NewSession
) -> None:
    await tenancy.set_password(owner.principal, PASSWORD)
    guesses = ["guess"] * (LOGIN_FAILURES_MAX + 3)
    tried = await asyncio.gather(*(tenancy.login("owner@localhost", g) for g in guesses), return_exceptions=True)
    told = [str(t) for t in tried]
    assert sum("address or password is wrong" in t for t in told) == LOGIN_FAILURES_MAX
    with pytest.raises(Unauthenticated, match="try again in"):
        await tenancy.login("owner@localhost", PASSWORD)  # the right one comes too late


async def test_whoever_gets_fewer_roles_keeps_no_token_that_may_more(
    tenancy: TenancyService, owner: NewSession
) -> None:
    kim = await member(tenancy, owner.principal, "kim@example.org", "operator")
    all_of_it = await tenancy.create_token(kim, "all of it")
    through = await tenancy.create_token(await tenancy.authenticate_token(all_of_it.secret), "through it")
    reads = await tenancy.create_token(kim, "reads", ["endpoint.read"])
    await tenancy.set_roles(owner.principal, kim.id, ["viewer"])
    for made in (all_of_it, through):
        assert tenancy.presser(made.secret) is None
        with pytest.raises(Unauthenticated, match="revoked"):
            await tenancy.authenticate_token(made.secret)
    await tenancy.authenticate_token(reads.secret)


async def test_what_a_revoked_token_has_made_goes_with_it_and_what_a_replaced_one_has_made_stays(
    tenancy: TenancyService, owner: NewSession
) -> None:
    stolen = await tenancy.create_token(owner.principal, "stolen")
    hidden = await tenancy.create_token(await tenancy.authenticate_token(stolen.secret), "hidden")
    deeper = await tenancy.create_token(await tenancy.authenticate_token(hidden.secret), "deeper")
    kept = await tenancy.create_token(owner.principal, "kept")
    gone = await tenancy.revoke_token(owner.principal, stolen.token.token_id)
    assert [t.name for t in gone] == ["hidden", "deeper"]
    for made in (stolen, hidden, deeper):
        assert tenancy.presser(made.secret) is None
        with pytest.raises(Unauthenticated, match="revoked"):
            await tenancy.authenticate_token(made.secret)
    newest = (await tenancy.audit_entries(owner.principal, None, 1))[0]
    assert json.loads(newest.after) == {"tokens_revoked": [t.token_id for t in gone]}
    assert await tenancy.revoke_token(owner.principal, stolen.token.token_id) == (), "twice is fine"
    through = await tenancy.create_token(await tenancy.authenticate_token(kept.secret), "through it")
    await tenancy.create_token(owner.principal, "kept", replace=True)
    heir = await tenancy.create_token(await tenancy.authenticate_token(through.secret), "heir")
    assert await tenancy.revoke_token(owner.principal, through.token.token_id, keep_made=True) == ()
    await tenancy.authenticate_token(heir.secret)


async def test_a_token_for_people_alone_makes_nobody_mightier_than_itself(
    tenancy: TenancyService, owner: NewSession
) -> None:
    made = await tenancy.create_token(owner.principal, "onboarding", [*ROLE_PERMISSIONS["viewer"], "people.manage"])
    program = await tenancy.authenticate_token(made.secret)
    for role in ("operator", "approver", "owner"):
        with pytest.raises(Forbidden, match="lacks the permission"):
            await tenancy.add_person(program, f"{role}@example.org", "", [role])
    with pytest.raises(Forbidden, match="lacks the permission"):
        await tenancy.login_link(program, owner.principal.id)
    viewer = (await tenancy.add_person(program, "v@example.org", "", ["viewer"])).person
    await tenancy.login_link(program, viewer.person_id)


async def test_a_new_link_takes_the_old_password_away(tenancy: TenancyService, owner: NewSession) -> None:
    await tenancy.set_password(owner.principal, PASSWORD)
    link = await tenancy.login_link(owner.principal, owner.principal.id)
    fresh = await tenancy.redeem_login_link(link.secret)
    with pytest.raises(Unauthenticated):
        await tenancy.authenticate_session(owner.cookie)
    with pytest.raises(Unauthenticated):
        await tenancy.login("owner@localhost", PASSWORD)
    await tenancy.set_password(fresh.principal, PASSWORD)


async def test_roles_bound_what_people_do_and_nobody_gives_what_he_lacks(
    tenancy: TenancyService, owner: NewSession
) -> None:
    viewer = await member(tenancy, owner.principal, "v@example.org", "viewer")
    operator = await member(tenancy, owner.principal, "o@example.org", "operator")
    for act in (tenancy.people, tenancy.tokens):
        with pytest.raises(Forbidden, match="it comes with"):
            await act(viewer)
    with pytest.raises(Forbidden, match=r"people\.manage"):
        await tenancy.create_token(operator, "too much", ["people.manage"])
    made = await tenancy.create_token(operator, "just right", ["endpoint.read", "rollout.brake"])
    assert made.token.permissions == ("endpoint.read", "rollout.brake")
    with pytest.raises(Invalid, match="no role"):
        await tenancy.set_roles(owner.principal, viewer.id, ["king"])
    with pytest.raises(Conflict, match="known already"):
        await tenancy.add_person(owner.principal, "V@example.org", "", ["viewer"])
    with pytest.raises(Invalid, match="no mail address"):
        await tenancy.add_person(owner.principal, "nobody", "", ["viewer"])


async def test_the_last_owner_stays(tenancy: TenancyService, owner: NewSession) -> None:
    me = owner.principal
    for act in (tenancy.set_roles(me, me.id, ["viewer"]), tenancy.disable_person(me, me.id)):
        with pytest.raises(Conflict, match="last owner"):
            await act
    other = await member(tenancy, me, "second@example.org", "owner")
    results = await asyncio.gather(
        tenancy.disable_person(me, other.id), tenancy.disable_person(other, me.id), return_exceptions=True
    )
    assert sum(isinstance(r, Conflict) for r in results) == 1  # never both


async def test_who_is_disabled_is_out_at_once_with_sessions_and_tokens(
    tenancy: TenancyService, owner: NewSession
) -> None:
    link = await tenancy.add_person(owner.principal, "o@example.org", "", ["operator"])
    session = await tenancy.redeem_login_link(link.secret)
    parent = await tenancy.create_token(session.principal, "ci")
    child = await tenancy.create_token(await tenancy.authenticate_token(parent.secret), "made by ci")
    late = await tenancy.login_link(owner.principal, session.principal.id)
    await tenancy.disable_person(owner.principal, session.principal.id)
    with pytest.raises(Unauthenticated):
        await tenancy.authenticate_session(session.cookie)
    for token in (parent, child):
        with pytest.raises(Unauthenticated, match="revoked"):
            await tenancy.authenticate_token(token.secret)
    with pytest.raises(Unauthenticated, match="disabled"):
        await tenancy.redeem_login_link(late.secret)


async def test_tokens(tenancy: TenancyService, owner: NewSession, clock: ManualClock) -> None:
    made = await tenancy.create_token(owner.principal, "ci", ["endpoint.read"], 3600)
    assert made.secret.startswith("blt_")
    assert made.token.shown.removesuffix("…") == made.secret[:10]
    who = await tenancy.authenticate_token(made.secret)
    assert (who.kind, who.permissions, who.tenant_id) == ("token", {"endpoint.read"}, owner.principal.tenant_id)
    with pytest.raises(Unauthenticated, match="unknown"):
        await tenancy.authenticate_token(made.secret[:-1])
    clock.advance(3600)
    with pytest.raises(Unauthenticated, match="expired"):
        await tenancy.authenticate_token(made.secret)
    for ttl_s in (0, 10**9):
        with pytest.raises(Invalid):
            await tenancy.create_token(owner.principal, "ci", ttl_s=ttl_s)
    with pytest.raises(NotFound):
        await tenancy.revoke_token(owner.principal, "to_none")


async def test_a_replaced_token_stops_working(tenancy: TenancyService, owner: NewSession) -> None:
    old = await tenancy.create_token(owner.principal, "command line", replace=True)
    await tenancy.create_token(owner.principal, "command line", replace=True)
    with pytest.raises(Unauthenticated, match="revoked"):
        await tenancy.authenticate_token(old.secret)


async def test_no_secret_is_in_the_database(
    tenancy: TenancyService, owner: NewSession, test_database: TestDatabase
) -> None:
    link = await tenancy.login_link(owner.principal, owner.principal.id)
    token = await tenancy.create_token(owner.principal, "ci")
    await tenancy.set_password(owner.principal, PASSWORD)
    conn = await asyncpg.connect(test_database.dsn_super)
    everything = ""
    for table in ("credential", "session", "login_link", "api_token", "audit_entry", "person"):
        everything += str(await conn.fetch(f"SELECT t::text FROM brakeline.{table} t"))
    await conn.close()
    assert "argon2id" in everything
    for secret in (PASSWORD, owner.cookie, link.secret, token.secret, token.secret.removeprefix("blt_")):
        assert secret not in everything


async def test_every_act_of_consequence_is_in_the_log(tenancy: TenancyService, owner: NewSession) -> None:
    person = await member(tenancy, owner.principal, "o@example.org", "operator")
    await tenancy.set_roles(owner.principal, person.id, ["viewer"])
    assert isinstance(await tenancy.set_roles(owner.principal, person.id, ["operator"]), Request)
    token = await tenancy.create_token(owner.principal, "ci")
    await tenancy.revoke_token(owner.principal, token.token.token_id)
    await tenancy.disable_person(owner.principal, person.id)
    entries = await tenancy.audit_entries(owner.principal, None, 50)
    assert [e.action for e in reversed(entries)] == [
        "person.add", "session.begin-by-link", "person.add", "session.begin-by-link", "person.set-roles",
        "approval.ask", "token.create", "token.revoke", "person.disable",
    ]  # fmt: skip
    assert (await tenancy.audit_verify(owner.principal)).intact
