"""Acts of two people over a real database: asked for, agreed to, attacked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest
from tests.support_people import PASSWORD, House, new_house

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.tenancy.approvals import Agreed
from brakeline.tenancy.faults import FreshSession, Overtaken, TwoPeople
from brakeline.tenancy.model import Person, Principal
from brakeline.tenancy.two_people import DAY_MS, FRESH_MS, HOUR_MS, OPEN_MS, Act, Request, Way


class PowerCut(BaseException):
    """Nothing catches it."""


@dataclass
class Scribe:
    """Performs an act by writing it down; its situation can be moved on."""

    now: str = "generation 7"
    fails: str = ""
    cut: bool = False
    done: list[tuple[str, int, str]] = field(default_factory=list)

    async def situation(self, tenant_id: str, request: Request) -> str:
        return self.now

    async def perform(self, agreed: Agreed, request: Request) -> None:
        if self.cut:
            raise PowerCut
        if self.fails:
            raise Conflict(self.fails)
        self.done.append((agreed.names, agreed.persons, request.object_id))


@dataclass
class World:
    house: House
    scribe: Scribe
    olga: Principal
    people: dict[str, Principal] = field(default_factory=dict)

    async def ask(self, who: Principal | None = None, object_id: str = "ro_1", reason: str = "false alarm") -> Request:
        return await self.house.tenancy.approvals.ask(
            who or self.olga, Act.RESUME, object_id, {"reason": reason}, [f"Resume {object_id}: {reason}"],
            self.scribe.now,
        )  # fmt: skip

    async def approve(self, who: Principal, request: Request, digest: str = "", password: str = "") -> Request:
        session = await self.house.log_in(who)
        return await self.house.tenancy.approvals.approve(
            session, request.approval_id, digest or request.digest, password
        )


@pytest.fixture
async def world(database: Database, clock: ManualClock, ids: IdMaker) -> World:
    """Olga alone, in her first week."""
    house, olga = await new_house(database, clock, ids)
    made = World(house, Scribe(), olga)
    house.tenancy.approvals.register(Act.RESUME, made.scribe)
    return made


@pytest.fixture
async def two(world: World) -> World:
    """Olga and Sven, who have nothing to do with each other's accounts any more."""
    world.people["sven"] = await world.house.add("Sven", "approver", by=world.olga)
    world.house.later()
    return world


async def refused(act: object, reason: str) -> None:
    with pytest.raises((TwoPeople, FreshSession, Overtaken)) as caught:
        await act  # type: ignore[misc]
    assert caught.value.context["reason"] == reason


async def test_a_second_person_agrees_and_it_is_done_once(two: World) -> None:
    asked = await two.ask()
    assert (asked.way, asked.not_before_ms, asked.expires_ms) == (Way.TWO, 0, two.house.clock.now_ms() + OPEN_MS)
    assert [r.approval_id for r in await two.house.tenancy.approvals.list(two.olga)] == [asked.approval_id]
    done = await two.approve(two.people["sven"], asked)
    assert (done.state, done.decided_by) == ("done", "Sven")
    assert two.scribe.done == [("Owner and Sven", 2, "ro_1")]
    await refused(two.approve(two.people["sven"], asked), "over")
    assert len(two.scribe.done) == 1
    assert await two.house.tenancy.approvals.list(two.olga) == ()
    assert [r.state for r in await two.house.tenancy.approvals.list(two.olga, every=True)] == ["done"]
    log = [e.action for e in await two.house.tenancy.audit_entries(two.olga, None, 5)]
    assert {"approval.ask", "approval.approve"} <= set(log)


async def test_asking_twice_is_asking_once_and_asking_otherwise_overtakes(two: World) -> None:
    first, again = await asyncio.gather(two.ask(), two.ask())
    assert first.approval_id == again.approval_id
    other = await two.ask(reason="another reason")
    assert other.approval_id != first.approval_id
    await refused(two.approve(two.people["sven"], first), "over")
    assert (await two.approve(two.people["sven"], other)).state == "done"


