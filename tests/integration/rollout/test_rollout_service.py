"""Rollouts over six endpoints on a real PostgreSQL: good, failing, silent; brake, resume, kill -9, quarantine."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support_rollout import CHANGE, OWNER, PIN, SmallFleet, quick_policy

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Conflict, Forbidden, Invalid, NotFound
from brakeline.platform.database import Database
from brakeline.protocol.codec import decode
from brakeline.protocol.messages import Offer, Outcome, ReleaseRef, TransactionResult
from brakeline.rollout.model import Change, Guard, Line, Pin, Ring, State
from brakeline.rollout.presets import for_release, policy_for
from brakeline.rollout.untaken import UNTAKEN
from brakeline.tenancy.model import Principal

REF = ReleaseRef("agent", "2.0.0", "agent/2.0.0/any/bundle.tar", "ab" * 32, 1000, 2)
RELEASE = Change((Pin("brakeline-agent", REF.release_id),), kind="release", title="agent 2.0.0", release=REF)


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> SmallFleet:
    made = SmallFleet(database, clock, tmp_path)
    await made.enrol(6)
    return made


async def test_a_good_update_goes_ring_by_ring_to_everybody(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(1, 3))
    seen = []
    for _ in range(60):
        await fleet.round()
        seen.append(len(fleet.updated()))
    view = await fleet.service.show(OWNER, rollout)
    assert view.state == "completed", view.why
    assert len(fleet.updated()) == 6
    assert {1, 3, 6} <= set(seen)
    assert seen == sorted(seen)
    assert all(len(t.applied) == 1 for t in fleet.twins)
    assert (view.exposed, view.proven, view.spared) == (6, 6, ())
    assert any("no comparison of treated with control can halt" in s for s in view.statistics)


async def test_one_failing_canary_holds_and_the_others_keep_their_versions(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.fate = "postinst"
    rollout = await fleet.create(quick_policy(1, 3))
    await fleet.rounds(30)
    view = await fleet.service.show(OWNER, rollout)
    assert view.state == "holding"
    assert "maintainer_script_failed" in view.why
    assert len(fleet.offered()) == 1
    assert len(view.spared) == 5
    assert fleet.updated() == []


async def test_two_explicit_failures_halt_and_quarantine(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.fate = "postinst"
    rollout = await fleet.create(quick_policy(2))
    await fleet.rounds(10)
    view = await fleet.service.show(OWNER, rollout)
    assert view.state == "halted"
    assert len(fleet.offered()) == 2
    assert [q.pin for q in await fleet.service.quarantined(OWNER)] == [PIN]
    assert sorted(view.spared) == sorted(set(view_hosts(fleet)) - set(fleet.offered()))

    again = await fleet.create(quick_policy(2))
    await fleet.rounds(10)
    second = await fleet.service.show(OWNER, again)
    assert second.state == "holding"
    assert "quarantined" in second.why
    assert len(fleet.offered()) == 2


def view_hosts(fleet: SmallFleet) -> list[str]:
    return [t.hostname for t in fleet.twins]


@pytest.mark.long
async def test_a_canary_that_loses_its_network_holds_for_ever(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.fate = "network"
    rollout = await fleet.create(quick_policy(1, 3))
    await fleet.rounds(60)
    view = await fleet.service.show(OWNER, rollout)
    assert view.state == "holding"
    assert view.silent == 1
    assert len(fleet.offered()) == 1


@pytest.mark.long
async def test_a_canary_that_missed_its_offer_gets_it_again_while_the_rollout_holds_for_its_proof(
    fleet: SmallFleet,
) -> None:
    """Else nothing could ever end that hold. Nobody else is offered anything meanwhile."""
    for t in fleet.twins:
        t.fate = "misses"
    rollout = await fleet.create(quick_policy(1, 3))
    await fleet.rounds(10)
    assert (await fleet.service.show(OWNER, rollout)).state == "holding"
    (canary,) = _asked(fleet)
    for t in fleet.twins:
        t.fate = "good"
    held = await fleet.service.show(OWNER, rollout)
    while held.state == "holding":
        assert _asked(fleet) == [canary]
        await fleet.round()
        held = await fleet.service.show(OWNER, rollout)
    assert fleet.updated() == [canary]
    await fleet.rounds(60)
    assert len(fleet.updated()) == 6
    assert (await fleet.service.show(OWNER, rollout)).state == "completed"


async def test_a_canary_that_answers_and_takes_nothing_holds_by_name_and_is_offered_it_again(fleet: SmallFleet) -> None:
    """Its agent is wedged: it checks in, and starts nothing. Told apart from one that was away, or has answered."""
    for t in fleet.twins:
        t.fate = "wedged"
    rollout = await fleet.create(replace(quick_policy(1, 3), offer_lifetime_s=30))
    told: list[Line] = []
    while not told:
        await fleet.round()
        told = [x for x in (await fleet.service.show(OWNER, rollout)).lines if x.gate == UNTAKEN]
    (wedged,) = [t for t in fleet.twins if t.orders]
    assert (told[0].state, told[0].data["ids"]) == (State.HOLD, [wedged.identity.endpoint_id])
    assert "took nothing" in told[0].text
    while len(wedged.orders) < 2:  # as long as nobody resumes, it is tried again: that exposes nobody anew
        await fleet.round()
    view = await fleet.service.show(OWNER, rollout)
    assert view.state == "holding"
    assert _asked(fleet) == [wedged.hostname]
    assert [x.gate for x in view.lines if x.gate == UNTAKEN], "a second silent offer is no answer"
    for t in fleet.twins:
        t.fate = "good"
    while (await fleet.service.show(OWNER, rollout)).state == "holding":
        await fleet.round()
    assert not [x for x in (await fleet.service.show(OWNER, rollout)).lines if x.gate == UNTAKEN]
    assert fleet.updated() == [wedged.hostname]


async def test_a_hold_for_harm_offers_nothing_again(fleet: SmallFleet) -> None:
    """One has failed through the update itself: the other, who missed its offer, is not tempted a second time."""
    rollout = await fleet.create(quick_policy(2))
    for t in fleet.twins:
        t.fate = "misses" if t.identity.region == "eu" else "postinst"
    await fleet.rounds(200)
    view = await fleet.service.show(OWNER, rollout)
    assert view.state == "holding"
    assert "maintainer_script_failed" in view.why
    assert {t.hostname: len(t.orders) for t in fleet.twins if t.orders} == dict.fromkeys(_asked(fleet), 1)
    assert len(_asked(fleet)) == 2


def _asked(fleet: SmallFleet) -> list[str]:
    return [t.hostname for t in fleet.twins if t.orders]


async def test_a_release_whose_agent_brings_its_offer_to_no_end_is_halted(fleet: SmallFleet) -> None:
    """Its launcher has confirmed it and it answers check-ins; a server that was killed has to find it too."""
    for t in fleet.twins:
        t.fate = "idle"
    rollout = await fleet.create(for_release(policy_for(6, "rehearsal")), RELEASE)
    await fleet.rounds(7)  # 35 s: the first checkpoint is at 40 s
    assert (await fleet.service.show(OWNER, rollout)).state == "rolling"
    fleet.new_service()
    await fleet.rounds(6)
    view = await fleet.service.show(OWNER, rollout)
    assert view.state == "halted"
    assert "applies_nothing: 2.0.0-abababababab was confirmed and answers check-ins" in view.why
    assert len(fleet.offered()) == 1


async def test_a_release_whose_agents_tell_what_came_of_it_is_completed(fleet: SmallFleet) -> None:
    rollout = await fleet.create(for_release(policy_for(6, "rehearsal")), RELEASE)
    await fleet.rounds(90)
    assert (await fleet.service.show(OWNER, rollout)).state == "completed"


async def test_an_endpoint_with_nothing_to_do_leaves_its_place_to_the_next(fleet: SmallFleet) -> None:
    for t in fleet.twins[:4]:
        t.fate = "nothing_to_do"
    rollout = await fleet.create(quick_policy(1))
    await fleet.rounds(50)
    view = await fleet.service.show(OWNER, rollout)
    assert view.state == "completed", [line.text for line in view.lines]
    assert sorted(fleet.updated()) == ["host-4", "host-5"]


async def test_brake_is_one_call_idempotent_and_survives_a_crash_before_the_database(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(1, 3))
    await fleet.rounds(3)
    offered = fleet.offered()
    fleet.service.journal.press(OWNER.tenant_id, rollout, "Olga", fleet.clock.now_ms())  # crash right after the fsync
    fleet.new_service()
    await fleet.service.open()
    await fleet.rounds(40)
    assert (await fleet.service.show(OWNER, rollout)).state == "halted"
    assert fleet.offered() == offered
    assert (await fleet.service.brake(OWNER, rollout)).state == "halted"
    assert (await fleet.service.brake(OWNER, rollout)).state == "halted"
    assert all(rollout in t.halted for t in fleet.twins)


async def test_resume_after_a_halt_needs_a_reason_and_lifts_the_quarantine(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(1, 3))
    await fleet.rounds(3)
    await fleet.service.brake(OWNER, rollout)
    with pytest.raises(Invalid):
        await fleet.service.resume(OWNER, rollout, " ")
    assert await fleet.service.quarantined(OWNER) != ()
    await fleet.service.resume(OWNER, rollout, "false alarm, checked by hand")
    assert await fleet.service.quarantined(OWNER) == ()
    await fleet.rounds(60)
    assert (await fleet.service.show(OWNER, rollout)).state == "completed"
    assert all(len(t.applied) == 1 for t in fleet.twins)


async def test_a_person_may_go_on_past_one_failure_and_the_next_halts(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.fate = "postinst"
    rollout = await fleet.create(quick_policy(1, 3))
    await fleet.rounds(10)
    await fleet.service.resume(OWNER, rollout, "that machine was broken before")
    await fleet.rounds(40)
    view = await fleet.service.show(OWNER, rollout)
    assert view.state == "halted"
    assert len(fleet.offered()) == 2
    assert "2 of 2 treated failed" in view.why


async def test_killed_between_offer_and_reply_the_same_order_is_sent_again(fleet: SmallFleet) -> None:
    await fleet.create(quick_policy(1, 3))
    for t in fleet.twins:
        candidates = await fleet.service.candidates_for(t.identity)
        orders, _ = await fleet.service.on_check_in(t.identity, fleet.check_in(t, candidates))  # reply is lost
        if orders:
            break
    else:
        pytest.fail("nobody was offered anything")
    fleet.new_service()
    await fleet.service.open()
    again, _ = await fleet.service.on_check_in(t.identity, fleet.check_in(t, candidates))
    assert again == orders


async def test_killed_in_mid_rollout_nothing_is_applied_twice_and_it_goes_on(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(1, 3))
    for _ in range(60):
        await fleet.round()
        fleet.new_service()
        await fleet.service.open()
    assert (await fleet.service.show(OWNER, rollout)).state == "completed"
    assert all(len(t.applied) == 1 for t in fleet.twins)


TOLD = {
    "postinst": (Outcome.FAILED, "maintainer_script_failed"),
    "good": (Outcome.INSTALLED, "ok"),
    "network": (Outcome.FAILED, "network"),
}


async def test_results_are_taken_once_and_acknowledged_each_time(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(1, 3))
    await fleet.round()
    twin = next(t for t in fleet.twins if t.unsent)
    results = tuple(twin.unsent)
    for _ in range(2):
        ack = await fleet.service.record_results(twin.identity, results)
        assert ack.accepted == (results[0].transaction_id,)
    log = (await fleet.service.show(OWNER, rollout)).log
    assert sum(line.kind == "result" for line in log) == 1


@pytest.mark.parametrize("fate", ["postinst", "good", "network"])
async def test_harm_is_looked_at_as_soon_as_it_is_committed(fleet: SmallFleet, fate: str) -> None:
    looked: list[str] = []
    await fleet.create(quick_policy(1, 3))
    await fleet.round()
    twin = next(t for t in fleet.twins if t.unsent)
    outcome, code = TOLD[fate]
    results = tuple(replace(r, outcome=outcome, code=code) for r in twin.unsent)
    fleet.service.on_harm = lambda: looked.append(fate)
    for _ in range(2):  # an acknowledgement that was lost: the same result again is no news
        await fleet.service.record_results(twin.identity, results)
    assert looked == (["postinst"] if fate == "postinst" else [])


async def test_who_dies_before_telling_its_result_holds_by_name_and_a_person_may_go_on_without(
    fleet: SmallFleet,
) -> None:
    """Four of five of the second ring are proven: enough for the quorum, and the fifth was waited for for ever."""
    rollout = await fleet.create(quick_policy(1, 6, bake_s=20))
    while len(fleet.offered()) < 1:
        await fleet.round()
    dead = next(t for t in fleet.twins if not t.applied)
    dead.fate = "network"
    await fleet.rounds(45)
    view = await fleet.service.show(OWNER, rollout)
    assert view.state == "holding"
    assert f"taken for lost: {dead.identity.endpoint_id}" in view.why
    await fleet.service.resume(OWNER, rollout, "its disk died, it is being replaced")
    await fleet.rounds(5)
    view = await fleet.service.show(OWNER, rollout)
    assert view.state == "completed", view.why
    assert any(f"set aside: {dead.identity.endpoint_id}" in line.text for line in view.log)


async def test_a_result_that_comes_after_a_later_one_undoes_nothing(fleet: SmallFleet) -> None:
    """Of two attempts the first one's result arrives last: what the endpoint has now is what the second one said."""
    for t in fleet.twins:
        t.fate = "misses"
    rollout = await fleet.create(quick_policy(1, 3))
    while not any(t.applied for t in fleet.twins):
        await fleet.rounds(3)
    twin = next(t for t in fleet.twins if t.applied)
    await fleet.rounds(2)
    first, second = (decode(Offer, o.payload.encode()) for o in twin.orders[:2])
    assert second.offer_id == twin.applied[0]
    late = TransactionResult("tx_late", first.offer_id, rollout, first.generation, Outcome.INTERRUPTED, "power_loss",
                             "in the middle", started_ms=1, ended_ms=2)  # fmt: skip
    assert (await fleet.service.record_results(twin.identity, (late,))).accepted == ("tx_late",)
    view = await fleet.service.show(OWNER, rollout)
    assert next(m.state for m in view.members if m.hostname == twin.hostname) in ("installed", "proven")
    assert any("told late, of attempt 1 of 2" in line.text for line in view.log)


