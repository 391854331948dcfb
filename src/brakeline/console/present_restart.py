"""What `rollout.restart_planning` says -> the page of due restarts. Pure."""

from __future__ import annotations

import shlex
from typing import Final

from brakeline.console.present import endpoint_href
from brakeline.console.views import Link
from brakeline.console.views_restart import RestartForm, RestartView
from brakeline.rollout.restart_planning import RestartPlan

SHOWN: Final = 60  # endpoints; the API has them all
NOBODY: Final = "No active endpoint that matches has a restart due."
NO_MATCH: Final = "No active endpoint matches."


def restart_view(plan: RestartPlan, *, may_make: bool) -> RestartView:
    """The plan with its names."""
    names = sorted(plan.endpoints, key=lambda e: e[1])
    return RestartView(
        RestartForm(plan.filter, plan.any, plan.pace), len(names),
        tuple(Link(name, endpoint_href(i)) for i, name in names[:SHOWN]), max(0, len(names) - SHOWN),
        tuple(f"{name}: up to {upto:,}" for name, upto in plan.rings), _command(plan),
        refused="" if names else NO_MATCH if plan.any else NOBODY, may_make=may_make,
    )  # fmt: skip


def _command(plan: RestartPlan) -> str:
    words = ["brakeline", "rollout", "restart"]
    words += ["--filter", plan.filter] if plan.filter else []
    words += ["--any"] if plan.any else []
    words += ["--pace", plan.pace] if plan.pace != "careful" else []
    return shlex.join([*words, "--yes"])