async def test_a_second_account_made_by_the_first_is_not_the_second_person(two: World) -> None:
    puppet = await two.house.add("Puppet", "approver", by=two.olga)
    asked = await two.ask()
    await refused(two.approve(puppet, asked), "related")
    by_puppet = await two.ask(await two.house.add("Other", "operator", by=two.olga), "ro_2")
    await refused(two.approve(two.olga, by_puppet), "related")
    await refused(two.approve(puppet, by_puppet), "related")
    assert two.scribe.done == []


async def test_a_second_account_made_by_a_token_of_the_first_is_not_either(two: World) -> None:
    secret = (await two.house.tenancy.create_token(two.olga, "ci")).secret
    token = await two.house.tenancy.authenticate_token(secret)
    puppet = await two.house.add("Puppet", "approver", by=token)
    await refused(two.approve(puppet, await two.ask()), "related")
    await refused(two.approve(two.olga, await two.ask(token, "ro_2")), "same")


async def test_the_first_resets_the_seconds_password_and_agrees_as_the_second(two: World) -> None:
    link = await two.house.tenancy.login_link(two.olga, two.people["sven"].id)
    sven = await two.house.enter_by(link.secret, "sven@example.org")
    asked = await two.ask()
    assert asked.way is Way.BEREFT
    await refused(two.approve(sven, asked), "wait")
    two.house.later(HOUR_MS)
    await refused(two.approve(sven, asked), "wait")
    two.house.later(DAY_MS)
    assert (await two.approve(sven, asked)).state == "done"
    assert two.scribe.done == [("Sven", 1, "ro_1")]
    entries = await two.house.tenancy.audit_entries(two.olga, None, 5)
    assert "approval.single-person" in [e.action for e in entries]


async def test_a_reset_between_asking_and_agreeing_helps_nobody(two: World) -> None:
    asked = await two.ask()
    link = await two.house.tenancy.login_link(two.olga, two.people["sven"].id)
    await refused(two.approve(await two.house.enter_by(link.secret, "sven@example.org"), asked), "related")


async def test_a_link_made_by_the_machines_own_token_counts_as_made_by_the_first(two: World) -> None:
    machine = replace(two.olga, id="to_machine", kind="token", name="command line of this machine", session_id="")
    link = await two.house.tenancy.login_link(machine, two.people["sven"].id)
    sven = await two.house.enter_by(link.secret, "sven@example.org")
    await refused(two.approve(sven, await two.ask()), "wait")
    await refused(two.approve(two.olga, await two.ask(sven, "ro_2")), "wait")


async def test_disabling_or_lowering_the_second_makes_it_a_day_and_not_an_hour(two: World) -> None:
    await two.house.tenancy.set_roles(two.olga, two.people["sven"].id, ["viewer"])
    asked = await two.ask()
    assert asked.way is Way.BEREFT
    two.house.later(2 * HOUR_MS)
    await refused(two.approve(two.olga, asked), "wait")


async def test_a_token_of_the_second_is_refused(two: World) -> None:
    secret = (await two.house.tenancy.create_token(two.olga, "of somebody", ["rollout.approve"])).secret
    token = await two.house.tenancy.authenticate_token(secret)
    asked = await two.ask()
    await refused(two.house.tenancy.approvals.approve(token, asked.approval_id, asked.digest), "token")


async def test_the_same_person_in_two_browsers(two: World) -> None:
    await refused(two.approve(two.olga, await two.ask()), "same")


async def test_an_old_session_needs_the_password_again(two: World) -> None:
    asked, session = await two.ask(), await two.house.log_in(two.people["sven"])
    two.house.later(FRESH_MS + 1000)
    approve = two.house.tenancy.approvals.approve
    await refused(approve(session, asked.approval_id, asked.digest), "stale")
    with pytest.raises(Unauthenticated):
        await approve(session, asked.approval_id, asked.digest, "a wrong password")
    assert (await approve(session, asked.approval_id, asked.digest, PASSWORD)).state == "done"


