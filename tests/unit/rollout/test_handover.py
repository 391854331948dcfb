"""A lead taken over: no further than it was, paused, baking anew, word for word the same to its cells."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.cells.model import GrantedRing, MemberState, Orphan, Stand
from brakeline.core.draw import U_END
from brakeline.core.errors import Conflict
from brakeline.protocol.codec import encode_sparse
from brakeline.rollout import handover
from brakeline.rollout.conduct import Standing, conduct, grants
from brakeline.rollout.model import Change, Guard, Phase, Pin, Policy, Report, Ring, Wish

NOW = 1_795_400_000_000
LEAD = "ld_01JD0000000000000000000000"
POLICY = Policy((Ring("one", 60, count=4), Ring("all", 60, share=1.0)), guard=Guard(holdout=0.0, alpha=0.001))
ONE, TWO = GrantedRing("one", 60, 2), GrantedRing("all", 60, 10)
A = Orphan(LEAD, "t", "", encode_sparse(Change((Pin("x", "1"),))).decode(), encode_sparse(POLICY).decode(), 7, Stand.GO,
           (ONE, TWO), size=10, treated=5)  # fmt: skip
B = replace(A, revision=5, rings=(GrantedRing("one", 60, 4),), size=20, treated=4)


def taken(**orphans: Orphan) -> handover.Lead:
    return handover.taken(LEAD, orphans, "Olga", "lost", NOW)


def test_it_goes_on_from_what_was_granted_and_waits_for_a_person() -> None:
    lead = taken(b=B, a=A)
    assert lead.cells == ("a", "b"), "who was further opens first"
    assert [r.uptos for r in lead.plan] == [{"a": 2, "b": 4}, {"a": 10, "b": 20}]
    assert dict(lead.opened) == {"a": 2, "b": 1}
    assert (lead.wish, lead.blueprint.phase, lead.blueprint.ring) == (Wish.PAUSE, Phase.HOLDING, 1)
    assert lead.blueprint.ring_opened_ms == (NOW, NOW), "it bakes anew"
    assert (lead.granted("a"), lead.granted("b")) == (10, 4)


def test_its_grants_follow_those_that_cells_have_and_open_nothing_while_it_is_paused() -> None:
    lead = taken(a=A, b=B)
    cells = tuple(Standing(c, f"li_{c}", MemberState.JOINED, None, NOW) for c in "ab")
    moved, report = conduct(lead, cells, NOW)
    for cell, kept in (("a", A), ("b", B)):
        grant = grants(moved, cells, report, NOW)[cell]
        assert grant.revision > kept.revision
        assert (grant.change, grant.policy, grant.rings) == (kept.change, kept.policy, kept.rings)
        assert grant.stand is Stand.HOLD


def test_before_any_ring_it_is_a_draft_and_after_the_last_it_is_done() -> None:
    for rings in ((), (GrantedRing("one", 60, 0),)):  # all places of it were in the cell that is lost
        drafted = taken(a=replace(A, rings=rings))
        assert (drafted.wish, drafted.blueprint.phase, drafted.plan) == (Wish.DRAFT, Phase.DRAFT, ())
        assert dict(drafted.opened) == {"a": 0}
    done = taken(a=replace(A, stand=Stand.DONE, salt="00" * 32))
    assert done.blueprint.phase is Phase.COMPLETED
    cells = (Standing("a", "li_a", MemberState.JOINED, None, NOW),)
    assert grants(done, cells, Report(()), NOW)["a"].draw_below == U_END


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (replace(B, stand=Stand.HALT), "was halted"),
        (replace(B, change="{}"), "different changes"),
        (replace(B, policy="{}"), "different changes"),
        (replace(B, salt="00" * 32), "different changes"),
    ],
)
def test_what_cannot_go_on(other: Orphan, why: str) -> None:
    assert why in handover.why_not({"a": A, "b": other})
    with pytest.raises(Conflict, match=why):
        taken(a=A, b=other)


def test_who_had_no_ring_yet_takes_the_policy_that_the_others_go_by() -> None:
    """Its conductor was lost between fitting the policy to the fleet and telling this cell."""
    unheard = replace(B, rings=(), treated=0, policy="as it was drafted")
    lead = taken(b=unheard, a=A)
    assert lead.told == (A.change, A.policy)
    assert handover.why_not({"a": A, "b": replace(B, policy="another")}), "both have a ring"
    nobody = replace(A, rings=(), treated=0)
    assert handover.why_not({"a": nobody, "b": unheard}), "which of the two was meant nobody can say"
