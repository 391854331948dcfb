"""What a simulated endpoint answers, what a drill plans, how it ends and what its report says."""

from __future__ import annotations

import pytest

from brakeline.core.errors import Invalid, NotFound
from brakeline.drills import decide
from brakeline.drills.decide import Twin
from brakeline.drills.model import FAULTS, REGIONS, Fault, State
from brakeline.protocol.codec import encode
from brakeline.protocol.messages import Candidate, CheckInReply, Offer, Outcome, Settings, SignedOrder, UpdateRef
from brakeline.rollout import planner, view
from brakeline.rollout.model import Blueprint, Line, Phase, Wish
from brakeline.rollout.model import State as GateState
from brakeline.rollout.view import LogLine, RolloutView

BAD, BREAKS, HALF, GOOD = (FAULTS[n] for n in ("bad-release", "broken-service", "half-bad", "good-release"))
UPDATES = (UpdateRef("brakeline-drill", "2.0-drill"),)
CANDIDATE = Candidate("ro_1", 1, UPDATES)


def order(rollout: str = "ro_1", digest: str = "") -> SignedOrder:
    offer = Offer("of_1", "ep_1", rollout, 2, digest or decide.transaction_of().digest, UPDATES, 0, 600_000)
    return SignedOrder(encode(offer).decode(), "00")


def answered(twin: Twin, fault: Fault = BAD, **reply: object) -> Twin:
    return decide.answer(twin, CheckInReply(0, Settings(), **reply), "ro_1", fault, 5_000)  # type: ignore[arg-type]


def seen(phase: Phase, ring: int = 0, log: tuple[LogLine, ...] = ()) -> RolloutView:
    """A rollout of three hundred in this phase."""
    policy = decide.policy_of(300)
    blueprint = planner.first_blueprint("ro_1", 0)
    blueprint = Blueprint("ro_1", 2, 1, phase, ring, blueprint.made_ms)
    names = [view.TargetName(f"ep_{n}", f"drill-{n:04}", REGIONS[n % 2], "") for n in range(300)]
    return view.build(
        rollout_id="ro_1", title="drill", change=decide.change_of(BAD), policy=policy, attributes=(), created_ms=0,
        created_by="x", wish=Wish.RUN, blueprint=blueprint, lines=(Line("state", GateState.HALT, "halted: harm"),),
        names=names, subjects=[], samples=[], log=log, population=300, now_ms=60_000,
    )  # fmt: skip


def test_a_candidate_makes_it_ready_and_nothing_else_does() -> None:
    assert decide.check_in_of(Twin(0)).ready == ()
    (ready,) = decide.check_in_of(answered(Twin(0), candidates=(CANDIDATE,))).ready
    assert (ready.rollout_id, ready.transaction) == ("ro_1", decide.transaction_of())
    other = Candidate("ro_2", 1, UPDATES)
    assert decide.check_in_of(answered(Twin(0), candidates=(other,))).ready == ()


def test_a_bad_release_silences_whoever_takes_it() -> None:
    taken = answered(Twin(0), candidates=(CANDIDATE,), offers=(order(),))
    assert taken.silent
    assert taken.harmed_ms == taken.offered_ms == 5_000
    assert taken.result is None, "the dead tell nothing"


def test_a_broken_service_is_told_and_shown_at_every_check_in() -> None:
    taken = answered(Twin(0), BREAKS, offers=(order(),))
    assert taken.result is not None
    assert taken.result.outcome is Outcome.FAILED
    assert taken.result.services_failed == decide.check_in_of(taken).health.failed_services
    assert not taken.silent


def test_a_good_release_is_installed_and_harms_nobody() -> None:
    taken = answered(Twin(0), GOOD, offers=(order(),))
    assert taken.result is not None
    assert taken.result.outcome is Outcome.INSTALLED
    assert not taken.harmed_ms


def test_every_second_one_of_each_region_is_harmed_by_half_bad() -> None:
    harmed = [bool(answered(Twin(n), HALF, offers=(order(),)).harmed_ms) for n in range(8)]
    assert harmed == [True, True, False, False] * 2


@pytest.mark.parametrize("wrong", [order("ro_2"), order(digest="0" * 64)])
def test_what_it_did_not_plan_itself_is_not_taken(wrong: SignedOrder) -> None:
    assert answered(Twin(0), offers=(wrong,)).offer is None


def test_a_second_offer_changes_nothing() -> None:
    once = answered(Twin(0), BREAKS, offers=(order(),))
    again = decide.answer(once, CheckInReply(0, Settings(), offers=(order(),)), "ro_1", BREAKS, 9_000)
    assert again == once