async def test_results_of_nobody_s_offer_and_of_a_ring_never_opened_change_nothing(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(1, 3))
    await fleet.rounds(2)
    treated = next(t for t in fleet.twins if t.applied)
    spared = next(t for t in fleet.twins if not t.applied)
    stolen = treated.applied[0]  # another endpoint's offer, and one that never was
    for number, offer_id in enumerate((stolen, "of_never_made")):
        forged = TransactionResult(f"tx_f{number}", offer_id, rollout, 9, Outcome.FAILED, "maintainer_script_failed",
                                   "says who was never offered it", started_ms=1, ended_ms=2)  # fmt: skip
        await fleet.service.record_results(spared.identity, (forged,))
    await fleet.round()
    view = await fleet.service.show(OWNER, rollout)
    assert (view.exposed, view.failed, view.state) == (1, 0, "rolling")
    assert spared.hostname not in {m.hostname for m in view.members if m.arm == "treated"}


async def test_a_plan_that_cannot_work_is_refused_with_every_reason(fleet: SmallFleet) -> None:
    await fleet.hear()
    ids = [t.identity.endpoint_id for t in fleet.twins]
    bad = replace(quick_policy(1), rings=(Ring("only", 60, count=2),), guard=Guard(controls_per_treated=0))
    with pytest.raises(Invalid, match=r"without a control arm.*is for 2 of 6 endpoints"):
        await fleet.service.create(OWNER, "bad", CHANGE, bad, ids)


