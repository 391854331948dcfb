"""One endpoint of a rollout on a real database: stopped before it begins, dropped, never torn; tried once more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support_rollout import OWNER, SmallFleet, Twin, quick_policy

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Conflict, Forbidden, Invalid, NotFound
from brakeline.platform.database import Database
from brakeline.protocol.messages import CheckIn, Health, Outcome, TransactionResult
from brakeline.rollout.giving_way import Gives
from brakeline.rollout.single import Single
from brakeline.rollout.store import arms, giving
from brakeline.rollout.view import Member


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> SmallFleet:
    made = SmallFleet(database, clock, tmp_path)
    await made.enrol(4, ("eu",))
    return made


async def members(fleet: SmallFleet, rollout: str) -> dict[str, Member]:
    return {m.endpoint_id: m for m in (await fleet.service.show(OWNER, rollout)).members}


async def first(fleet: SmallFleet, rollout: str) -> Twin:
    """Who is drawn first."""
    await fleet.round()
    treated = [i for i, m in (await members(fleet, rollout)).items() if m.arm == "treated"]
    return next(t for t in fleet.twins if t.identity.endpoint_id == treated[0])


async def test_whoever_is_stopped_before_its_turn_is_never_offered_and_nobody_waits_for_it(fleet: SmallFleet) -> None:
    one = Single(fleet.service)
    rollout = await fleet.create(quick_policy(1))
    canary = await first(fleet, rollout)
    other = next(t for t in fleet.twins if t is not canary)
    answer = await one.stop(OWNER, rollout, other.identity.endpoint_id, "its owner is at a fair")
    assert answer.state == "withdrawn"
    await fleet.rounds(60)
    view = await fleet.service.show(OWNER, rollout)
    assert view.state == "completed", view.why
    assert other.applied == []
    seen = (await members(fleet, rollout))[other.identity.endpoint_id]
    assert "stopped here by Olga: its owner is at a fair" in seen.note


async def test_an_offer_that_waits_is_dropped_and_a_retry_makes_another(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.fate = "waits"
    one = Single(fleet.service)
    rollout = await fleet.create(quick_policy(1))
    canary = await first(fleet, rollout)
    canary_id = canary.identity.endpoint_id
    assert (await one.stop(OWNER, rollout, canary_id)).state == "told"
    await fleet.rounds(2)
    assert (canary.queued, canary.halted) == ([], (rollout,))
    assert (await members(fleet, rollout))[canary_id].state == "stopped"
    for t in fleet.twins:
        t.fate = "good"
    await fleet.rounds(3)
    assert canary.applied == []

    assert (await one.retry(OWNER, rollout, canary_id, "the fair is over")).state == "again"
    await fleet.rounds(3)
    assert len(canary.applied) == 1
    assert canary.halted == ()


async def test_a_canary_that_is_stopped_gives_its_place_to_another_and_both_say_so(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(1, 2))
    await fleet.hear()
    for t in fleet.twins:
        t.fate = "waits"
    canary = await first(fleet, rollout)
    for t in fleet.twins:
        t.fate = "waits" if t is canary else "good"
    await Single(fleet.service).stop(OWNER, rollout, canary.identity.endpoint_id, "its owner is at a fair")
    await fleet.rounds(4)
    seen = await fleet.service.show(OWNER, rollout)
    assert [m.endpoint_id for m in seen.members if m.arm == "treated"] != [canary.identity.endpoint_id]
    texts = [x.text for x in await fleet.service.explain(OWNER, rollout)]
    assert any("1 set aside or not to be had, its place goes to others" in x for x in texts), texts
    await fleet.rounds(60)
    view = await fleet.service.show(OWNER, rollout)
    assert view.state == "completed", view.why
    assert canary.applied == []
    note = (await members(fleet, rollout))[canary.identity.endpoint_id].note
    assert "its owner is at a fair" in note
    gave = [x.text for x in view.log if x.kind == "gives-way"]
    told = "gave its place to another: stopped here by Olga: its owner is at a fair"
    assert gave == [f"{canary.identity.endpoint_id}: {told}"]


@pytest.mark.long
async def test_who_refuses_by_limits_of_its_own_gives_its_place_three_times_in_a_ring_of_one(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(1, 2))
    await fleet.hear()
    for t in fleet.twins:
        t.fate = "limits"
    await fleet.rounds(40)
    view = await fleet.service.show(OWNER, rollout)
    gave = [x.text for x in view.log if x.kind == "gives-way"]
    assert len(gave) == 3
    assert all("local_limits: root says no" in x for x in gave)
    assert view.state in ("rolling", "holding"), "the fourth that refuses is news: it waits, by name"
    assert [t.applied for t in fleet.twins] == [[], [], [], []]


async def test_whoever_gave_its_place_is_offered_nothing_more_and_its_failure_is_news_when_tried_again(
    fleet: SmallFleet,
) -> None:
    rollout = await fleet.create(quick_policy(1, 3))
    await fleet.hear()
    for t in fleet.twins:
        t.fate = "limits"
    canary = await first(fleet, rollout)
    for t in fleet.twins:
        t.fate = "limits" if t is canary else "good"
    await fleet.rounds(6)
    seen = await members(fleet, rollout)
    assert "gave its place to another: local_limits" in seen[canary.identity.endpoint_id].note
    assert sum(m.arm == "treated" for m in seen.values()) == 2, "another has its place"
    canary.fate = "postinst"
    await fleet.rounds(2)
    assert canary.applied == [], "a ring of one exposes one"
    await Single(fleet.service).retry(OWNER, rollout, canary.identity.endpoint_id, "its root lets it by now")
    await fleet.rounds(4)
    assert len(canary.applied) == 1
    view = await fleet.service.show(OWNER, rollout)
    assert view.state == "holding", view.why
    assert "failed through the update itself" in view.why


async def test_what_began_at_one_that_gave_its_place_counts_when_it_is_told_late(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.fate = "waits"
    rollout = await fleet.create(quick_policy(1, 3))
    canary = await first(fleet, rollout)
    canary_id, (offer,) = canary.identity.endpoint_id, canary.queued
    await Single(fleet.service).stop(OWNER, rollout, canary_id, "its owner is at a fair")
    async with fleet.db.tenant(OWNER.tenant_id) as conn:  # it was over before anything was heard of a start
        await arms.expire(conn, rollout, canary_id, "the offer expired before it was started", "", 1)
    await fleet.service.executor.reconcile()
    assert [x.kind for x in (await fleet.service.show(OWNER, rollout)).log].count("gives-way") == 1
    canary.queued.clear()
    failed = TransactionResult("tx_" + offer.offer_id[3:], offer.offer_id, rollout, offer.generation, Outcome.FAILED,
                               "maintainer_script_failed", "postinst returned 1", started_ms=1, ended_ms=2)  # fmt: skip
    await fleet.service.record_results(canary.identity, (failed,))
    await fleet.service.executor.reconcile()
    view = await fleet.service.show(OWNER, rollout)
    assert view.state == "holding", view.why
    assert "failed through the update itself" in view.why


async def test_a_result_that_comes_between_look_and_act_keeps_its_place(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.fate = "waits"
    rollout = await fleet.create(quick_policy(1, 3))
    canary = await first(fleet, rollout)
    gives = Gives(canary.identity.endpoint_id, 0, "stopped here by Olga")
    async with fleet.db.tenant(OWNER.tenant_id) as conn:
        assert not await giving.give(conn, rollout, gives, 1), "its offer is out by now"
        await arms.expire(conn, rollout, gives.endpoint_id, "the offer expired before it was started", "", 1)
        assert await giving.give(conn, rollout, gives, 1)
        assert not await giving.give(conn, rollout, gives, 1), "once"


async def test_a_running_transaction_is_never_torn_and_the_answer_says_so(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.fate = "waits"
    rollout = await fleet.create(quick_policy(1))
    canary = await first(fleet, rollout)
    runs = CheckIn("0.1", 1, "", Health(), in_progress=(canary.queued[0].offer_id,))
    await fleet.service.on_check_in(canary.identity, runs)
    answer = await Single(fleet.service).stop(OWNER, rollout, canary.identity.endpoint_id)
    assert answer.state == "runs"
    assert "goes on to its end" in answer.text
    assert (await members(fleet, rollout))[canary.identity.endpoint_id].state == "started"


async def test_a_failure_that_is_tried_again_stays_evidence(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.fate = "postinst"
    one = Single(fleet.service)
    rollout = await fleet.create(quick_policy(4))
    await fleet.rounds(1)
    await fleet.service.executor.reconcile()
    failed = fleet.twins[0]
    await fleet.rounds(1)
    state = (await fleet.service.show(OWNER, rollout)).state
    assert state == "halted", "every one of four failed"
    with pytest.raises(Conflict, match="make a new deployment"):
        await one.retry(OWNER, rollout, failed.identity.endpoint_id, "disk was full")


async def test_one_failure_is_tried_again_when_the_rollout_goes_on(fleet: SmallFleet) -> None:
    one = Single(fleet.service)
    rollout = await fleet.create(quick_policy(1))
    await fleet.hear()
    for t in fleet.twins:
        t.fate = "postinst"
    canary = await first(fleet, rollout)
    await fleet.rounds(2)
    for t in fleet.twins:
        t.fate = "good"
    answer = await one.retry(OWNER, rollout, canary.identity.endpoint_id, "disk was full")
    assert answer.state == "waits"
    async with fleet.db.tenant(OWNER.tenant_id) as conn:
        harm = "SELECT explicit FROM brakeline.rollout_subject WHERE endpoint_id = $1 AND arm = 'treated'"
        assert await conn.fetchval(harm, canary.identity.endpoint_id) is True
    await fleet.rounds(2)
    assert len(canary.applied) == 1, "it holds: nothing is offered, not even again"
    await fleet.service.resume(OWNER, rollout, "its disk was full")
    await fleet.rounds(4)
    assert len(canary.applied) == 2
    async with fleet.db.tenant(OWNER.tenant_id) as conn:
        assert await conn.fetchval(harm, canary.identity.endpoint_id) is True, "what it has shown stays"
    await fleet.rounds(4)
    assert len(canary.applied) == 2, "one more offer, and no other"


async def test_who_may_not_and_what_is_not_there(fleet: SmallFleet) -> None:
    one = Single(fleet.service)
    rollout = await fleet.create(quick_policy(1))
    viewer = replace(OWNER, permissions=frozenset({"rollout.read"}))
    endpoint_id = fleet.twins[0].identity.endpoint_id
    with pytest.raises(Forbidden):
        await one.stop(viewer, rollout, endpoint_id)
    with pytest.raises(Forbidden):
        await one.retry(viewer, rollout, endpoint_id, "why not")
    with pytest.raises(Invalid):
        await one.retry(OWNER, rollout, endpoint_id, " ")
    with pytest.raises(NotFound):
        await one.stop(OWNER, rollout, "ep_elsewhere")
    stranger = replace(OWNER, tenant_id="te_2")
    with pytest.raises(NotFound):
        await one.stop(stranger, rollout, endpoint_id)