async def test_wrong_passwords_at_an_approval_rest_the_account_too(two: World) -> None:
    asked, session = await two.ask(), await two.house.log_in(two.people["sven"])
    for _ in range(10):
        with pytest.raises(Unauthenticated):
            await two.house.tenancy.approvals.approve(session, asked.approval_id, asked.digest, "guess")
    with pytest.raises(Unauthenticated, match="try again in"):
        await two.house.tenancy.approvals.approve(session, asked.approval_id, asked.digest, PASSWORD)


async def test_guesses_at_the_present_password_rest_the_account_too(two: World) -> None:
    session = await two.house.log_in(two.people["sven"])
    for _ in range(10):
        with pytest.raises(Unauthenticated, match="present password"):
            await two.house.tenancy.set_password(session, PASSWORD + "2", "guess")
    with pytest.raises(Unauthenticated, match="try again in"):
        await two.house.tenancy.set_password(session, PASSWORD + "2", PASSWORD)


async def test_a_cookie_without_a_password_cannot_give_itself_one_and_agree(two: World) -> None:
    kim = await two.house.add("Kim", "operator", by=two.olga)
    two.house.later()
    link = await two.house.tenancy.login_link(two.olga, two.people["sven"].id)
    stolen = await two.house.tenancy.redeem_login_link(link.secret)
    two.house.later(FRESH_MS + 1000)
    await two.house.tenancy.set_password(stolen.principal, PASSWORD)
    await refused(two.approve(stolen.principal, await two.ask(kim)), "wait")  # a day: nobody is above doubt


async def test_an_ended_session_agrees_to_nothing(two: World) -> None:
    asked, session = await two.ask(), await two.house.session(two.people["sven"])
    await two.house.tenancy.logout(session.cookie)
    await refused(two.house.tenancy.approvals.approve(session.principal, asked.approval_id, asked.digest), "token")


async def test_a_single_person_before_and_after_the_hour(world: World) -> None:
    asked = await world.ask()
    assert (asked.way, asked.not_before_ms) == (Way.ALONE, world.house.clock.now_ms() + HOUR_MS)
    await refused(world.approve(world.olga, asked), "wait")
    world.house.later(HOUR_MS - 60_000)
    await refused(world.approve(world.olga, asked), "wait")
    world.house.later(60_000)
    assert (await world.approve(world.olga, asked)).state == "done"
    assert world.scribe.done == [("Owner", 1, "ro_1")]
    single = (await world.house.tenancy.audit_entries(world.olga, None, 5))[0]
    assert (single.action, "single person" in single.after) == ("approval.single-person", True)


async def test_a_colleague_may_say_no_within_that_hour(world: World) -> None:
    sven = await world.house.add("Sven", "operator", by=world.olga)
    asked = await world.ask()
    rejected = await world.house.tenancy.approvals.reject(sven, asked.approval_id, "I do not think so")
    assert (rejected.state, rejected.note) == ("rejected", "I do not think so")
    world.house.later(2 * HOUR_MS)
    await refused(world.approve(world.olga, asked), "over")
    with pytest.raises(Invalid):
        await world.house.tenancy.approvals.reject(sven, asked.approval_id, " ")


async def test_an_approval_for_another_act_or_with_other_parameters_is_not_this_one(two: World) -> None:
    first, second = await two.ask(object_id="ro_1"), await two.ask(object_id="ro_2")
    await refused(two.approve(two.people["sven"], second, first.digest), "other")
    changed = replace(second, parameters={"reason": "never shown"})
    await refused(two.approve(two.people["sven"], second, changed.digest), "other")
    assert two.scribe.done == []


async def test_an_approval_after_things_have_moved_on_is_refused(two: World) -> None:
    asked = await two.ask()
    two.scribe.now = "generation 8"
    with pytest.raises(Overtaken, match="Resume ro_1"):
        await two.approve(two.people["sven"], asked)
    await refused(two.approve(two.people["sven"], asked), "over")
    assert two.scribe.done == []
    again = await two.ask()
    assert (await two.approve(two.people["sven"], again)).state == "done"


