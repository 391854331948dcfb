"""A cell under a grant: it can always stop, and never goes further than it was let."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from brakeline.cells import residency
from brakeline.cells.model import SUMMED, Cause, Grant, GrantedRing, Stand
from brakeline.protocol.codec import encode
from brakeline.rollout import evidence, led, planner
from brakeline.rollout.alpha import alpha_table
from brakeline.rollout.led import Led
from brakeline.rollout.model import (
    Arm,
    Blueprint,
    Change,
    Gate,
    Goal,
    Guard,
    Observed,
    Phase,
    Pin,
    Policy,
    Progress,
    Report,
    Ring,
    State,
    Subject,
    Wish,
)
from brakeline.rollout.summary import Part, Summary, summarise

NOW = 1_795_400_000_000
POLICY = Policy((Ring("one", 60, count=1), Ring("all", 60, share=1.0)), guard=Guard(holdout=0.0))
RINGS = (GrantedRing("zero", 60, 0), GrantedRing("one", 60, 2))
GRANT = Grant("ld_01JD0000000000000000000000", "li_1", "a", 4, Stand.GO, "ring one", "t", "", "{}",
              encode(POLICY).decode(), RINGS, NOW, NOW + 300_000)  # fmt: skip
LED = Led(GRANT.lead_id, "the conductor", GRANT, NOW, NOW)
FIRST = planner.first_blueprint("ro_1", NOW)
US = tuple(range(0, 10_000, 1000))


def seen(**changes: object) -> Summary:
    observed = Observed(Change((Pin("x", "1"),)), 10, (), {"eu": US}, {"eu": US}, data_ms=NOW)
    return summarise(led.policy_of(POLICY, GRANT), FIRST, replace(observed, **changes), NOW)  # type: ignore[arg-type]


def step(known: Led, current: Blueprint = FIRST, now_ms: int = NOW) -> tuple[Blueprint, Report]:
    policy = led.policy_of(POLICY, known.grant or GRANT)
    return led.bounded(current, *planner.decide(policy, current, seen(), now_ms), known, now_ms)


def given(**changes: object) -> Led:
    return replace(LED, grant=replace(GRANT, **changes))  # type: ignore[arg-type]


def test_a_grant_opens_its_ring_for_its_count_and_its_time() -> None:
    opened, report = step(LED)
    (gate,) = opened.gates
    assert (gate.budget, gate.closes_ms) == (2, GRANT.expires_ms)
    assert (opened.ring, sum(g.treated for g in opened.goals)) == (0, 2)  # the conductor's ring two is its first
    assert LED.offset == 1
    assert list(led.exceeds(opened, LED, 0, {}, NOW)) == []
    assert "grants up to 2 endpoints here" in report.lines[-1].text


@pytest.mark.parametrize(
    ("known", "now_ms", "said"),
    [
        (replace(LED, grant=None), NOW, "no grant of the conductor yet; asked 0 s ago"),
        (LED, NOW + 300_000, "no grant of the conductor since 5 min; asked 5 min ago"),
        (replace(LED, trouble="refused"), NOW + 300_000, ": refused"),
        (given(stand=Stand.HOLD, why="paused by Olga"), NOW, "the conductor says hold: paused by Olga"),
        (given(stand=Stand.HALT, why="halted"), NOW, "the conductor says halt: halted"),
        (given(rings=RINGS[:1]), NOW, "has opened nothing to this cell yet"),
        (given(issued_ms=NOW + 40_000, expires_ms=NOW + 90_000), NOW, "comes from the future"),
        (replace(LED, isolated=True), NOW, "isolated"),
    ],
)
def test_whatever_is_not_a_fresh_grant_that_says_go_holds_and_says_why(known: Led, now_ms: int, said: str) -> None:
    opened, _ = step(LED)
    for current in (FIRST, opened):
        after, report = step(known, current, now_ms)
        assert (after.phase, after.gates) == (Phase.HOLDING, ())
        assert said in report.lines[0].text
        assert report.lines[0].state is State.HOLD
    assert list(led.exceeds(opened, known, 0, {}, now_ms)) != []


def test_a_hold_is_one_move_and_no_generation_a_second() -> None:
    held, _ = step(replace(LED, grant=None))
    again, _ = step(replace(LED, grant=None), held, NOW + 1000)
    assert again is held


def test_a_cell_stops_by_itself_whatever_the_grant_says() -> None:
    policy = led.policy_of(POLICY, GRANT)
    braked = seen(wish=Wish.BRAKE, wish_by="Olga")
    after, _ = led.bounded(FIRST, *planner.decide(policy, FIRST, braked, NOW), LED, NOW)
    assert after.phase is Phase.HALTED


def test_the_last_granted_ring_is_not_the_end_until_the_conductor_says_so() -> None:
    rolling = replace(FIRST, phase=Phase.ROLLING, ring=0, goals=(Goal("eu", 2),), ring_opened_ms=(NOW,))
    ended = replace(rolling, generation=2, parent=1, phase=Phase.COMPLETED)
    after, report = led.bounded(rolling, ended, Report(()), LED, NOW)
    assert after.phase is Phase.ROLLING
    assert "passed here as far as it is opened" in report.lines[0].text
    assert led.bounded(rolling, ended, Report(()), given(stand=Stand.DONE), NOW)[0].phase is Phase.COMPLETED


def test_the_second_look_finds_what_goes_beyond() -> None:
    opened, _ = step(LED)
    (gate,) = opened.gates

    def found(gate: Gate, treated: int = 0, ring: int = 0) -> str:
        return " ".join(led.exceeds(replace(opened, gates=(gate,), ring=ring), LED, treated, {}, NOW))

    assert "exceed the 2 granted" in found(replace(gate, budget=3))
    assert "exceed the 2 granted" in found(gate, treated=1)
    assert "longer than its grant" in found(replace(gate, closes_ms=gate.closes_ms + 1))
    assert "where 1 were granted" in found(gate, ring=1)


def test_what_is_told_counts_and_names_nobody() -> None:
    subjects = tuple(
        Subject(f"ep_secret{i}", Arm.TREATED, 0, 1, region, "server", i, NOW - 5_000_000, 1, ("os:debian-12", "tag:db"),
                heard=1, last_heard_ms=NOW, progress=Progress.INSTALLED, proven_ms=NOW)
        for i, region in enumerate(("eu-secret", "us-secret"))
    )  # fmt: skip
    summary = seen(subjects=subjects)
    report = led.told(led.policy_of(POLICY, GRANT), FIRST, summary, LED, Cause.NONE, NOW)
    (part,) = report.parts
    assert (part.treated, part.ring, part.youngest_age_s) == (2, 1, 5000)
    assert {e.group for e in report.ended} <= residency.GROUPS
    assert residency.foreign(report) == ""
    text = encode(report).decode()
    assert not [word for word in ("secret", "os:", "tag:", "debian") if word in text]


def test_a_stop_that_the_conductor_ordered_is_not_told_back_as_the_cell_s_own() -> None:
    halted = replace(FIRST, phase=Phase.HALTED)
    assert led.cause_of(halted, Report(()), Wish.BRAKE, f"{led.BY}of https://x", frozen=False) is Cause.CONDUCTOR
    assert led.cause_of(halted, Report(()), Wish.BRAKE, "Olga", frozen=False) is Cause.PERSON
    assert led.cause_of(halted, Report(()), Wish.RUN, "", frozen=False) is Cause.EVIDENCE


def test_a_cell_may_tell_every_signal_and_group_that_has_a_row_of_its_own() -> None:
    later = residency.LATER_SIGNALS | residency.LATEST_SIGNALS
    assert {*evidence.SIGNALS, evidence.EXPLICIT} == residency.SIGNALS | later
    assert {row.group for row in alpha_table(Policy((Ring("all", 1, share=1.0),)), ())} == residency.GROUPS


def test_later_signals_are_told_where_an_older_conductor_passes_them_over() -> None:
    rows = {("silent", 0, "all"): {0: (1.0,) * 6}, ("deletions", 0, "all"): {0: (2.0,) * 42},
            ("blocks", 1, "os:debian-12"): {0: (3.0,) * 42}, ("errors", 0, "all"): {0: (4.0,) * 42}}  # fmt: skip
    report = led.told(led.policy_of(POLICY, GRANT), FIRST, replace(seen(), table=rows), LED, Cause.NONE, NOW)
    assert [b.signal for b in report.bets] == ["silent"]
    assert [b.signal for b in report.harms] == ["deletions"]  # what is tied to an attribute stays in the cell
    assert [b.signal for b in report.vitals] == ["errors"]
    assert residency.foreign(report) == ""
    assert residency.foreign(replace(report, harms=report.bets)) != ""
    assert residency.foreign(replace(report, harms=report.vitals)) != ""
    assert residency.foreign(replace(report, bets=report.harms)) != ""  # as an older conductor would have it
    assert set(led.table_of((*report.bets, *report.harms))) == {("silent", 0, "all"), ("deletions", 0, "all")}


def test_a_cell_tells_every_figure_that_the_brake_judges_a_part_by() -> None:
    """A figure that is added to one of them and not to the other would be judged as 0 by the conductor."""
    place = {"ring", "region", "machine_class", "youngest_ms"}
    assert {f.name for f in fields(Part)} - place == set(SUMMED)


HOLD_AGAIN = given(stand=Stand.HOLD, why="2 took nothing", retry=True)


def test_a_hold_for_evidence_lets_those_who_have_it_be_offered_it_again_and_opens_nothing() -> None:
    opened, _ = step(LED)
    held, report = step(HOLD_AGAIN, opened)
    assert (held.phase, held.gates, held.retry) == (Phase.HOLDING, (), True)
    assert "the conductor says hold: 2 took nothing" in report.lines[0].text
    assert step(HOLD_AGAIN, held, NOW + 1000)[0] is held
    assert list(led.exceeds(held, HOLD_AGAIN, 2, {}, NOW)) == []


@pytest.mark.parametrize(
    ("known", "now_ms"),
    [(HOLD_AGAIN, NOW + 300_000), (replace(HOLD_AGAIN, isolated=True), NOW), (given(stand=Stand.HOLD), NOW),
     (given(stand=Stand.HOLD, retry=True, issued_ms=NOW + 40_000, expires_ms=NOW + 90_000), NOW)],
)  # fmt: skip
def test_without_a_fresh_grant_that_says_so_nothing_is_offered_again(known: Led, now_ms: int) -> None:
    held, _ = step(HOLD_AGAIN, step(LED)[0])
    assert not step(known, held, now_ms)[0].retry


def test_what_people_of_the_cell_have_paused_is_not_offered_again() -> None:
    policy = led.policy_of(POLICY, GRANT)
    paused = planner.decide(policy, FIRST, seen(wish=Wish.PAUSE, wish_by="Olga"), NOW)
    assert not led.bounded(FIRST, *paused, HOLD_AGAIN, NOW)[0].retry
