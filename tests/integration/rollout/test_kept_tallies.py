"""The executor's kept numbers on a real database: step after step they are what counting anew gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support_rollout import OWNER, SmallFleet, quick_policy

from brakeline.core.clock import ManualClock
from brakeline.platform.database import Database
from brakeline.rollout.situation import load
from brakeline.rollout.store import rollouts
from brakeline.rollout.summary import summarise
from brakeline.rollout.tallies import Tallies


@pytest.mark.parametrize("fate", ["good", "postinst"])
async def test_step_after_step_they_are_those_of_what_is_stored(
    database: Database, clock: ManualClock, tmp_path: Path, fate: str
) -> None:
    fleet, kept = SmallFleet(database, clock, tmp_path), Tallies()
    await fleet.enrol(8)
    fleet.twins[0].fate = fate
    rollout_id = await fleet.create(quick_policy(1, 3))
    counted = 0
    for _ in range(30):
        await fleet.round()
        presence, now_ms = await fleet.fleet.presence(OWNER.tenant_id, None), clock.now_ms()
        async with database.tenant(OWNER.tenant_id) as conn:
            row = await rollouts.lock(conn, rollout_id, change=False)
            assert row is not None
            anew, again = [
                (await load(conn, row, presence, frozenset(), None, now_ms, count)).summary
                for count in (summarise, kept.count)
            ]
        assert (again.parts, again.controls, again.ended, again.names) == (
            anew.parts, anew.controls, anew.ended, anew.names)  # fmt: skip
        assert again.table.keys() == anew.table.keys()
        assert again.treated_by_region() == anew.treated_by_region()
        counted = max(counted, again.treated)
    assert counted == (8 if fate == "good" else counted) > 0
    assert len(kept) == 1, "one rollout, kept from step to step"
