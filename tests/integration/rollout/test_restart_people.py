"""Restarts and people at the machines, at the cell: who waits for whom, who declines, what the database is asked.

Real check-ins and a real PostgreSQL; what a machine does with its people is `tests/integration/agent`'s.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.rollout.test_restart_rollout import begin, down, policy, rounds, view
from tests.support_rollout import OWNER, SmallFleet

from brakeline.core.clock import ManualClock
from brakeline.platform.database import Database
from brakeline.protocol.codec import decode
from brakeline.protocol.messages import PeopleTerms, PeopleWait, RestartOrder
from brakeline.rollout import people
from brakeline.rollout.people import WrongTerms
from brakeline.rollout.restart_change import WITHIN_S, change_of
from brakeline.rollout.restart_planning import RestartPlanning
from brakeline.rollout.view import RolloutView

TERMS = PeopleTerms(900, 3, 3600)
UNTIL_MS = 1_795_687_200_000


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> SmallFleet:
    made = SmallFleet(database, clock, tmp_path)
    await made.enrol(8, regions=("eu",))
    for t in made.twins:
        t.allows = True
    return made


async def ended(fleet: SmallFleet, rollout: str) -> RolloutView:
    """Rounds until it is completed, or so many that it will not be."""
    for _ in range(15):
        await rounds(fleet, 4)
        shown = await view(fleet, rollout)
        if shown.state == "completed":
            break
    return shown


async def test_it_is_told_which_machines_wait_for_people_and_until_when(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.waits = PeopleWait(1, UNTIL_MS, 2, 3)
    rollout = await begin(fleet, 2, 8)
    await rounds(fleet, 3)
    shown = await view(fleet, rollout)
    told = [x for x in shown.lines if x.gate == "people"]
    assert len(told) == 1
    assert told[0].text.startswith("2 endpoints: people deferred until 2026-11-26 10:00 UTC, 1 of 3 deferrals left (")
    assert told[0].data["endpoints"] == 2
    asked = [t for t in fleet.twins if t.kept]
    notes = {m.hostname: m.note for m in shown.members}
    assert all("waits for people: put off by people, until" in notes[t.hostname] for t in asked)
    for t in fleet.twins:
        t.waits = None
    shown = await ended(fleet, rollout)
    assert shown.state == "completed", shown.lines
    assert not [x for x in shown.lines if x.gate == "people"]
    async with fleet.db.tenant(OWNER.tenant_id) as conn:
        assert await conn.fetchval("SELECT count(*) FROM brakeline.rollout_target WHERE people <> ''") == 0


async def test_the_organisation_s_terms_are_in_the_order_and_none_are_where_it_gave_none(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.windowed = True
    made = replace(policy(8), people=TERMS)
    await fleet.create(made, change_of(fleet.clock.now_ms(), "asked kindly"))
    await rounds(fleet, 2)
    kept = next(t.kept[0] for t in fleet.twins if t.kept)
    assert decode(RestartOrder, kept.payload.encode()).people == TERMS


async def test_a_treated_endpoint_that_refuses_gives_its_place_to_another(fleet: SmallFleet) -> None:
    rollout = await begin(fleet, 2, 8)
    first = sorted(fleet.twins, key=lambda t: t.hostname)
    for t in first:
        t.would_refuse = "inhibited: a backup"
    await rounds(fleet, 2)
    refused = [t for t in fleet.twins if t.refuses]
    assert len(refused) == 2
    for t in fleet.twins:
        t.would_refuse = ""
    await rounds(fleet, 3)
    told = " ".join(x.text for x in (await view(fleet, rollout)).lines)
    assert "2 declined or set aside, their places go to others" in told
    shown = await ended(fleet, rollout)
    assert shown.state == "completed", shown.lines
    assert len(down(fleet)) == 6
    notes = {m.hostname: m.note for m in shown.members}
    for t in refused:
        assert notes[t.hostname] == "declined: inhibited: a backup; its place goes to another"
        t.refuses, t.boots = "", t.boots + 1
    await rounds(fleet, 3)
    assert len(down(fleet)) == 6, "whoever declined is not asked again, though it was started anew by a person"


async def test_an_endpoint_that_never_follows_declines_after_its_orders_lapsed(fleet: SmallFleet) -> None:
    stubborn = fleet.twins
    for t in stubborn:
        t.windowed = True
    rollout = await begin(fleet, 2, 8)
    await rounds(fleet, 2)
    never = [t for t in fleet.twins if t.kept]
    assert len(never) == 2
    for t in fleet.twins:
        t.windowed = t in never
    for _ in range(4):
        fleet.clock.advance(WITHIN_S + 60)
        await rounds(fleet, 4)
    shown = await ended(fleet, rollout)
    assert (shown.state, len(down(fleet))) == ("completed", 6), shown.lines
    notes = {m.hostname: m.note for m in shown.members}
    assert all(notes[t.hostname].startswith("declined: its orders lapsed") for t in never)
    assert all(len(set(t.kept)) == 3 for t in never)


async def test_who_allows_none_any_more_declines_when_its_order_has_lapsed(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.windowed = True
    rollout = await begin(fleet, 2, 8)
    await rounds(fleet, 2)
    never = [t for t in fleet.twins if t.kept]
    for t in fleet.twins:
        t.windowed, t.allows = False, t not in never
    fleet.clock.advance(WITHIN_S + 60)
    shown = await ended(fleet, rollout)
    assert (shown.state, len(down(fleet))) == ("completed", 6), shown.lines
    notes = {m.hostname: m.note for m in shown.members}
    assert all(notes[t.hostname].startswith("declined: it allows no restart") for t in never)


async def test_a_check_in_that_says_nothing_new_asks_and_writes_nothing_of_restarts(
    fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for t in fleet.twins:
        t.windowed = True
    shut = fleet.twins[7]
    shut.allows = False
    await begin(fleet, 8)
    await rounds(fleet, 3)
    asked: list[str] = []
    real = fleet.db.tenant

    def noted(tenant_id: str) -> object:
        asked.append(tenant_id)
        return real(tenant_id)

    async def count(index: int) -> int:
        t = fleet.twins[index]
        asked.clear()
        await fleet.service.on_check_in(t.identity, fleet.check_in(t, ()), t.boot_id)
        return len(asked)

    monkeypatch.setattr(fleet.db, "tenant", noted)
    least = 2  # what every check-in of a target costs: its progress and refusals, and the offers that are no restarts
    for index in (0, 7):
        await count(index)
        assert await count(index) == least
    fleet.twins[0].waits = PeopleWait(1)
    assert await count(0) == least + 1
    assert await count(0) == least
    shut.allows = True
    assert await count(7) > least


async def test_wrong_terms_are_refused_and_the_plan_says_how_people_are_asked(fleet: SmallFleet) -> None:
    planning = RestartPlanning(fleet.service)
    await fleet.hear()
    plan = await planning.plan(OWNER, "", any_=True, terms=people.terms(15, 3, 60))
    assert "warned 15 min before and puts it off up to 3 times by 60 min" in plan.people
    assert "nobody is overruled unless root allows it" in plan.people
    made = await planning.create(OWNER, "", expect_count=8, any_=True, pace="rehearsal", terms=people.terms(15, 3, 60))
    async with fleet.db.tenant(OWNER.tenant_id) as conn:
        kept = await conn.fetchval("SELECT policy::text FROM brakeline.rollout WHERE rollout_id = $1", made)
    assert '"warn_s"' in kept
    for odd in ((-1,), (0, 3, 60), (15, 3), (15, 0, 60), (15, 10, 60), (1441,)):
        with pytest.raises(WrongTerms):
            people.terms(*odd)
