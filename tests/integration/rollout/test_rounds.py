"""A round over several rollouts and organisations: one that fails keeps no other from its step."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support_rollout import OWNER, SmallFleet, quick_policy

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Bug, Unavailable
from brakeline.platform.database import Connection, Database
from brakeline.rollout.pooled import Pooled
from brakeline.rollout.situation import Situation


class OneFails:
    """Of the executor: one rollout cannot be judged. All others are judged alone."""

    def __init__(self, failing: str) -> None:
        self.failing = failing

    async def judged_by(self, _conn: Connection, situation: Situation, _now_ms: int) -> Pooled:
        if situation.row.rollout_id == self.failing:
            raise Unavailable("the pool does not answer")
        return Pooled(situation.summary, situation.summary)


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> SmallFleet:
    made = SmallFleet(database, clock, tmp_path)
    await made.enrol(4)
    return made


async def generation(fleet: SmallFleet, rollout_id: str) -> int:
    async with fleet.db.tenant(OWNER.tenant_id) as conn:
        sql = "SELECT max(generation) FROM brakeline.rollout_blueprint WHERE rollout_id = $1"
        found: int = await conn.fetchval(sql, rollout_id)
        return found


def press(fleet: SmallFleet, *rollout_ids: str) -> None:
    """The brake, as far as its journal: the next step is what halts them."""
    for rollout_id in rollout_ids:
        fleet.service.journal.press(OWNER.tenant_id, rollout_id, OWNER.name, fleet.clock.now_ms())


async def live(fleet: SmallFleet) -> set[str]:
    return {x.row.rollout_id for x in fleet.service.live.of(OWNER.tenant_id) or ()}


async def test_a_rollout_whose_step_fails_keeps_no_other_from_its_own(fleet: SmallFleet) -> None:
    first, second = await fleet.create(quick_policy(4)), await fleet.create(quick_policy(4))
    for failing, other in ((first, second), (second, first)):
        press(fleet, first, second)
        before = await generation(fleet, failing), await generation(fleet, other)
        fleet.service.executor.pools = OneFails(failing)
        await fleet.hear()
        with pytest.raises(Unavailable, match="the pool does not answer"):
            await fleet.service.reconcile()
        after = await generation(fleet, failing), await generation(fleet, other)
        assert (after[0] - before[0], after[1] - before[1]) == (0, 1)
        assert await live(fleet) == {first, second}, "what is live is read all the same"


async def test_an_organisation_whose_round_fails_keeps_no_other_from_its_own(fleet: SmallFleet) -> None:
    async with fleet.db.system() as conn:
        await conn.execute("SELECT brakeline.tenant_create('te 0', 'nothing can be read of it', now())")
    rollout = await fleet.create(quick_policy(4))
    press(fleet, rollout)
    before = await generation(fleet, rollout)
    await fleet.hear()
    with pytest.raises(Bug, match="not a tenant id"):
        await fleet.service.reconcile()
    assert await generation(fleet, rollout) == before + 1
    assert await live(fleet) == {rollout}
