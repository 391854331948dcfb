"""What is believed of what comes over a link, and what is not: by attack."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest

from brakeline.cells import decide, residency
from brakeline.cells.decide import Doubt
from brakeline.cells.model import (
    ANSWER_CONTEXT,
    EXCHANGE_CONTEXT,
    GRANT_CONTEXT,
    Answer,
    CellBets,
    CellControls,
    CellEnded,
    CellPart,
    CellPhase,
    CellReport,
    Exchange,
    Grant,
    GrantedRing,
    Link,
    Member,
    MemberState,
    Orphan,
    Signed,
    Stand,
    superseded,
)
from brakeline.protocol.codec import encode, encode_sparse
from brakeline.trust import ed25519

NOW = 1_795_400_000_000
CELL, CONDUCTOR, THIEF = b"\1" * 32, b"\2" * 32, b"\3" * 32
LEAD = "ld_01JD0000000000000000000000"
PART = CellPart(0, "server", treated=10, known=9, proven=8, passed=9, passed_known=8, passed_proven=8, seen=9)
REPORT = CellReport(LEAD, 3, CellPhase.ROLLING, ring=0, eligible=5, parts=(PART,),
                    controls=(CellControls("server", 20, 19),),
                    bets=(CellBets("silent", 0, "class:server", 0, (0.1,) * 6),),
                    ended=(CellEnded("all", 9, 0),))  # fmt: skip
SAID = Exchange("li_1", "dallas", 7, NOW, "0.1", (REPORT,))
MEMBER = Member("li_1", "dallas", "us", MemberState.JOINED, ed25519.public_key(CELL).hex(), counter=6)
LINK = Link("li_1", "dallas", "https://x", "", ed25519.public_key(CONDUCTOR).hex())
RINGS = (GrantedRing("canary", 60, 2), GrantedRing("early", 60, 5))
GRANT = Grant(LEAD, "li_1", "dallas", 4, Stand.GO, "ring early", "t", "", "{}", "{}", RINGS, NOW, NOW + 300_000)


def signed(context: bytes, message: object, seed: bytes) -> Signed:
    payload = encode(message)
    return Signed(payload.decode(), ed25519.sign(seed, context + payload).hex())


def said(**changes: Any) -> Signed:
    return signed(EXCHANGE_CONTEXT, replace(SAID, **changes), CELL)


def test_an_honest_message_is_believed() -> None:
    assert decide.heard(MEMBER, said(), NOW) == SAID
    assert decide.plausible(REPORT, None, 10) == ""


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (said(counter=6), "replayed"),
        (said(cell="berlin"), "other_cell"),
        (said(link_id="li_2"), "other_cell"),
        (said(sent_ms=NOW - 31_000), "clock_skew"),
        (said(sent_ms=NOW + 31_000), "clock_skew"),
        (said(reports=(REPORT, REPORT)), "malformed"),
        (said(counter=10**30), "malformed"),
        (said(sent_ms=10**30), "clock_skew"),
        (signed(EXCHANGE_CONTEXT, SAID, THIEF), "signature"),
        (signed(GRANT_CONTEXT, SAID, CELL), "signature"),
        (replace(said(), signature="zz"), "signature"),
        (replace(said(), payload=said().payload.replace("dallas", "berlin")), "signature"),
    ],
)
def test_a_message_of_another_older_or_with_another_key_is_refused(message: Signed, why: str) -> None:
    with pytest.raises(Doubt) as refused:
        decide.heard(MEMBER, message, NOW)
    assert refused.value.context["why"] == why


@pytest.mark.parametrize("state", [MemberState.INVITED, MemberState.ISOLATED])
def test_who_has_not_joined_or_is_isolated_is_not_heard(state: MemberState) -> None:
    with pytest.raises(Doubt, match=state.value):
        decide.heard(replace(MEMBER, state=state), said(), NOW)


def test_a_report_with_anything_beside_the_schema_is_refused() -> None:
    plain = json.loads(encode(SAID))
    plain["reports"][0]["parts"][0]["hostname"] = "db-01"
    payload = json.dumps(plain).encode()
    message = Signed(payload.decode(), ed25519.sign(CELL, EXCHANGE_CONTEXT + payload).hex())
    with pytest.raises(Doubt, match="hostname"):
        decide.heard(MEMBER, message, NOW)


def test_a_report_of_the_version_before_has_fewer_fields_and_is_read() -> None:
    plain = json.loads(encode(SAID))
    del plain["reports"][0]["compared"], plain["reports"][0]["data_age_s"]
    payload = json.dumps(plain).encode()
    message = Signed(payload.decode(), ed25519.sign(CELL, EXCHANGE_CONTEXT + payload).hex())
    assert decide.heard(MEMBER, message, NOW) == SAID


@pytest.mark.parametrize(
    ("report", "why"),
    [
        (replace(REPORT, eligible=-1), "negative or absurdly high"),
        (replace(REPORT, eligible=10**12), "negative or absurdly high"),
        (replace(REPORT, parts=(replace(PART, proven=11),)), "more of its endpoints"),
        (replace(REPORT, parts=(replace(PART, ring=1),)), "a ring that it has not opened"),
        (replace(REPORT, controls=(CellControls("server", 3, 4),)), "larger than its whole"),
        (replace(REPORT, ended=(CellEnded("all", 1, 2),)), "larger than its whole"),
        (replace(REPORT, bets=(CellBets("silent", 0, "all", 0, (float("nan"),)),)), "no number"),
        (replace(REPORT, bets=(CellBets("silent", 0, "all", 0, (float("inf"),)),)), "no number"),
        (replace(REPORT, bets=(CellBets("silent", 0, "all", 0, (1e300,)),)), "no number"),
        (replace(REPORT, bets=REPORT.bets * 2001), "no number"),
        (replace(REPORT, ended=(CellEnded("os:debian-12", 1, 0),)), "none of ours"),
        (replace(REPORT, parts=(replace(PART, machine_class="db-01"),)), "none of ours"),
        (replace(REPORT, lead_id="db-01"), "no id"),
    ],
)
def test_a_report_that_cannot_be_true_says_why(report: CellReport, why: str) -> None:
    assert why in decide.plausible(report, None, 10)


def test_counts_never_fall_and_never_exceed_the_grant() -> None:
    assert "where 9 were granted" in decide.plausible(REPORT, None, 9)
    fewer = replace(REPORT, parts=(CellPart(0, "server", treated=3),))
    assert "it treated 10 endpoints, and now 3" in decide.plausible(fewer, REPORT, 10)
    assert "older grant" in decide.plausible(replace(REPORT, revision=2), REPORT, 10)


def test_attributes_never_cross() -> None:
    assert residency.may_cross("all")
    assert residency.may_cross("class:stationary")
    assert not any(map(residency.may_cross, ("os:debian-12", "tag:db", "class:db-01", "host:web-1", "")))


# --- in the cell ------------------------------------------------------------------------------------------------------


def grant(seed: bytes = CONDUCTOR, **changes: Any) -> Signed:
    return signed(GRANT_CONTEXT, replace(GRANT, **changes), seed)


def test_our_grant_is_believed_and_may_add_a_ring() -> None:
    assert decide.granted(LINK, grant(), None, NOW) == GRANT
    assert decide.granted(LINK, grant(), replace(GRANT, rings=RINGS[:1]), NOW) == GRANT


@pytest.mark.parametrize(
    ("message", "kept", "why"),
    [
        (grant(CELL), None, "signature"),
        (signed(ANSWER_CONTEXT, GRANT, CONDUCTOR), None, "signature"),
        (grant(cell="berlin"), None, "other_cell"),
        (grant(link_id="li_2"), None, "other_cell"),
        (grant(issued_ms=NOW - 400_000, expires_ms=NOW), None, "expired"),
        (grant(expires_ms=NOW + 600_001), None, "too_long"),
        (grant(issued_ms=NOW + 31_000), None, "clock_skew"),
        (grant(rings=(RINGS[1], RINGS[0])), None, "malformed"),
        (grant(rings=(replace(RINGS[0], upto=-1),)), None, "malformed"),
        (grant(), replace(GRANT, revision=5), "rollback"),
        (grant(), replace(GRANT, issued_ms=NOW + 1), "rollback"),
        (grant(change='{"updates":[]}'), GRANT, "other_change"),
        (grant(policy='{"quorum":0.1}'), GRANT, "other_change"),
        (grant(rings=(replace(RINGS[0], upto=4), RINGS[1])), GRANT, "other_rings"),
        (grant(), replace(GRANT, rings=()), "two_rings"),
        (grant(), replace(GRANT, stand=Stand.HALT), "unhalted"),
    ],
)
def test_a_grant_that_is_not_ours_whole_and_young_is_refused(message: Signed, kept: Grant | None, why: str) -> None:
    with pytest.raises(Doubt) as refused:
        decide.granted(LINK, message, kept, NOW)
    assert refused.value.context["why"] == why


def test_rings_in_which_a_cell_has_nobody_may_come_together() -> None:
    empty = (GrantedRing("canary", 60, 0), GrantedRing("early", 60, 5))
    found = decide.granted(LINK, grant(rings=empty), replace(GRANT, rings=()), NOW)
    assert found.rings == empty


def test_a_grant_with_a_field_that_is_not_known_is_refused_whole() -> None:
    plain = json.loads(encode(GRANT)) | {"only_on_sundays": True}
    payload = json.dumps(plain).encode()
    message = Signed(payload.decode(), ed25519.sign(CONDUCTOR, GRANT_CONTEXT + payload).hex())
    with pytest.raises(Doubt, match="only_on_sundays"):
        decide.granted(LINK, message, None, NOW)


def test_an_answer_to_another_message_is_refused() -> None:
    answer = signed(ANSWER_CONTEXT, Answer("li_1", 7, NOW, "0.1"), CONDUCTOR)
    assert decide.answered(LINK, answer, 7, NOW).counter == 7
    with pytest.raises(Doubt, match="another message"):
        decide.answered(LINK, answer, 8, NOW)


@dataclass(frozen=True, slots=True)
class GrantOfTomorrow(Grant):
    """With a field that this version does not know."""

    only_on_sundays: bool = False


def test_a_newer_conductor_is_understood_as_long_as_it_says_nothing_new() -> None:
    plain = {f.name: getattr(GRANT, f.name) for f in fields(GRANT)}
    for newer, believed in ((GrantOfTomorrow(**plain), True), (GrantOfTomorrow(**plain, only_on_sundays=True), False)):
        payload = encode_sparse(newer)
        message = Signed(payload.decode(), ed25519.sign(CONDUCTOR, GRANT_CONTEXT + payload).hex())
        if believed:
            assert decide.granted(LINK, message, None, NOW) == GRANT
        else:
            with pytest.raises(Doubt, match="only_on_sundays"):
                decide.granted(LINK, message, None, NOW)


# --- hand-over --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", [0, 2, 4])
def test_a_grant_of_another_generation_is_refused_whoever_signed_it(generation: int) -> None:
    link = replace(LINK, generation=3)
    with pytest.raises(Doubt, match=f"generation {generation}"):
        decide.check_grant(link, replace(GRANT, generation=generation), None, NOW)
    decide.check_grant(link, replace(GRANT, generation=3), None, NOW)


def test_a_cell_that_has_left_says_for_which_generation_and_not_for_an_absurd_one() -> None:
    heard = decide.heard(MEMBER, said(left_generation=1, left_for="https://dallas"), NOW)
    assert heard.left_generation == 1
    with pytest.raises(Doubt, match="makes no sense"):
        decide.heard(MEMBER, said(left_generation=10**6), NOW)


def test_one_cell_that_believes_a_newer_conductor_is_enough_to_lead_no_more() -> None:
    other = replace(MEMBER, cell="oslo", left_generation=2, left_for="https://dallas")
    assert superseded((MEMBER,)) == ""
    assert "cell oslo believes https://dallas (generation 2; here it is 0)" in superseded((MEMBER, other))
    assert superseded((replace(MEMBER, generation=3), other)) == "", "its cells have joined it again since"


@pytest.mark.parametrize(
    "odd",
    [{"lead_id": "x"}, {"size": -1}, {"rings": (GrantedRing("r", 1, 1),) * 99}, {"salt": "zz"}, {"title": "t" * 201}],
)
def test_an_orphan_that_makes_no_sense_makes_the_message_none(odd: dict[str, Any]) -> None:
    told = Orphan(LEAD, "t", "", "{}", "{}", 3, Stand.GO, RINGS, size=20, treated=3)
    assert decide.heard(MEMBER, said(orphans=(told,)), NOW).orphans == (told,)
    with pytest.raises(Doubt, match="makes no sense"):
        decide.heard(MEMBER, said(orphans=(replace(told, **odd),)), NOW)


def test_a_share_of_the_draw_without_a_salt_is_refused() -> None:
    for odd in ({"draw_below": 5}, {"draw_below": -1, "salt": "00"}, {"draw_below": 2**62 + 1, "salt": "00"}):
        with pytest.raises(Doubt, match="share of the draw"):
            decide.check_grant(LINK, replace(GRANT, **odd), None, NOW)


def test_rings_in_which_a_cell_had_nobody_may_begin_anew_only_in_a_newer_generation() -> None:
    link, kept = replace(LINK, generation=1), replace(GRANT, rings=(GrantedRing("canary", 60, 0),))
    anew = replace(GRANT, rings=(GrantedRing("canary", 60, 1),), revision=9)
    decide.check_grant(link, replace(anew, generation=1), kept, NOW)
    with pytest.raises(Doubt, match="changes a ring"):
        decide.check_grant(LINK, anew, kept, NOW)
    with pytest.raises(Doubt, match="changes a ring"):
        decide.check_grant(link, replace(anew, generation=1), GRANT, NOW)


def test_a_policy_is_fitted_only_while_nobody_here_has_a_ring() -> None:
    empty = tuple(replace(r, upto=0) for r in RINGS[:1])
    fitted = grant(policy='{"quorum":0.9}', rings=RINGS[:1])
    assert decide.granted(LINK, fitted, replace(GRANT, rings=()), NOW).policy == '{"quorum":0.9}'
    assert decide.granted(LINK, grant(policy='{"quorum":0.9}', rings=empty), replace(GRANT, rings=empty), NOW)
    with pytest.raises(Doubt, match="another change or policy"):
        decide.granted(LINK, fitted, replace(GRANT, rings=RINGS[:1]), NOW)
    with pytest.raises(Doubt, match="another change or policy"):
        decide.granted(LINK, grant(change='{"updates":[]}'), replace(GRANT, rings=()), NOW)
