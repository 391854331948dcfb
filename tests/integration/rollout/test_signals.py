"""Numbers and starts of endpoints become evidence in a real PostgreSQL, and a table that people can read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support_rollout import OWNER, SmallFleet, quick_policy

from brakeline.core.clock import ManualClock
from brakeline.platform.database import Database
from brakeline.protocol.messages import Health
from brakeline.rollout.telling import SignalRow

GIB = 1024**3
WELL = Health((), True, 50 * GIB, 0.2, 4 * GIB, 8 * GIB, 100 * GIB, 4, 15_000_000, 0, 0)
SHORT = replace(WELL, memory_available_bytes=GIB // 4)


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> SmallFleet:
    made = SmallFleet(database, clock, tmp_path)
    await made.enrol(8, regions=("eu",))
    for t in made.twins:
        t.health = WELL
    return made


async def rows(fleet: SmallFleet, rollout: str) -> dict[str, SignalRow]:
    return {r.signal: r for r in (await fleet.service.show(OWNER, rollout)).signals}


async def test_what_becomes_of_canaries_is_told_by_signal_and_by_name(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(2))
    await fleet.round()
    canaries = [t for t in fleet.twins if t.applied]
    for t in canaries:
        t.health, t.boots = SHORT, 4
    canaries[0].health = replace(SHORT, packages_removed=5)
    await fleet.rounds(12)
    found = await rows(fleet, rollout)
    assert (found["resources"].bad_treated, found["resources"].bad_controls) == (2, 0)
    assert (found["actions"].bad_treated, found["actions"].bad_controls) == (1, 0)
    assert found["resources"].treated == 2
    members = (await fleet.service.show(OWNER, rollout)).members
    assert {m.hostname for m in members if m.note.endswith("short of memory")} == {t.hostname for t in canaries}


async def test_what_was_so_at_ready_is_nobodys_harm(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.health = SHORT
    rollout = await fleet.create(quick_policy(2))
    await fleet.rounds(12)
    assert {(r.bad_treated, r.bad_controls) for r in (await rows(fleet, rollout)).values()} == {(0, 0)}


async def test_agents_that_tell_no_numbers_are_judged_as_before(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.health = Health()
    rollout = await fleet.create(quick_policy(2))
    await fleet.round()
    for t in fleet.twins:
        t.health = SHORT  # the update brought an agent that tells them
    await fleet.rounds(40)
    assert (await fleet.service.show(OWNER, rollout)).state == "completed"
    assert (await rows(fleet, rollout))["resources"].bad_treated == 0
