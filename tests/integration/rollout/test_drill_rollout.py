"""A drill on real endpoints as a rollout: it brakes on failures that were ordered, and touches nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.integration.rollout.test_limits import CURL, at_once, made, over
from tests.support_rollout import OWNER, PIN, SmallFleet

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Conflict, Invalid
from brakeline.platform.database import Database
from brakeline.protocol.messages import DRILL_FAILURE, DRILL_PACKAGE
from brakeline.rollout import drilling
from brakeline.rollout.model import DRILL, Change, Pin, Policy
from brakeline.rollout.store import rollouts
from brakeline.rollout.undoing import _refuse
from brakeline.tenancy.approvals import Agreed


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> SmallFleet:
    found = SmallFleet(database, clock, tmp_path)
    await found.enrol(12)
    return found


def policy(fleet: SmallFleet) -> Policy:
    return drilling.policy_of(len(fleet.twins))


async def begun(fleet: SmallFleet, fails: int) -> str:
    """A drill over everybody."""
    ids = [t.identity.endpoint_id for t in fleet.twins]
    await fleet.hear()
    rollout = await fleet.service.create(OWNER, "drill", drilling.change_of("dr_01A", fails), policy(fleet), ids)
    await fleet.service.start_agreed(Agreed(OWNER, "Olga (drill)", 1, ""), rollout, "")
    return rollout


async def test_an_ordered_failure_brakes_it_and_quarantines_spends_and_changes_nothing(fleet: SmallFleet) -> None:
    before = (await fleet.service.limits.budgets(OWNER))[0]
    rollout = await begun(fleet, 12)
    told = fleet.service.told[rollout] = {}
    await fleet.rounds(6)
    view = await fleet.service.show(OWNER, rollout)
    assert view.state == "halted", view.lines
    assert 1 <= view.exposed <= 2
    assert fleet.updated() == fleet.offered() == []
    assert await fleet.service.quarantined(OWNER) == ()
    assert (await fleet.service.limits.budgets(OWNER))[0] == before
    await fleet.rounds(1)
    assert set(told) == {t.identity.endpoint_id for t in fleet.twins}, "everybody was told, and when"
    orders = [o for t in fleet.twins for o in t.told]
    assert all(o.drill is not None and o.drill.fails for o in orders)
    assert [o.updates[0].name for o in orders] == [DRILL_PACKAGE] * len(orders)


@pytest.mark.long
async def test_nobody_told_to_fail_completes(fleet: SmallFleet) -> None:
    rollout = await begun(fleet, 0)
    await fleet.rounds(90)
    view = await fleet.service.show(OWNER, rollout)
    assert view.state == "completed", view.lines
    assert view.failed == 0
    assert fleet.updated() == []


async def test_real_changes_go_on_beside_a_drill_and_keep_their_budget(fleet: SmallFleet) -> None:
    drill = await begun(fleet, 0)
    await fleet.rounds(4)
    assert any(t.told for t in fleet.twins)
    real = await over(fleet, fleet.twins, CURL, at_once())
    await fleet.rounds(3)
    shown = await fleet.service.show(OWNER, real)
    assert shown.exposed == 12, shown.lines
    (fleets,) = [b for b in await fleet.service.limits.budgets(OWNER) if not b.group]
    assert fleets.scopes[0].used == await made(fleet, real) == 12
    assert (await fleet.service.show(OWNER, drill)).failed == 0


async def test_an_agent_that_knows_no_drills_is_never_asked_and_the_line_says_why(fleet: SmallFleet) -> None:
    fleet.twins[0].drills = False
    rollout = await begun(fleet, 0)
    await fleet.rounds(5)
    assert fleet.twins[0].told == []
    view = await fleet.service.show(OWNER, rollout)
    (mine,) = [m for m in view.members if m.hostname == "host-0"]
    assert "knows no drills" in mine.note


@pytest.mark.parametrize(
    "change",
    [
        Change((PIN,), kind=DRILL), Change((PIN, Pin(DRILL_PACKAGE, "1")), kind=DRILL),
        Change((Pin(DRILL_PACKAGE, "1"),)), Change((Pin(DRILL_PACKAGE, "1"),), kind=DRILL, undoes="ro_x"),
    ],
)  # fmt: skip
async def test_nothing_real_goes_by_the_name_of_a_drill(fleet: SmallFleet, change: Change) -> None:
    with pytest.raises(Invalid, match="a drill and nothing else"):
        await fleet.service.create(OWNER, "x", change, policy(fleet), [fleet.twins[0].identity.endpoint_id])


async def test_there_is_nothing_to_take_back(fleet: SmallFleet) -> None:
    rollout = await begun(fleet, 12)
    await fleet.rounds(6)
    async with fleet.db.tenant(OWNER.tenant_id) as conn:
        row = await rollouts.get(conn, rollout)
    assert row is not None
    with pytest.raises((Invalid, Conflict), match="changed nothing"):
        _refuse(row)
    assert DRILL_FAILURE in str([m.note for m in (await fleet.service.show(OWNER, rollout)).members])
