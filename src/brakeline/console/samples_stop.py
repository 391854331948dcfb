"""Samples of the screens that stop everything, and of requests for a second person: for the twin, `/_ui` and tests."""

# ruff: noqa: E501 - samples are read as tables
from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from brakeline.console.views import Badge, Fact, Link, Tone
from brakeline.console.views_stop import (
    ApprovalRow,
    ApprovalsView,
    ApprovalView,
    EmergencyView,
    FreezeView,
    PressedView,
)

TOLD: Final = "frozen by Bob since 2026-11-22 19:11 UTC: mail is down everywhere"
ASKED: Final = "ap_01"
WAITS: Final = Badge("‖", "waits", Tone.WARN)
FROZEN: Final = FreezeView(
    TOLD, (Fact("Frozen by", "Bob"), Fact("Since", "2026-11-22T19:11:00Z, 4 min ago"), Fact("Reason", "mail is down everywhere"), Fact("Wanted by", "1 person")),
    may_press=True, may_lift=True,
)  # fmt: skip
FREEZES: Final = {
    "not frozen": FreezeView(may_press=True, may_lift=False),
    "frozen": FROZEN,
    "frozen without a reason": replace(FROZEN, needs_reason=True),
    "somebody has asked": replace(FROZEN, waiting=Link("Bob has asked for it to be lifted", f"/approvals/{ASKED}")),
    "viewer": replace(FROZEN, may_press=False, may_lift=False, lift_note="Lifting it takes the permission rollout.resume, which your role does not have."),
}  # fmt: skip
ROW: Final = ApprovalRow(
    ASKED, Link("Resume rollout openssl 3.0.17 (ro_halted), halted: brake pressed by Bob.", f"/approvals/{ASKED}"), WAITS,
    "two people", "Bob, 3 min ago", "in 57 min",
)  # fmt: skip
APPROVALS: Final = {
    "rows": ApprovalsView(
        (ROW, replace(ROW, id="ap_02", link=Link("Lift the freeze: everything is frozen by Bob since 2026-11-22 19:11 UTC: mail is down everywhere.", "/approvals/ap_02"), takes="single person: in 41 min")),
        (replace(ROW, id="ap_00", state=Badge("✓", "done", Tone.OK), until="over"), replace(ROW, id="ap_03", state=Badge("✕", "rejected", Tone.BAD), until="over")),
    ),
    "none": ApprovalsView((), ()),
}  # fmt: skip
APPROVAL: Final = ApprovalView(
    ASKED, "Resume a rollout that was halted",
    ("Resume rollout openssl 3.0.17 (ro_halted), halted: brake pressed by Bob.", "openssl 3.0.17-1~deb12u3 leaves quarantine and is offered to more endpoints, ring by ring.", "Endpoints that are not proven at that moment are set aside.", "Reason: false alarm, checked by hand"),
    WAITS, (Fact("Asked", "by Bob, 3 min ago (2026-11-22T19:12:00Z)"), Fact("Takes", "two people"), Fact("Until", "2026-11-22T20:12:00Z"), Fact("Who can agree", "Alice, Carol")),
    "0123456789abcdef", f"/approvals/{ASKED}/approve", f"/approvals/{ASKED}/reject", about=Link("ro_halted", "/rollouts/ro_halted"),
)  # fmt: skip
APPROVAL_STATES: Final = {
    "waits": APPROVAL,
    "asked by oneself": replace(APPROVAL, approve_action="", refused="You asked for it yourself: somebody else has to agree (Alice, Carol)."),
    "rejected": replace(APPROVAL, state=Badge("✕", "rejected", Tone.BAD), approve_action="", reject_action="", note="look at the log first"),
}  # fmt: skip
STOP_PAGES: Final[dict[str, dict[str, Any]]] = {
    "freeze": FREEZES, "approvals": APPROVALS, "approval": APPROVAL_STATES,
    "emergency": {"form": EmergencyView(), "wrong code": EmergencyView(error="Who you are could not be established. this is no break-glass code of this server"), "pressed": EmergencyView(pressed="Everything is frozen. Nothing new starts on any endpoint.")},
    "pressed": {"frozen": PressedView("Frozen", "Everything is frozen. The press is on the disk and in force.", (Link("Overview", "/"),))},
}  # fmt: skip