async def test_two_executors_at_once_come_to_the_same_end(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(1, 3))
    first = fleet.service
    second = fleet.new_service()
    for _ in range(60):
        await fleet.round()
        await asyncio.gather(first.executor.reconcile(), second.executor.reconcile())
    assert (await fleet.service.show(OWNER, rollout)).state == "completed"
    assert all(len(t.applied) == 1 for t in fleet.twins)


async def test_an_endpoint_in_one_rollout_is_ready_for_no_other(fleet: SmallFleet) -> None:
    await fleet.create(quick_policy(1, 3))
    await fleet.rounds(2)
    other = await fleet.create(quick_policy(6), Change((Pin("curl", "8.0-1"),)))
    await fleet.rounds(2)
    view = await fleet.service.show(OWNER, other)
    in_first = {t.hostname for t in fleet.twins if t.applied}
    assert all(len(t.applied) <= 1 for t in fleet.twins)
    assert any("is watched in rollout" in m.note for m in view.members if m.hostname in in_first)


async def test_lint_is_silent_and_every_wait_is_explained(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(1, 3))
    await fleet.rounds(4)
    found = await fleet.service.lint(OWNER, rollout)
    assert {f.severity for f in found} == {"note"}
    table = [f.text for f in found if f.rule == "alpha-row"]
    assert any(t.startswith("silent after ") and "class:stationary" in t for t in table)
    assert any(t.startswith("explicit at any time") for t in table)
    lines = await fleet.service.explain(OWNER, rollout)
    assert any(line.gate == "bake" and line.state is State.WAIT for line in lines)


