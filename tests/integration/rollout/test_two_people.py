"""What takes two people about rollouts, with real people on a real database: resume, fast lane, unfreeze."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support_people import House
from tests.support_rollout import CHANGE, OWNER, SmallFleet, quick_policy

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Conflict, Forbidden, Invalid
from brakeline.platform.database import Database
from brakeline.rollout.frozen import Frozen
from brakeline.rollout.model import Change, Pin
from brakeline.rollout.presets import policy_for
from brakeline.tenancy.faults import Overtaken, TwoPeople
from brakeline.tenancy.model import Principal
from brakeline.tenancy.two_people import DAY_MS, HOUR_MS, Act, Request, Way

TENANT = OWNER.tenant_id


@dataclass
class World:
    fleet: SmallFleet
    house: House
    olga: Principal
    anna: Principal  # an approver whom Olga made long ago

    async def halted(self) -> str:
        """A careful rollout on which somebody has pressed the brake."""
        rollout_id = await self.fleet.service.create(
            self.olga, "libssl3", CHANGE, policy_for(6), [t.identity.endpoint_id for t in self.fleet.twins]
        )
        assert await self.fleet.service.start(self.olga, rollout_id) is None, "careful: one person"
        await self.fleet.service.brake(self.olga, rollout_id)
        return rollout_id

    async def state(self, rollout_id: str) -> str:
        return (await self.fleet.service.show(self.olga, rollout_id)).state


@pytest.fixture
async def world(database: Database, clock: ManualClock, tmp_path: Path) -> World:
    """Six endpoints, Olga the owner, Anna the approver, a month after the first start."""
    fleet = SmallFleet(database, clock, tmp_path)
    await fleet.enrol(6)
    house = House(fleet.tenancy, clock)
    link = await fleet.tenancy.bootstrap()
    assert link is not None
    assert link.tenant_id == TENANT
    olga = await house.enter_by(link.secret, link.person.email)
    anna = await house.add("Anna", "approver", by=olga)
    house.later(30 * DAY_MS)
    await fleet.hear()
    return World(fleet, house, olga, anna)


async def test_a_resume_after_a_halt_waits_for_a_second_person(world: World) -> None:
    rollout = await world.halted()
    with pytest.raises(Invalid):
        await world.fleet.service.resume(world.olga, rollout, " ")
    asked = await world.fleet.service.resume(world.olga, rollout, "false alarm, checked by hand")
    assert asked is not None
    assert (asked.act, asked.way) == (Act.RESUME, Way.TWO)
    assert f"Resume rollout libssl3 ({rollout}), halted: brake pressed by Owner." in asked.says
    assert any("libssl3 3.0.17-1~deb12u2 leaves quarantine" in line for line in asked.says)
    assert await world.state(rollout) == "halted"
    assert await world.fleet.service.quarantined(world.olga) != ()
    lines = await world.fleet.service.explain(world.olga, rollout)
    assert lines[1].gate == "second person"
    assert f"request {asked.approval_id}" in lines[1].text
    assert "Anna" in lines[1].data["waits_for"]
    assert "Owner" not in lines[1].data["waits_for"]
    assert await world.house.approve(world.anna, asked.approval_id) == "done"
    assert await world.state(rollout) == "rolling"
    assert await world.fleet.service.quarantined(world.olga) == ()
    assert "second person" not in [x.gate for x in await world.fleet.service.explain(world.olga, rollout)]
    log = (await world.fleet.service.show(world.olga, rollout)).log
    assert [x.who for x in log if x.kind == "resume"] == ["Owner and Anna"]
    entry = next(
        e for e in await world.fleet.tenancy.audit_entries(world.olga, None, 20) if e.action == "rollout.resume"
    )
    assert '"persons":2' in entry.after
    assert asked.approval_id in entry.after


async def test_an_approval_after_the_rollout_has_moved_on_is_refused(world: World) -> None:
    rollout = await world.halted()
    asked = await world.fleet.service.resume(world.olga, rollout, "false alarm")
    assert asked is not None
    await world.fleet.service.withdraw(world.olga, rollout, "superseded")
    with pytest.raises(Overtaken):
        await world.house.approve(world.anna, asked.approval_id)
    assert await world.state(rollout) == "withdrawn"


async def test_a_halt_that_came_after_the_resume_was_agreed_to_is_another_one(world: World) -> None:
    rollout = await world.halted()
    first = await world.fleet.service.resume(world.olga, rollout, "false alarm")
    assert first is not None
    assert await world.house.approve(world.anna, first.approval_id) == "done"
    await world.fleet.service.brake(world.anna, rollout)
    with pytest.raises(TwoPeople):
        await world.house.approve(world.anna, first.approval_id)
    second = await world.fleet.service.resume(world.olga, rollout, "false alarm")
    assert second is not None
    assert second.approval_id != first.approval_id
    assert await world.state(rollout) == "halted"


async def test_going_on_after_a_pause_takes_one_person(world: World) -> None:
    rollout = await world.fleet.service.create(
        world.olga, "libssl3", CHANGE, policy_for(6), [t.identity.endpoint_id for t in world.fleet.twins]
    )
    await world.fleet.service.start(world.olga, rollout)
    await world.fleet.service.pause(world.olga, rollout, "lunch")
    assert await world.fleet.service.resume(world.olga, rollout, "back") is None
    assert await world.state(rollout) == "rolling"


async def test_the_fast_lane_waits_for_a_second_person_whoever_names_it_what(world: World) -> None:
    ids = [t.identity.endpoint_id for t in world.fleet.twins]
    paces = [policy_for(6, pace) for pace in ("fast", "emergency", "rehearsal")]
    for i, policy in enumerate((*paces, quick_policy(6))):
        change = Change((Pin(f"package-{i}", "2"),))
        rollout = await world.fleet.service.create(world.olga, "quick", change, policy, ids)
        told = next(x.text for x in await world.fleet.service.explain(world.olga, rollout) if x.gate == "second person")
        assert told.startswith("to start it takes a second person: ring ")
        asked = await world.fleet.service.start(world.olga, rollout)
        assert asked is not None
        assert asked.act is Act.FAST_LANE
        assert "on 6 endpoints, faster than the careful pace: ring" in asked.says[0]
        assert await world.state(rollout) == "draft"
        await world.fleet.rounds(1)
        assert world.fleet.offered() == []
        assert await world.house.approve(world.anna, asked.approval_id) == "done"
        assert await world.state(rollout) == "rolling"
        await world.fleet.service.withdraw(world.olga, rollout, "seen")


async def test_an_operator_asks_and_an_operator_alone_never_agrees(world: World) -> None:
    otto = await world.house.add("Otto", "operator", by=world.olga)
    world.house.later()
    await world.fleet.hear()
    rollout = await world.halted()
    asked = await world.fleet.service.resume(otto, rollout, "false alarm")
    assert asked is not None
    with pytest.raises(TwoPeople, match=r"rollout\.approve"):
        await world.house.approve(otto, asked.approval_id)
    assert await world.house.approve(world.olga, asked.approval_id) == "done"


async def test_a_single_owner_waits_an_hour(world: World) -> None:
    rollout = await world.halted()
    await world.fleet.tenancy.disable_person(world.olga, world.anna.id)
    world.house.later(8 * DAY_MS)  # the colleague left long ago
    asked = await world.fleet.service.resume(world.olga, rollout, "false alarm")
    assert asked is not None
    assert asked.way is Way.ALONE
    with pytest.raises(TwoPeople, match="60 min more"):
        await world.house.approve(world.olga, asked.approval_id)
    world.house.later(HOUR_MS)
    assert await world.house.approve(world.olga, asked.approval_id) == "done"
    assert await world.state(rollout) in ("rolling", "holding")


async def test_lifting_a_freeze_takes_a_reason_and_a_second_person(world: World) -> None:
    rollout = await world.fleet.service.create(
        world.olga, "libssl3", CHANGE, policy_for(6), [t.identity.endpoint_id for t in world.fleet.twins]
    )
    await world.fleet.service.start(world.olga, rollout)
    with pytest.raises(Conflict, match="nothing is frozen"):
        await world.fleet.freezing.unfreeze(world.olga, "why not")
    await world.fleet.freezing.freeze(world.anna, "mail is down")
    with pytest.raises(Invalid):
        await world.fleet.freezing.unfreeze(world.olga, "  ")
    with pytest.raises(Forbidden):
        await world.fleet.freezing.unfreeze(world.anna, "an approver asks for nothing")
    asked = await world.fleet.freezing.unfreeze(world.olga, "it was the mirror")
    assert asked is not None
    assert asked.says[0].startswith("Lift the freeze: everything is frozen by Anna since")
    assert asked.says[1] == "1 rollouts go on where they stood, on 6 endpoints: libssl3."
    assert (await world.fleet.freezing.waiting(world.olga)) == asked
    assert world.fleet.frozen.frozen
    assert await world.house.approve(world.anna, asked.approval_id) == "done", "whoever pressed may agree to lift it"
    assert not world.fleet.frozen.frozen
    await world.fleet.rounds(1)
    assert await world.state(rollout) == "rolling"
    world.fleet.new_service()
    assert not world.fleet.frozen.frozen


async def test_one_more_press_undoes_an_agreement_that_was_on_its_way(world: World) -> None:
    await world.fleet.freezing.freeze(world.olga, "mail is down")
    asked = await world.fleet.freezing.unfreeze(world.olga, "it was the mirror")
    assert asked is not None
    await world.fleet.freezing.freeze(world.anna, "it is still down here")
    with pytest.raises(Overtaken):
        await world.house.approve(world.anna, asked.approval_id)
    assert world.fleet.frozen.frozen


async def test_an_agreement_to_lift_one_freeze_lifts_no_later_one(world: World) -> None:
    await world.fleet.freezing.freeze(world.olga)
    first = await world.fleet.freezing.unfreeze(world.olga, "over")
    assert first is not None
    assert await world.house.approve(world.anna, first.approval_id) == "done"
    await world.fleet.freezing.freeze(world.olga)
    with pytest.raises(TwoPeople):
        await world.house.approve(world.anna, first.approval_id)
    assert world.fleet.frozen.frozen


async def test_what_was_asked_for_before_a_freeze_starts_nothing_in_it(world: World) -> None:
    rollout = await world.halted()
    asked = await world.fleet.service.resume(world.olga, rollout, "false alarm")
    assert asked is not None
    await world.fleet.freezing.freeze(world.olga)
    with pytest.raises(Frozen):
        await world.house.approve(world.anna, asked.approval_id)
    assert await world.state(rollout) == "halted"


async def test_a_higher_budget_waits_for_a_second_person_and_a_lower_one_for_nobody(world: World) -> None:
    limits = world.fleet.service.limits
    lower = await limits.set_budget(world.olga, endpoints=2)
    assert not isinstance(lower, Request)
    with pytest.raises(Invalid, match="say why"):
        await limits.set_budget(world.olga, endpoints=4)
    asked = await limits.set_budget(world.olga, endpoints=4, reason="a bigger site")
    assert isinstance(asked, Request)
    assert asked.says == ("Raise the budget of the fleet an hour from 2 to 4.", "Reason: a bigger site")
    assert [b.limit for b in await limits.budgets(world.olga)] == ["2"]
    assert await world.house.approve(world.anna, asked.approval_id) == "done"
    (raised,) = await limits.budgets(world.olga)
    assert (raised.limit, raised.set_by) == ("4", "Owner and Anna")
    removed = await limits.remove_budget(world.olga, reason="as everybody")
    assert removed is not None
    assert await limits.set_budget(world.olga, endpoints=3)  # lower meanwhile: what was seen is not so any more
    with pytest.raises(Overtaken):
        await world.house.approve(world.anna, removed.approval_id)
    assert [b.limit for b in await limits.budgets(world.olga)] == ["3"]


async def test_a_freeze_window_that_is_in_force_is_ended_by_two_people(world: World) -> None:
    limits = world.fleet.service.limits
    await limits.add_window(world.olga, name="end of the year", begins="", ends="2027-01-04T08:00")
    with pytest.raises(Invalid, match="say why"):
        await limits.remove_window(world.olga, "end of the year")
    asked = await limits.remove_window(world.olga, "end of the year", reason="an exploited hole")
    assert isinstance(asked, Request)
    assert asked.says[0].startswith("End the freeze window end of the year (")
    assert [w.state for w in await limits.freeze_windows(world.olga)] == ["frozen"]
    assert await world.house.approve(world.anna, asked.approval_id) == "done"
    assert await limits.freeze_windows(world.olga) == ()


async def test_in_its_first_week_an_organisation_tries_out_twenty_endpoints_in_all(
    database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    fleet = SmallFleet(database, clock, tmp_path)
    await fleet.enrol(22)
    ids = [t.identity.endpoint_id for t in fleet.twins]
    started = []
    for i, chosen in enumerate((ids[:12], ids[6:18], ids[12:22])):
        change = Change((Pin(f"package-{i}", "2"),))
        rollout = await fleet.service.create(OWNER, "try", change, quick_policy(1), chosen)
        started.append(await fleet.service.start(OWNER, rollout))
    assert started[:2] == [None, None]
    assert started[2] is not None, "22 endpoints in all are no rehearsal any more"
    assert await fleet.freezing.freeze(OWNER)
    assert await fleet.freezing.unfreeze(OWNER, "tried it") is not None, "nor are 22 in the fleet"
