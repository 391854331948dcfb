"""Samples of the page of due restarts."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.console.present_restart import restart_view
from brakeline.rollout.restart_planning import RestartPlan

PLAN: Final = RestartPlan(
    "tag:web", False, "careful", tuple((f"ep_{i:02}", f"web-{i}") for i in range(1, 13)),
    (("canary", 1), ("early", 3), ("all", 12)),
)  # fmt: skip

RESTARTS: Final = {
    "plan": restart_view(PLAN, may_make=True),
    "viewer": restart_view(PLAN, may_make=False),
    "nobody": restart_view(replace(PLAN, filter="", endpoints=(), rings=()), may_make=True),
}