def test_a_halt_is_noted_once_and_nothing_is_taken_after_it() -> None:
    told = answered(Twin(0), candidates=(CANDIDATE,), offers=(order(),), halted=("ro_1",))
    assert (told.offer, told.told_ms) == (None, 5_000)
    later = decide.answer(told, CheckInReply(0, Settings(), halted=("ro_1",)), "ro_1", BAD, 9_000)
    assert later.told_ms == 5_000


@pytest.mark.parametrize("size", [0, 49, 1_001, 10**9])
def test_too_few_and_too_many_are_refused_with_what_to_do(size: int) -> None:
    with pytest.raises(Invalid, match="drill replay"):
        decide.plan_of(BAD, size)


def test_an_unknown_drill_names_those_that_there_are() -> None:
    with pytest.raises(NotFound, match="bad-release"):
        decide.fault_named("worse-release")


def test_the_plan_tells_rings_the_first_verdict_and_the_end() -> None:
    plan = decide.plan_of(BAD, 300)
    assert [r.upto for r in plan.rings] == [12, 30, 120, 300]
    assert plan.rings[0].halts_at is not None
    assert plan.rings[0].halts_at <= plan.rings[0].upto / 2, "half of them would do, so lots that fall badly do no harm"
    assert plan.first_verdict_s < plan.longest_s <= 300


@pytest.mark.parametrize("size", [50, 300, 1_000])
def test_simulated_endpoints_take_a_bounded_share_of_the_server(size: int) -> None:
    assert size / decide.interval_s(size) <= decide.CHECK_INS_PER_S


def test_a_halt_counts_when_everybody_living_knows() -> None:
    policy, halted = decide.policy_of(300), seen(Phase.HALTED)
    knows, dead, ignorant = Twin(0, told_ms=1), Twin(1, silent=True), Twin(2)
    assert decide.over(BAD, halted, [knows, dead], 0, policy) is State.HALTED
    assert decide.over(BAD, halted, [knows, dead, ignorant], 0, policy) is None


def test_a_hold_that_outlasts_every_checkpoint_is_the_end() -> None:
    policy, held = decide.policy_of(300), seen(Phase.HOLDING)
    assert decide.over(BREAKS, held, [Twin(0)], policy.checkpoints_s[-1], policy) is None
    assert decide.over(BREAKS, held, [Twin(0)], policy.checkpoints_s[-1] + 1, policy) is State.HELD
    assert decide.over(GOOD, held, [Twin(0)], 10_000, policy) is None, "a good change that is held has not passed"


def test_a_good_change_has_passed_when_the_second_ring_opens_and_a_bad_one_never() -> None:
    policy = decide.policy_of(300)
    assert decide.over(GOOD, seen(Phase.ROLLING, 1), [], 0, policy) is State.PASSED
    assert decide.over(BAD, seen(Phase.ROLLING, 1), [], 0, policy) is None
    assert decide.over(BAD, seen(Phase.COMPLETED, 3), [], 0, policy) is State.MISSED


def test_the_report_counts_and_times_what_happened() -> None:
    policy = decide.policy_of(300)
    log = (LogLine(50_000, "halted", "brakeline", "halted: harm"), LogLine(2_000, "result", "ep_1", "noise"),
           LogLine(1_000, "rolling", "brakeline", "ring opened"))  # fmt: skip
    twins = [Twin(0, "ep_0", offered_ms=3_000, harmed_ms=4_000, silent=True)]
    twins += [Twin(n, f"ep_{n}", told_ms=50_500 + n) for n in range(1, 300)]
    report = decide.report_of(BAD, policy, seen(Phase.HALTED, log=log), twins, 7, 500)
    assert (report.offered, report.harmed, report.spared, report.real_endpoints) == (1, 1, 299, 7)
    assert (report.told, report.to_tell, report.first_ring) == (299, 299, True)
    grace_ms = policy.grace_s("server") * 1000
    assert report.evidence_ms == 4_000 + grace_ms, "silence is evidence when its grace is over, not before"
    assert report.to_halt_s == (50_000 - report.evidence_ms) / 1000
    assert report.to_last_told_s == pytest.approx(0.799)
    assert [m.what for m in report.moments] == ["ring opened", "halted: harm"]
    assert decide.told(State.HALTED, report) == "BRAKED in the first ring: 1 harmed, 299 of 300 spared"


def test_before_there_is_a_rollout_the_report_knows_nothing_and_says_so() -> None:
    report = decide.report_of(BAD, decide.policy_of(300), None, [Twin(n) for n in range(300)], 0, 0)
    assert (report.phase, report.why, report.to_halt_s) == ("", "enrolling simulated endpoints", None)
