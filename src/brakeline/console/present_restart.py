"""What `rollout.restart_planning` says -> the page of due restarts. Pure."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Final

from brakeline.console.present import endpoint_href
from brakeline.console.views import Link
from brakeline.console.views_restart import RestartForm, RestartView
from brakeline.rollout.restart_planning import RestartPlan

SHOWN: Final = 60  # endpoints; the API has them all
NOBODY: Final = "No active endpoint that matches has a restart due."
NO_MATCH: Final = "No active endpoint matches."


def restart_view(plan: RestartPlan, form: RestartForm, *, may_make: bool) -> RestartView:
    """The plan with its names, and what was filled in."""
    names = sorted(plan.endpoints, key=lambda e: e[1])
    return RestartView(
        replace(form, filter=plan.filter), len(names),
        tuple(Link(name, endpoint_href(i)) for i, name in names[:SHOWN]), max(0, len(names) - SHOWN),
        tuple(f"{name}: up to {upto:,}" for name, upto in plan.rings), _command(form),
        refused="" if names else NO_MATCH if plan.any else NOBODY, may_make=may_make, people=plan.people,
    )  # fmt: skip


def _command(form: RestartForm) -> str:
    words = ["brakeline", "rollout", "restart"]
    words += ["--filter", form.filter.strip()] if form.filter.strip() else []
    words += ["--any"] if form.any else []
    words += ["--pace", form.pace] if form.pace != "careful" else []
    for name in ("warn", "deferrals", "defer", "deadline"):
        words += [f"--{name}", str(getattr(form, name))] if getattr(form, name) else []
    return shlex.join([*words, "--yes"])
