"""What the executor keeps between steps, on a real database: what reading everything gives; a fault of it is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from tests.postgres_clusters import TestDatabase
from tests.support_rollout import CHANGE, OWNER, SmallFleet, quick_policy
from tests.unit.rollout.test_kept import told

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Unavailable
from brakeline.platform.database import Connection, Database
from brakeline.platform.observe import REGISTRY
from brakeline.rollout.following import KEPT_MAX, Following
from brakeline.rollout.led import Led
from brakeline.rollout.situation import Situation, load
from brakeline.rollout.store import leads, rollouts

TENANT = OWNER.tenant_id


class Watched:
    """A rollout over a small fleet, and what another process keeps of it."""

    def __init__(self, fleet: SmallFleet, rollout_id: str) -> None:
        self.fleet, self.rollout_id, self.following = fleet, rollout_id, Following(fleet.fleet)

    async def both(self) -> tuple[Situation, Situation]:
        """The situation by what is kept, and read anew."""
        presence, now_ms = await self.following.hear(TENANT), self.fleet.clock.now_ms()
        everybody = await self.fleet.fleet.presence(TENANT, None)
        assert presence == everybody
        async with self.fleet.db.tenant(TENANT) as conn:
            row = await rollouts.lock(conn, self.rollout_id, change=False)
            assert row is not None
            mine = await self.following.situation(conn, TENANT, row, presence, frozenset(), None, now_ms)
            return mine, await load(conn, row, everybody, frozenset(), None, now_ms)

    async def same(self) -> Situation:
        mine, anew = await self.both()
        assert told(mine) == told(anew)
        return mine


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> SmallFleet:
    made = SmallFleet(database, clock, tmp_path)
    await made.enrol(8)
    return made


async def watched(fleet: SmallFleet) -> Watched:
    return Watched(fleet, await fleet.create(quick_policy(1, 3)))


def steps(how: str) -> float:
    return REGISTRY.get_sample_value("brakeline_rollout_rows_read_total", {"how": how}) or 0.0


@pytest.mark.parametrize("fate", ["good", "postinst"])
async def test_step_after_step_it_is_what_is_stored(fleet: SmallFleet, fate: str) -> None:
    fleet.twins[0].fate = fate
    whole, counted = steps("everything"), 0
    rollout = await watched(fleet)
    for _ in range(30):
        await fleet.round()
        counted = max(counted, (await rollout.same()).summary.treated)
    assert counted == (8 if fate == "good" else counted) > 0
    assert steps("everything") - whole == 2, "once by the executor, once by whoever watches"
    assert len(rollout.following) == 1


async def test_a_transaction_that_is_on_its_way_while_it_looks_is_seen_afterwards(
    fleet: SmallFleet, test_database: TestDatabase
) -> None:
    rollout = await watched(fleet)
    await fleet.rounds(3)
    await rollout.same()
    slow = await asyncpg.connect(test_database.dsn_app)
    async with slow.transaction():
        await slow.execute("SELECT set_config('brakeline.tenant', $1, true)", TENANT)
        await slow.execute("UPDATE brakeline.rollout_subject SET detail = 'told slowly'")
        await slow.execute("UPDATE brakeline.rollout_target SET blocked_code = 'locked', blocked_reason = 'slowly'")
        await slow.execute("UPDATE brakeline.presence SET last_seen = last_seen + interval '1 second', asleep = true")
        for _ in range(3):  # others come and go meanwhile
            await fleet.service.record(TENANT, rollout.rollout_id, "note", "meanwhile")
            assert all(s.detail != "told slowly" for s in (await rollout.same()).subjects)
    found = await rollout.same()
    assert {s.detail for s in found.subjects} == {"told slowly"}
    assert {t.blocked_code for t in found.targets} == {"locked"}
    assert all(s.asleep_now for s in found.subjects)
    await slow.close()


async def test_what_was_written_behind_its_back_is_found_told_and_read_again(
    fleet: SmallFleet, test_database: TestDatabase
) -> None:
    rollout = await watched(fleet)
    await fleet.rounds(4)
    await rollout.same()
    before, owner = steps("differs"), await asyncpg.connect(test_database.dsn_super)
    await owner.execute("ALTER TABLE brakeline.rollout_subject DISABLE TRIGGER mark_changed")
    await owner.execute("UPDATE brakeline.rollout_subject SET detail = 'by hand' WHERE arm = 'treated'")
    await owner.execute("ALTER TABLE brakeline.rollout_subject ENABLE TRIGGER mark_changed")
    await owner.close()
    mine, anew = await rollout.both()
    for _ in range(8):  # of eight targets at least one is read again each time
        mine, anew = await rollout.both()
    assert told(mine) == told(anew)
    assert {s.detail for s in mine.subjects if s.arm == "treated"} == {"by hand"}
    assert steps("differs") == before + 1, "found once, and everything was right after that"
    log = [x for x in (await fleet.service.show(OWNER, rollout.rollout_id)).log if x.kind == "reread"]
    assert len(log) == 1
    assert "stored otherwise than remembered" in log[0].text


async def test_a_step_that_fails_is_forgotten(fleet: SmallFleet) -> None:
    away = False

    async def led(_: Connection, __: str, ___: str) -> Led:
        if away:
            raise Unavailable("the conductor's row cannot be read")
        return Led("", "", None, trouble="nobody leads")

    executor = fleet.service.executor
    executor.led_of = led
    rollout = await watched(fleet)
    async with fleet.db.tenant(TENANT) as conn:
        await leads.set_policy(conn, rollout.rollout_id, replace(quick_policy(1, 3), led=True))
    await fleet.rounds(2)
    assert len(executor.following) == 1
    away = True
    with pytest.raises(Unavailable):
        await executor.step(TENANT, rollout.rollout_id)
    assert len(executor.following) == 0
    away, whole = False, steps("everything")
    await executor.step(TENANT, rollout.rollout_id)
    assert steps("everything") == whole + 1


async def test_numbers_of_another_database_are_none(fleet: SmallFleet) -> None:
    rollout = await watched(fleet)
    await fleet.round()
    since = await fleet.fleet.presence_since(TENANT, 1 << 60, "", 1)
    assert since.whole
    assert since.found == await fleet.fleet.presence(TENANT, None)
    again = await fleet.fleet.presence_since(TENANT, since.moment, "", 0)
    assert (again.whole, dict(again.found)) == (False, {})
    await rollout.same()


async def test_of_many_rollouts_the_least_recently_led_is_forgotten_and_read_again(fleet: SmallFleet) -> None:
    first = await watched(fleet)
    await first.same()
    ids = [fleet.twins[0].identity.endpoint_id]
    for i in range(KEPT_MAX):
        other = Watched(fleet, await fleet.service.create(OWNER, f"no. {i}", CHANGE, quick_policy(), ids))
        other.following = first.following
        await other.same()
    assert len(first.following) == KEPT_MAX
    whole = steps("everything")
    await first.same()
    assert steps("everything") == whole + 1
    first.following.leave(TENANT)
    assert (len(first.following), first.following.tenants()) == (0, set())