async def test_who_may_not_is_refused(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(1))
    viewer = Principal("te_1", "pe_2", "person", "Vera", frozenset({"rollout.read"}))
    for act in (
        fleet.service.brake(viewer, rollout),
        fleet.service.resume(viewer, rollout, "x"),
        fleet.service.create(viewer, "t", CHANGE, quick_policy(1), ["ep_x"]),
    ):
        with pytest.raises(Forbidden):
            await act
    stranger = Principal("te_2", "pe_3", "person", "Sam", OWNER.permissions)
    with pytest.raises(NotFound):
        await fleet.service.show(stranger, rollout)
    with pytest.raises(NotFound):
        await fleet.service.brake(stranger, rollout)


async def test_what_was_braked_can_be_withdrawn(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(1, 3))
    await fleet.service.brake(OWNER, rollout)
    await fleet.service.withdraw(OWNER, rollout, "a bad update")
    await fleet.rounds(2)
    assert (await fleet.service.show(OWNER, rollout)).state == "withdrawn"
    with pytest.raises(Conflict):
        await fleet.service.resume(OWNER, rollout, "oops")


async def test_withdrawn_is_for_good(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(1))
    await fleet.service.withdraw(OWNER, rollout, "superseded")
    with pytest.raises(Conflict):
        await fleet.service.resume(OWNER, rollout, "oops")
    await fleet.rounds(5)
    assert fleet.offered() == []


async def test_only_a_conductor_makes_a_led_policy(fleet: SmallFleet) -> None:
    await fleet.hear()
    with pytest.raises(Invalid, match="only a conductor's grant"):
        await fleet.create(replace(quick_policy(1, 3), led=True))
