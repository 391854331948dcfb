"""Endpoints of a rollout page by page: each once, in the order of their names, as the whole view tells them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support_rollout import OWNER, SmallFleet, quick_policy

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Forbidden, Invalid, NotFound
from brakeline.platform.database import Database
from brakeline.rollout.view import Member

NOBODY = replace(OWNER, permissions=frozenset())
ELSEWHERE = replace(OWNER, tenant_id="te_2")


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> SmallFleet:
    made = SmallFleet(database, clock, tmp_path)
    await made.enrol(9)
    async with database.tenant(OWNER.tenant_id) as conn:  # three share each name
        await conn.execute("UPDATE brakeline.endpoint SET hostname = 'host-' || right(endpoint_id, 1)::int % 3")
    return made


async def listed(fleet: SmallFleet, rollout_id: str, limit: int, **asked: str) -> list[Member]:
    found: list[Member] = []
    after: str | None = ""
    while after is not None:
        page = await fleet.service.members(OWNER, rollout_id, after=after, limit=limit, **asked)
        assert len(page.items) <= limit
        assert page.items or page.next is None
        found, after = [*found, *page.items], page.next
    return found


async def test_pages_tell_each_endpoint_once_and_what_the_view_tells(fleet: SmallFleet) -> None:
    fleet.twins[2].fate = "postinst"
    rollout_id = await fleet.create(quick_policy(1, 4))
    for rounds in (0, 6, 12, 30):
        await fleet.rounds(rounds)
        view = await fleet.service.show(OWNER, rollout_id)
        everybody = sorted(view.members, key=lambda m: (m.hostname, m.endpoint_id))
        for limit in (1, 2, 4, 100):
            assert await listed(fleet, rollout_id, limit) == everybody
        treated = [m for m in everybody if m.arm == "treated"]
        assert await listed(fleet, rollout_id, 2, show="treated") == treated
        assert await listed(fleet, rollout_id, 2, show="spared") == [m for m in everybody if m not in treated]
        assert await listed(fleet, rollout_id, 2, region="us") == [m for m in everybody if m.region == "us"]
        first = view.rings[0].name
        assert await listed(fleet, rollout_id, 2, ring=first) == [m for m in treated if m.ring == first]
        mine = next(r for r in await fleet.service.list(OWNER) if r.id == rollout_id)
        failed = [m for m in treated if m.state == "failed"]
        assert (mine.targets, mine.exposed, mine.failed) == (len(everybody), len(treated), len(failed))
        assert mine.proven >= view.proven
    assert treated


async def test_the_few_that_went_wrong_are_found_among_the_many(fleet: SmallFleet) -> None:
    rollout_id = await fleet.create(quick_policy(9))
    await fleet.rounds(6)
    fleet.twins[3].alive = fleet.twins[7].alive = False
    fleet.clock.advance(600)
    await fleet.round()
    for limit in (1, 2, 3, 100):
        bad = await listed(fleet, rollout_id, limit, show="bad")
        assert {m.endpoint_id for m in bad} == {fleet.twins[n].identity.endpoint_id for n in (3, 7)}
        assert {m.state for m in bad} == {"silent"}


async def test_what_cannot_be_listed_is_said(fleet: SmallFleet) -> None:
    rollout_id = await fleet.create(quick_policy(1))
    with pytest.raises(Invalid, match="treated, spared, bad"):
        await fleet.service.members(OWNER, rollout_id, show="dead")
    with pytest.raises(Invalid, match="no ring is called 'x'; there are ring 1, all"):
        await fleet.service.members(OWNER, rollout_id, ring="x")
    with pytest.raises(NotFound):
        await fleet.service.members(OWNER, "ro_none")
    with pytest.raises(NotFound):
        await fleet.service.members(ELSEWHERE, rollout_id)
    with pytest.raises(Forbidden):
        await fleet.service.members(NOBODY, rollout_id)
