"""What a freeze and a request for a second person say to whom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.console import present_stop
from brakeline.rollout.freezing import FreezeView
from brakeline.tenancy.model import ROLE_PERMISSIONS
from brakeline.tenancy.two_people import HOUR_MS, OPEN_MS, Act, Request, Way

NOW = 1_795_400_000_000
ASKED = Request(
    "ap_1", Act.RESUME, "ro_1", {"reason": "false alarm"}, ("Resume rollout openssl (ro_1).",), "generation 7", NOW,
    "pe_olga", "Olga", "pe_olga", Way.TWO, 0, NOW + OPEN_MS,
)  # fmt: skip
OWNER, OPERATOR = ROLE_PERMISSIONS["owner"], ROLE_PERMISSIONS["operator"]
FROZEN = FreezeView(True, "fz_1", "Olga", NOW, "", 1, "frozen by Olga since 2026-11-22 10:13 UTC: no reason was given")


def test_somebody_else_gets_the_form_and_whoever_asked_is_told_who_can() -> None:
    view = present_stop.approval_view(ASKED, ("Sven",), "pe_sven", OWNER, NOW + 60_000)
    assert (view.approve_action, view.reject_action) == ("/approvals/ap_1/approve", "/approvals/ap_1/reject")
    assert view.digest == ASKED.digest
    assert view.about is not None
    assert view.about.href == "/rollouts/ro_1"
    mine = present_stop.approval_view(ASKED, ("Sven",), "pe_olga", OWNER, NOW + 60_000)
    assert (mine.approve_action, mine.reject_action) == ("", "/approvals/ap_1/reject")
    assert "somebody else has to agree (Sven)" in mine.refused
    operator = present_stop.approval_view(ASKED, ("Sven",), "pe_otto", OPERATOR, NOW)
    assert "rollout.approve" in operator.refused


def test_a_single_person_gets_the_form_after_the_hour() -> None:
    alone = replace(ASKED, way=Way.ALONE, not_before_ms=NOW + HOUR_MS, expires_ms=NOW + 9 * HOUR_MS)
    before = present_stop.approval_view(alone, (), "pe_olga", OWNER, NOW + HOUR_MS - 60_000)
    assert "or time: single person: in 60 s" in before.refused
    after = present_stop.approval_view(alone, (), "pe_olga", OWNER, NOW + HOUR_MS)
    assert after.approve_action
    assert present_stop.takes(alone, NOW + HOUR_MS) == "single person: can be confirmed now"


@pytest.mark.parametrize("state", ["done", "rejected", "overtaken", "failed"])
def test_what_is_over_has_no_form(state: str) -> None:
    view = present_stop.approval_view(replace(ASKED, state=state, note="why"), ("Sven",), "pe_sven", OWNER, NOW)
    assert (view.approve_action, view.reject_action, view.refused, view.note) == ("", "", "", "why")
    expired = present_stop.approval_view(ASKED, ("Sven",), "pe_sven", OWNER, NOW + OPEN_MS)
    assert (expired.state.word, expired.approve_action) == ("expired", "")


def test_lists_keep_what_waits_apart() -> None:
    over = replace(ASKED, approval_id="ap_0", state="done")
    view = present_stop.approvals_view((ASKED, over), NOW)
    assert ([r.id for r in view.waiting], [r.id for r in view.over]) == (["ap_1"], ["ap_0"])


def test_the_page_of_freeze_asks_for_a_reason_that_is_missing_and_shows_who_wants_it_lifted() -> None:
    view = present_stop.freeze_view(FROZEN, replace(ASKED, act=Act.UNFREEZE), may_press=True, may_lift=True, now_ms=NOW)
    assert (view.needs_reason, view.may_lift) == (True, True)
    assert view.waiting is not None
    assert view.waiting.href == "/approvals/ap_1"
    nothing = present_stop.freeze_view(FreezeView(frozen=False), None, may_press=True, may_lift=True, now_ms=NOW)
    assert (nothing.told, nothing.may_lift, nothing.facts) == ("", False, ())


def test_the_overview_says_it_first() -> None:
    frozen, request = present_stop.needs(FROZEN, (ASKED,), NOW)
    assert (frozen.link.href, FROZEN.told in frozen.after) == ("/freeze", True)
    assert (request.link.href, request.after) == ("/approvals/ap_1", "asked by Olga; takes two people")
    assert present_stop.needs(FreezeView(frozen=False), (), NOW) == ()
