"""What a conductor concludes from counts: when the next ring opens, what holds it, and how far each cell may go."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.cells import decide
from brakeline.cells.model import (
    GRANT_S,
    SILENT_MS,
    Cause,
    CellControls,
    CellEnded,
    CellPart,
    CellPhase,
    CellReport,
    MemberState,
    Stand,
)
from brakeline.protocol.codec import decode, encode_sparse
from brakeline.rollout import conduct as c
from brakeline.rollout import conducting, planner, untaken
from brakeline.rollout.alpha import alpha_sum, alpha_table, questions
from brakeline.rollout.conduct import Lead, Standing, conduct, grants, merged
from brakeline.rollout.model import Change, Guard, Phase, Pin, Policy, Ring, State, Wish
from brakeline.rollout.presets import policy_for
from brakeline.rollout.settings import led_change
from brakeline.rollout.wished import Wished

NOW = 1_795_400_000_000
LEAD = "ld_01JD0000000000000000000000"
RINGS = (Ring("one", 2600, count=4), Ring("two", 2600, share=1.0))
POLICY = Policy(RINGS, guard=Guard(holdout=0.0))
CELLS = ("a", "b")


def lead(**changes: object) -> Lead:
    made = Lead(LEAD, "t", Change((Pin("x", "1"),)), POLICY, "", CELLS, Wish.RUN, "Olga", "",
                planner.first_blueprint(LEAD, NOW))  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def told(cell: str, eligible: int = 10, **changes: object) -> Standing:
    report = replace(CellReport(LEAD, 1, CellPhase.HOLDING, Cause.CONDUCTOR, eligible=eligible),
                     **changes)  # type: ignore[arg-type]  # fmt: skip
    return Standing(cell, f"li_{cell}", MemberState.JOINED, report, NOW)


def done(cell: str, n: int = 2, ring: int = 0, eligible: int = 8, **changes: object) -> Standing:
    """A cell that has passed a ring of `n`."""
    part = CellPart(ring, "server", treated=n, known=n, proven=n, passed=n, passed_known=n, passed_proven=n, seen=n,
                    youngest_age_s=9000, baked=n)  # fmt: skip
    return told(cell, eligible, phase=CellPhase.ROLLING, cause=Cause.NONE, ring=ring, passed=True, parts=(part,),
                controls=(CellControls("server", 4, 4),), ended=(CellEnded("all", n, 0),), compared=True)  # fmt: skip


BOTH = (told("a"), told("b"))


def at(now_ms: int, *cells: Standing) -> tuple[Standing, ...]:
    """Heard just now."""
    return tuple(replace(x, heard_ms=now_ms) for x in cells)


def opened() -> Lead:
    """The first ring, in both cells."""
    first, _ = conduct(lead(), BOTH, NOW)
    second, _ = conduct(first, at(NOW + 200_000, *BOTH), NOW + 200_000)
    return second


def why(found: tuple[Lead, object]) -> str:
    return found[1].lines[0].text  # type: ignore[attr-defined, no-any-return]


def test_a_ring_is_shared_out_by_size_and_opens_in_one_cell_after_another() -> None:
    first, report = conduct(lead(), (told("a", 30), told("b", 10)), NOW)
    assert first.plan[0].uptos == {"a": 3, "b": 1}
    assert first.opened == {"a": 1}
    given = grants(first, (told("a", 30), told("b", 10)), report, NOW)
    assert [r.upto for r in given["a"].rings] == [3]
    assert given["b"].rings == ()
    assert "opens here in" in given["b"].why
    later, _ = conduct(first, at(NOW + 100_000, told("a", 30), told("b", 10)), NOW + 100_000)
    assert later.opened == {"a": 1, "b": 1}


def test_what_was_granted_is_not_taken_back_when_the_cell_before_falls_ill() -> None:
    ill = at(NOW + 200_000, replace(told("a"), doubt="it lies"), told("b"))
    assert conduct(opened(), ill, NOW + 200_000)[0].opened == {"a": 1, "b": 1}
    waits, _ = conduct(conduct(lead(), BOTH, NOW)[0], ill, NOW + 200_000)
    assert "b" not in waits.opened


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ((told("a"), Standing("b", "li_b", MemberState.JOINED)), "cell b: it has told nothing of this yet"),
        ((told("a"), replace(told("b"), heard_ms=NOW - SILENT_MS - 1)), "cell b: not heard for"),
        ((told("a"), replace(told("b"), doubt="it treated 5, and now 3")), "cell b: it is not believed any more"),
    ],
)
def test_no_ring_opens_without_everybody_who_takes_part(cells: tuple[Standing, ...], said: str) -> None:
    after, report = conduct(lead(), cells, NOW)
    assert after.blueprint.ring == -1
    assert said in report.lines[0].text


def test_a_drained_cell_is_not_waited_for_and_gets_nothing() -> None:
    cells = (told("a"), replace(told("b"), state=MemberState.DRAINED))
    after, report = conduct(lead(), cells, NOW)
    assert after.plan[0].uptos == {"a": 4}
    assert list(grants(after, cells, report, NOW)) == ["a"]


def test_the_next_ring_opens_when_all_have_passed_by_themselves_and_together() -> None:
    late = NOW + 9_500_000
    cells = at(late, *map(done, CELLS))
    after, _ = conduct(opened(), cells, late)
    assert after.blueprint.ring == 1
    assert after.plan[1].uptos == {"a": 10, "b": 10}


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"passed": False}, "waits for cell b: ring 1 goes on there"),
        ({"phase": CellPhase.HOLDING, "cause": Cause.EVIDENCE}, "waits for cell b: it holds by itself (evidence)"),
        ({"phase": CellPhase.WITHDRAWN}, "waits for cell b: withdrawn by its people"),
    ],
)
def test_one_cell_that_is_not_ready_holds_the_ring(other: dict[str, object], said: str) -> None:
    late = NOW + 9_500_000
    b = done("b")
    assert b.report is not None
    cells = (replace(done("a"), heard_ms=late), replace(b, report=replace(b.report, **other), heard_ms=late))  # type: ignore[arg-type]
    found = conduct(opened(), cells, late)
    assert found[0].blueprint.ring == 0
    assert said in why(found)


def test_a_cell_too_small_to_matter_for_the_pool_is_waited_for_all_the_same() -> None:
    """Nine of ten of all are enough for the pool; a cell that has not begun is a whole cell."""
    start, late = opened(), NOW + 9_500_000
    uneven = replace(start, plan=(replace(start.plan[0], uptos={"a": 30, "b": 1}),))
    cells = at(late, done("a", 30), told("b", 10))
    found = conduct(uneven, cells, late)
    assert found[0].blueprint.ring == 0


def test_a_halt_in_one_cell_halts_all_and_stays() -> None:
    cells = (done("a"), told("b", phase=CellPhase.HALTED, cause=Cause.EVIDENCE))
    after, report = conduct(opened(), cells, NOW + 1000)
    assert after.blueprint.phase is Phase.HALTED
    assert "cell b" in report.lines[0].text
    assert {g.stand for g in grants(after, cells, report, NOW).values()} == {Stand.HALT}
    again, _ = conduct(after, (done("a"), done("b")), NOW + 2000)
    assert again.blueprint.phase is Phase.HALTED


def test_two_failures_in_two_cells_halt_though_each_saw_only_one() -> None:
    part = CellPart(0, "server", treated=2, failed=1, failed_news=1)
    cells = tuple(told(x, phase=CellPhase.HOLDING, cause=Cause.EVIDENCE, ring=0, parts=(part,)) for x in CELLS)
    after, _ = conduct(opened(), cells, NOW + 1000)
    assert after.blueprint.phase is Phase.HALTED


def test_ages_are_told_so_a_cell_s_clock_does_not_matter() -> None:
    (part, *_) = merged(opened(), (replace(done("a"), heard_ms=NOW), done("b")), NOW + 5000).parts
    assert part.youngest_ms == NOW - 9_000_000


def test_the_chance_of_a_false_halt_is_shared_and_never_more() -> None:
    spent = alpha_sum(alpha_table(c.pool_policy(POLICY), ())) + 5 * alpha_sum(
        alpha_table(c.cell_policy(POLICY, 5), ("os:debian-12",))
    )
    assert spent <= POLICY.guard.alpha * (1 + 1e-9)


def test_a_grant_says_who_for_how_long_and_how_far() -> None:
    lead_ = opened()
    given = grants(lead_, BOTH, conduct(lead_, BOTH, NOW)[1], NOW)["a"]
    assert (given.cell, given.link_id, given.stand) == ("a", "li_a", Stand.GO)
    assert given.expires_ms - given.issued_ms == GRANT_S * 1000
    assert decode(Policy, given.policy.encode()).guard.alpha == POLICY.guard.alpha / 4


def test_a_paused_lead_grants_nothing_new() -> None:
    paused, report = conduct(replace(opened(), wish=Wish.PAUSE, wish_by="Olga"), BOTH, NOW)
    assert {g.stand for g in grants(paused, BOTH, report, NOW).values()} == {Stand.HOLD}
    assert report.lines[0].state is State.HOLD


def test_a_lead_that_held_goes_on_to_cells_that_had_not_the_open_ring() -> None:
    """Else it waits for them, and they for it: the ring is enrolled without them, so nothing else makes it roll."""
    policy = replace(POLICY, rings=(Ring("one", 2600, count=20), RINGS[1]))
    begun, _ = conduct(lead(policy=policy), (told("a", 95), told("b", 5)), NOW)
    assert begun.plan[0].uptos == {"a": 19, "b": 1}
    held = replace(begun, opened={"a": 1, "b": 0}, blueprint=replace(begun.blueprint, phase=Phase.HOLDING))
    later = NOW + 100 * 3600_000
    cells = at(later, done("a", 19, eligible=76), told("b", 5, phase=CellPhase.DRAFT))
    moved, report = conduct(held, cells, later)
    assert moved.blueprint.phase is Phase.ROLLING
    assert moved.blueprint.ring == held.blueprint.ring
    assert len(moved.plan) == len(held.plan), "no ring is opened by it"
    assert dict(moved.opened) == {"a": 1, "b": 1}
    assert "waits for cell b" in report.lines[0].text


def idle(cell: str, n: int, untaken: int, leads: int = 1, ring: int = 0) -> Standing:
    """A cell of whose ring so many were heard and took nothing."""
    part = CellPart(ring, "server", treated=n, known=n - untaken, proven=n - untaken, passed=n,
                    passed_known=n - untaken, passed_proven=n - untaken, open=untaken, seen=n - untaken,
                    youngest_age_s=9000, baked=n, asked=n, untaken=untaken)  # fmt: skip
    report = told(cell, 8, phase=CellPhase.ROLLING, cause=Cause.NONE, ring=ring, parts=(part,),
                  controls=(CellControls("server", 4, 4),), compared=True)  # fmt: skip
    return replace(report, leads=leads)


def test_what_is_not_taken_is_judged_over_all_cells_as_a_cell_judges_it_and_offered_again() -> None:
    cells = at(NOW + 400_000, idle("a", 2, 1), idle("b", 2, 0, leads=0))
    held, report = conduct(opened(), cells, NOW + 400_000)
    assert held.blueprint.phase is Phase.HOLDING
    assert "1 of 4 that are in contact took nothing of what they were offered" in report.lines[0].text
    given = grants(held, cells, report, NOW + 400_000)
    assert [(c, g.stand, g.retry) for c, g in given.items()] == [("a", Stand.HOLD, True), ("b", Stand.HOLD, False)]
    assert "retry" not in encode_sparse(given["b"]).decode(), "a cell of the version before would refuse it whole"


def test_what_no_cell_can_tell_from_chance_by_itself_halts_over_all_of_them() -> None:
    rings = (Ring("one", 2600, count=400), Ring("two", 2600, share=1.0))
    policy = Policy(rings, guard=Guard(holdout=0.0))
    first = replace(lead(policy=policy, cells=("a", "b", "c", "d")), blueprint=replace(
        planner.first_blueprint(LEAD, NOW), phase=Phase.ROLLING, ring=0, ring_opened_ms=(NOW,)))  # fmt: skip
    each = tuple(replace(idle(c, 100, 9), heard_ms=NOW + 400_000) for c in first.cells)
    each = tuple(replace(x, report=replace(x.report, eligible=1000)) for x in each)
    row = questions(c.cell_policy(policy, 4), ())[(untaken.UNTAKEN, -1, "all")]
    alone = untaken.line({0: (100, 9)}, frozenset(), (), row.bar)
    assert alone is not None
    assert alone.state is State.OK, alone.text
    after, report = conduct(first, each, NOW + 400_000)
    assert after.blueprint.phase is Phase.HALTED
    assert "36 of 400 that are in contact took nothing" in report.lines[0].text


def test_a_figure_of_more_than_were_asked_cannot_be_true() -> None:
    report = idle("a", 2, 1).report
    assert report is not None
    assert decide.plausible(report, None, 4) == ""
    (part,) = report.parts
    for asked, idle_ones in ((3, 1), (1, 2), (-1, 0)):
        bent = replace(report, parts=(replace(part, asked=asked, untaken=idle_ones),))
        assert decide.plausible(bent, None, 4) != ""


def test_whoever_agrees_to_settings_in_the_fast_lane_reads_their_words() -> None:
    change = led_change(Wished("often", filter="os:debian", refresh_interval_s=3600), "Settings often")
    said = " ".join(conducting._says_fast(replace(lead(), change=change), 40))
    assert "policy often" in said
    assert "os:debian" in said
    assert "seconds between looks for newer package lists: 3600" in said
    assert "installs" not in said
    assert "It installs x 1. " in " ".join(conducting._says_fast(lead(), 40))


def drafted(pace: str, **changes: object) -> Lead:
    policy = policy_for(conducting.SIZE_MAX, pace)
    return lead(policy=policy, wish=Wish.DRAFT, **changes)


@pytest.mark.parametrize("pace", ["careful", "fast", "emergency"])
def test_a_lead_over_few_endpoints_has_neither_the_early_look_nor_the_spread_of_many(pace: str) -> None:
    fitted = conducting.fit(drafted(pace), 500, whole=True)
    assert fitted.policy == policy_for(500, pace)
    assert (fitted.policy.early, fitted.policy.spread_s, fitted.policy.region_stagger_s) == (0, 0, 0)
    assert decode(Policy, c.words(fitted)[1].encode()) == c.cell_policy(fitted.policy, 2), "what cells are told"
    many = conducting.fit(drafted(pace), 8_500_000, whole=True)
    assert (many.policy.early, many.policy.spread_s > 0) == (1, True)


def test_where_a_cell_of_a_version_before_takes_part_rings_alone_are_fitted() -> None:
    before = drafted("careful")
    fitted = conducting.fit(before, 500, whole=False)
    assert fitted.policy.rings == policy_for(500).rings
    assert c.words(fitted) == c.words(before), "it would refuse another policy"
    assert fitted.policy.spread_s == before.policy.spread_s


def test_what_was_taken_over_keeps_its_change_word_for_word_when_it_is_fitted() -> None:
    taken = drafted("careful", told=("as the first conductor wrote it", "policy"))
    assert c.words(conducting.fit(taken, 500, whole=True))[0] == "as the first conductor wrote it"


def test_a_plan_of_one_s_own_is_fitted_to_nothing() -> None:
    assert conducting.fit(lead(wish=Wish.DRAFT), 500, whole=True) == lead(wish=Wish.DRAFT)


def test_a_cell_that_was_concerned_too_late_is_no_riddle_when_all_is_done() -> None:
    nobody = told("b", 3, phase=CellPhase.NOBODY)
    over = replace(lead(), blueprint=replace(lead().blueprint, phase=Phase.COMPLETED))
    assert "only since its last ring was planned" in c._line(over, nobody, NOW).text
    assert "none of them in a ring yet" in c._line(lead(), nobody, NOW).text
    without = c._line(over, told("b", 0, phase=CellPhase.NOBODY), NOW).text  # so says a cell that has no draft of it
    assert without.endswith(
        "it concerned nobody there while there were rings to plan; lead it again for whom it does since"
    )