async def test_a_crash_between_the_approval_and_the_act_leaves_something_to_repeat(two: World) -> None:
    asked, two.scribe.cut = await two.ask(), True
    with pytest.raises(PowerCut):
        await two.approve(two.people["sven"], asked)
    two.scribe.cut = False
    assert (await two.house.tenancy.approvals.get(two.olga, asked.approval_id)).state == "approved"
    await refused(two.approve(two.olga, asked), "over")
    assert (await two.approve(two.people["sven"], asked)).state == "done"
    assert two.scribe.done == [("Owner and Sven", 2, "ro_1")]


async def test_an_act_that_cannot_be_done_says_so(two: World) -> None:
    asked, two.scribe.fails = await two.ask(), "the database of ro_1 is on fire"
    with pytest.raises(Conflict, match="on fire"):
        await two.approve(two.people["sven"], asked)
    failed = await two.house.tenancy.approvals.get(two.olga, asked.approval_id)
    assert failed.state == "failed"
    assert "on fire" in failed.note


async def test_what_the_machines_own_token_asks_for_takes_two_people_all_the_same(two: World) -> None:
    machine = replace(two.olga, id="to_machine", kind="token", name="command line of this machine", session_id="")
    asked = await two.ask(machine)
    taken = await two.approve(two.olga, asked)
    assert (taken.state, taken.first) == ("open", two.olga.id)
    await refused(two.approve(two.olga, asked), "same")
    assert (await two.approve(two.people["sven"], asked)).state == "done"
    assert two.scribe.done == [("Owner and Sven", 2, "ro_1")]


async def test_who_may_see_and_who_is_somebody_else_s(two: World) -> None:
    asked = await two.ask()
    viewer = replace(two.olga, permissions=frozenset({"rollout.read"}))
    with pytest.raises(Forbidden):
        await two.house.tenancy.approvals.list(viewer)
    stranger = replace(two.olga, tenant_id="te_other")
    with pytest.raises(NotFound):
        await two.house.tenancy.approvals.get(stranger, asked.approval_id)
    with pytest.raises(NotFound):
        await two.house.tenancy.approvals.reject(stranger, asked.approval_id, "no")


async def test_more_roles_take_two_people_and_fewer_take_one(two: World) -> None:
    anna = await two.house.add("Anna", "viewer", by=two.olga)
    owner = await two.house.add("Otto", "owner", by=two.olga)
    two.house.later()
    tenancy = two.house.tenancy
    asked = await tenancy.set_roles(two.olga, anna.id, ["approver"])
    assert isinstance(asked, Request)
    assert any("Anna (anna@example.org) the roles approver instead of viewer" in line for line in asked.says)
    assert "rollout.approve" in asked.says[1]
    await refused(two.approve(two.people["sven"], asked), "permission")  # an approver does not manage people
    assert await two.house.approve(owner, asked.approval_id) == "done"
    assert (await two.house.log_in(anna)).may("rollout.approve")
    raised = await two.ask(object_id="ro_9")
    await refused(two.approve(anna, raised), "related")  # whom Olga has raised this week is not her second
    assert isinstance(await tenancy.set_roles(two.olga, anna.id, ["viewer"]), Person)
    assert not (await two.house.log_in(anna)).may("rollout.approve")


async def test_roles_that_were_changed_meanwhile_are_asked_for_anew(two: World) -> None:
    anna = await two.house.add("Anna", "viewer", by=two.olga)
    owner = await two.house.add("Otto", "owner", by=two.olga)
    two.house.later()
    asked = await two.house.tenancy.set_roles(two.olga, anna.id, ["operator"])
    assert isinstance(asked, Request)
    await two.house.tenancy.disable_person(owner, anna.id)
    with pytest.raises(Overtaken):
        await two.house.approve(owner, asked.approval_id)
