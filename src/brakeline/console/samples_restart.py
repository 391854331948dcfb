"""Samples of the page of due restarts."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.console.present_restart import restart_view
from brakeline.console.views_restart import RestartForm
from brakeline.rollout.people import said, terms
from brakeline.rollout.restart_planning import RestartPlan

PLAN: Final = RestartPlan(
    "tag:web", False, "careful", tuple((f"ep_{i:02}", f"web-{i}") for i in range(1, 13)),
    (("canary", 1), ("early", 3), ("all", 12)), said(terms(15, 3, 60)),
)  # fmt: skip
FORM: Final = RestartForm("tag:web", warn=15, deferrals=3, defer=60)

RESTARTS: Final = {
    "plan": restart_view(PLAN, FORM, may_make=True),
    "viewer": restart_view(PLAN, FORM, may_make=False),
    "nobody": restart_view(replace(PLAN, filter="", endpoints=(), rings=()), FORM, may_make=True),
}
