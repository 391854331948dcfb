"""Rows written since: whoever wrote them, an older server and a person with SQL included. On both PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support_rollout import OWNER, SmallFleet, quick_policy

from brakeline.core.clock import ManualClock
from brakeline.fleet.store import presences
from brakeline.platform.changed import horizon, low
from brakeline.platform.database import Database
from brakeline.rollout.store import arms, changes

TENANT = OWNER.tenant_id


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> SmallFleet:
    made = SmallFleet(database, clock, tmp_path)
    await made.enrol(5)
    return made


async def test_rows_are_new_once_and_again_when_somebody_writes_them(fleet: SmallFleet) -> None:
    rollout_id = await fleet.create(quick_policy(1))
    await fleet.rounds(2)
    async with fleet.db.tenant(TENANT) as conn:
        moment = await horizon(conn)
        everything = await changes.targets(conn, rollout_id, 0), await changes.subjects(conn, rollout_id, 0)
        assert sorted(everything[0], key=lambda t: t.u) == await arms.targets(conn, rollout_id)
        assert everything[1] == await arms.subjects(conn, rollout_id)
        assert await changes.targets(conn, rollout_id, moment) == []
        assert await changes.subjects(conn, rollout_id, moment) == []
        assert await presences.read_since(conn, moment) == {}
        assert await presences.read_since(conn, 0 + moment - 10_000) == await presences.read(conn, None)
    one = everything[1][0].subject.endpoint_id
    async with fleet.db.tenant(TENANT) as conn:  # as any writer may, who never heard of the column
        await conn.execute("UPDATE brakeline.rollout_subject SET detail = 'x' WHERE endpoint_id = $1", one)
        await conn.execute("UPDATE brakeline.rollout_target SET blocked_code = 'x' WHERE endpoint_id = $1", one)
        await conn.execute("UPDATE brakeline.presence SET boot_id = 'x' WHERE endpoint_id = $1", one)
        assert [s.subject.endpoint_id for s in await changes.subjects(conn, rollout_id, moment)] == [one]
    async with fleet.db.tenant(TENANT) as conn:
        assert [s.subject.endpoint_id for s in await changes.subjects(conn, rollout_id, moment)] == [one]
        assert [t.endpoint_id for t in await changes.targets(conn, rollout_id, moment)] == [one]
        assert [*await presences.read_since(conn, moment)] == [one]
        assert await horizon(conn) > moment


async def test_pages_give_every_row_once(fleet: SmallFleet) -> None:
    rollout_id = await fleet.create(quick_policy(5))
    await fleet.rounds(2)
    async with fleet.db.tenant(TENANT) as conn:
        seen, subjects, after = [], [], ""
        while (page := await changes.page(conn, rollout_id, after, 2))[0]:
            seen, subjects, after = [*seen, *page[0]], [*subjects, *page[1]], page[0][-1].endpoint_id
        assert sorted(seen, key=lambda t: t.u) == await arms.targets(conn, rollout_id)
        assert len(subjects) == len(await arms.subjects(conn, rollout_id)) > 0
        assert page == ([], [])
        heard, after = {}, ""
        while found := await presences.page(conn, after, 2):
            heard, after = heard | found, max(found)
        assert heard == await presences.read(conn, None)


def test_the_number_that_a_row_has_goes_round() -> None:
    assert (low(5), low((1 << 32) + 5), low((1 << 32) - 1)) == ("5", "5", "4294967295")
