"""What `status` tells people: one small JSON file, written when something in it changed, in plain words."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from brakeline.agent import ceiling, releases, sessions
from brakeline.agent.model import Barred, Instant, State


class StatusFile:
    """`state`/status.json; not durable on purpose, it is only for people."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._shown: dict[str, Any] = {}

    def show(self, state: State, at: Instant, way: str = "") -> None:
        now = describe(state, way)
        if now == self._shown:
            return
        aside = self._path.with_suffix(".new")
        try:
            aside.write_text(json.dumps({**now, "written_ms": at.wall_ms}, indent=2) + "\n", encoding="utf-8")
            os.replace(aside, self._path)
        except OSError:
            return  # a full disk must not stop the agent for a courtesy
        self._shown = now


def describe(state: State, way: str = "") -> dict[str, Any]:
    """The facts that matter to a person at the machine. Holds nothing that changes at every check-in.

    `way`: how the cell was reached last, "" = not yet.
    """
    link = state.link
    connection = "connected" if link.ever and link.failures == 0 else "trying to reach the cell"
    if link.failures:
        connection += f": {link.trouble}"
    if isinstance(state.standing, Barred):
        connection = f"refused by the cell ({state.standing.code}): {state.standing.detail} Enrol this machine again."
    return {
        "endpoint_id": state.me.endpoint_id,
        "agent_version": state.me.agent_version,
        "connection": connection,
        "reached": way or "not yet",
        "mode": ceiling.running(state).mode.value if state.me.can_patch else "assess (no root helper here)",
        "maintenance_windows": ", ".join(ceiling.running(state).windows) or "always",
        "limits_of_root": state.me.local.problem or ("limits.json" if state.me.local.settings else "none"),
        "inventory_sequence": state.durable.inventory_sequence,
        "assessment": state.not_assessed or "by this machine's package manager",
        "restart": _restart(state),
        "errand": state.errand.value,
        "transactions": [s.transaction_id for s in sessions.running(state)],
        "results_waiting": len(state.unsent),
        "results_refused": state.set_aside,
        "rollouts_halted": list(state.durable.halted),
        "release": state.me.release_id or "started without a launcher: it cannot update itself",
        "content": state.me.content or "none: the built-in rules count",
        "content_problems": list(state.me.content_problems),
        "self_update": _self_update(state),
    }


def _restart(state: State) -> str:
    """Whether a restart by order waits here, in words."""
    if state.restart_refused:
        return f"refused for this boot: {state.restart_refused}"
    if state.restart is None:
        return "none ordered"
    if state.people is None:
        return "ordered: it follows in a maintenance window, once nothing else goes on"
    p = state.people
    return f"waits for people here, {p.deferred} of {p.deferrals} deferrals used (brakeline-agent defer)"


def _self_update(state: State) -> str:
    """Whether this endpoint takes newer releases, in words."""
    wanted, pin = releases.followed(state.follow)
    report = state.launcher
    if report is None:
        return "off: no launcher runs this agent; enrol this machine again to get one"
    if not wanted:
        return "off: a policy has switched it off"
    on = f"on, pinned to {pin} by a policy" if pin else "on"
    return f"{on}; {report.trial} is on probation" if report.trial else on
