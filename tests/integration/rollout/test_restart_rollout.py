"""A rollout of restarts over real check-ins and a real PostgreSQL: rings, proof, halt, refusal, expiry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support_rollout import OWNER, SmallFleet, Twin, quick_policy

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Conflict, Unavailable
from brakeline.platform.database import Database
from brakeline.protocol.messages import ORDER_CONTEXT, RESTART_CONTEXT
from brakeline.rollout.model import NO_RESTARTS, Policy
from brakeline.rollout.restart_change import WITHIN_S, change_of
from brakeline.rollout.restart_planning import NoneDue, RestartPlanning
from brakeline.rollout.view import RolloutView
from brakeline.tenancy.faults import CountMoved
from brakeline.trust import ed25519

ROUND_S = 20.0


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> SmallFleet:
    made = SmallFleet(database, clock, tmp_path)
    await made.enrol(8, regions=("eu",))
    for t in made.twins:
        t.allows = True
    return made


def policy(*counts: int) -> Policy:
    quick = quick_policy(*counts)
    return replace(quick, restarts=NO_RESTARTS, offer_lifetime_s=WITHIN_S, data_age_max_s=600, silence_halts=True)


async def rounds(fleet: SmallFleet, count: int) -> None:
    for _ in range(count):
        await fleet.round(ROUND_S)


async def begin(fleet: SmallFleet, *counts: int) -> str:
    return await fleet.create(policy(*counts), change_of(fleet.clock.now_ms(), "restarts that are due"))


async def view(fleet: SmallFleet, rollout: str) -> RolloutView:
    return await fleet.service.show(OWNER, rollout)


def down(fleet: SmallFleet) -> list[Twin]:
    return [t for t in fleet.twins if t.restarts]


async def test_it_goes_ring_by_ring_and_a_machine_heard_from_another_boot_is_proven(fleet: SmallFleet) -> None:
    rollout = await begin(fleet, 2, 8)
    await rounds(fleet, 2)
    assert len(down(fleet)) == 2, "the first ring alone"
    await rounds(fleet, 40)
    shown = await view(fleet, rollout)
    assert shown.state == "completed", shown.lines
    assert all(len(t.restarts) == 1 and t.boots == 2 for t in fleet.twins), "once each"
    assert not fleet.updated()
    order = fleet.twins[0].restarts[0]
    assert (order.rollout_id, order.boot_id) == (rollout, "boot 1")


async def test_the_order_is_the_same_bytes_each_time_and_signed_for_a_restart_alone(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.windowed = True
    await begin(fleet, 2, 8)
    await rounds(fleet, 4)
    told = [t for t in fleet.twins if t.kept]
    assert len(told) == 2, "an order that waits for a window keeps its ring waiting, and no other endpoint is asked"
    for t in told:
        assert len(t.kept) > 1
        assert len(set(t.kept)) == 1
        key = bytes.fromhex(fleet.cell.public_hex)
        payload, signature = t.kept[0].payload.encode(), bytes.fromhex(t.kept[0].signature)
        assert ed25519.verify(key, RESTART_CONTEXT + payload, signature)
        assert not ed25519.verify(key, ORDER_CONTEXT + payload, signature)


async def test_an_order_that_nobody_followed_lapses_and_is_given_again(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.windowed = True
    await begin(fleet, 8)
    await rounds(fleet, 2)
    fleet.clock.advance(WITHIN_S + 60)
    await rounds(fleet, 4)
    told = next(t for t in fleet.twins if t.kept)
    assert len(set(told.kept)) == 2
    for t in fleet.twins:
        t.windowed = False
    await rounds(fleet, 40)
    assert len(down(fleet)) == 8


async def test_one_that_does_not_come_back_halts_the_first_ring_and_the_others_stay_up(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.dies_at_restart = True
    rollout = await begin(fleet, 2, 8)
    await rounds(fleet, 60)
    shown = await view(fleet, rollout)
    assert shown.state in ("halted", "holding"), shown.lines
    assert len(down(fleet)) == 2
    assert not await fleet.service.quarantined(OWNER), "a restart brings no version that could be kept out"


async def test_who_does_not_allow_it_or_refuses_is_left_alone_and_says_why(fleet: SmallFleet) -> None:
    stubborn, shut = fleet.twins[0], fleet.twins[1]
    stubborn.refuses, shut.allows = "inhibited: somebody is logged in", False
    rollout = await begin(fleet, 8)
    await rounds(fleet, 40)
    assert {t.hostname for t in down(fleet)} == {t.hostname for t in fleet.twins[2:]}
    waits = {m.hostname: m.note for m in (await view(fleet, rollout)).members}
    assert "it allows no restart by order" in waits[shut.hostname]


async def test_a_press_takes_back_what_was_ordered_and_not_followed(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.windowed = True
    rollout = await begin(fleet, 8)
    await rounds(fleet, 2)
    assert any(t.kept for t in fleet.twins)
    await fleet.service.brake(OWNER, rollout)
    for t in fleet.twins:
        t.windowed, t.kept = False, []
    await rounds(fleet, 3)
    assert not down(fleet)
    async with fleet.db.tenant(OWNER.tenant_id) as conn:
        open_ones = await conn.fetchval("SELECT count(*) FROM brakeline.rollout_offer WHERE closed_at IS NULL")
    assert open_ones == 0, "nobody is kept from other changes by it"


async def test_it_is_planned_by_filter_and_made_with_the_count_that_was_seen(fleet: SmallFleet) -> None:
    planning = RestartPlanning(fleet.service)
    await fleet.hear()
    assert (await planning.plan(OWNER, "")).endpoints == (), "nobody says that a restart is due"
    with pytest.raises(NoneDue):
        await planning.create(OWNER, "", expect_count=0)
    plan = await planning.plan(OWNER, "", any_=True, pace="rehearsal")
    assert len(plan.endpoints) == plan.rings[-1][1] == 8
    with pytest.raises(CountMoved):
        await planning.create(OWNER, "", expect_count=7, any_=True)
    made = await planning.create(OWNER, "", expect_count=8, any_=True, pace="rehearsal")
    assert (await view(fleet, made)).title == "Restart 8 endpoints"
    with pytest.raises(Conflict, match="one at a time"):
        await planning.create(OWNER, "", expect_count=8, any_=True)


async def test_a_freeze_is_told_to_those_who_have_an_order_while_the_database_is_away(
    fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for t in fleet.twins:
        t.windowed = True
    rollout = await begin(fleet, 8)
    await rounds(fleet, 2)
    await fleet.service.brake(OWNER, rollout)
    await fleet.freezing.freeze(OWNER)
    t = next(t for t in fleet.twins if t.kept)

    def away(_: str) -> None:
        raise Unavailable("the database is away")

    monkeypatch.setattr(fleet.db, "tenant", away)
    assert await fleet.service.on_check_in(t.identity, fleet.check_in(t, ()), t.boot_id) == ((), (rollout,))
