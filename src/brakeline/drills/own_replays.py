"""What would this plan have cost us? Incidents replayed under an organisation's own shape and a plan of its choice.

The shape is taken now, from the inventory and what check-ins have left behind (`fleet.shape`); it stays on this server.
A plan that could not work for so many endpoints is refused as if it were to be started.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from brakeline.core.errors import Invalid
from brakeline.drills.replaying import Own, Replays
from brakeline.fleet.service import FleetService
from brakeline.fleet.shape import Shape
from brakeline.protocol.codec import to_plain
from brakeline.rollout import plan_lint, plans
from brakeline.rollout.model import Change, Pin
from brakeline.rollout.presets import policy_for
from brakeline.tenancy.model import Principal

UPDATE: Final = Change((Pin("update", "next"),))


@dataclass(frozen=True, slots=True)
class OwnAnswer:
    """`state`: idle | running | busy (with another replay) | done | refused. `answer` as `drill replay --json`."""

    state: str
    note: str
    answer: dict[str, Any] | None
    shape: Shape


class OwnReplays:
    """See the module."""

    def __init__(self, fleet: FleetService, replays: Replays) -> None:
        self._fleet, self._replays = fleet, replays

    async def begin(self, principal: Principal, seeds: int, *, plan: Any = None, pace: str = "") -> None:
        """Start one with this plan, or with the ready-made one of a pace. `Conflict` while any replay runs."""
        principal.require("rollout.create")
        if plan is not None and pace:
            raise Invalid("either a plan of your own or a pace")
        shape = await self._fleet.shape(principal)
        if not shape.endpoints:
            raise Invalid("this organisation has no active endpoint, so its fleet has no shape yet")
        policy = plans.parse(plan) if plan is not None else policy_for(shape.endpoints, pace or "careful")
        if wrong := plan_lint.problems(policy, UPDATE, shape.endpoints):
            raise Invalid("; ".join(f.text for f in wrong), rules=[f.rule for f in wrong])
        said = {"shape": to_plain(shape) | {"made_ms": 0}, "plan": to_plain(policy)}  # the same question, the same key
        own = Own(principal.tenant_id, json.dumps(said, sort_keys=True))
        self._replays.begin(shape.endpoints, seeds, own)

    async def show(self, principal: Principal) -> OwnAnswer:
        """The newest answer of this organisation, and how a replay stands."""
        principal.require("rollout.read")
        tenant_id, replays = principal.tenant_id, self._replays
        shape, answer = await self._fleet.shape(principal), replays.kept(tenant_id)
        if replays.running_for(tenant_id):
            return OwnAnswer("running", f"Replaying, now: {replays.at or 'starting'}.", answer, shape)
        if replays.running is not None:
            return OwnAnswer("busy", "Another replay runs on this server; look again in a few minutes.", answer, shape)
        if why := replays.why_failed(tenant_id):
            return OwnAnswer("refused", why, answer, shape)
        note = "Under the shape of this fleet as it was when it was asked." if answer else "Nothing was replayed yet."
        return OwnAnswer("done" if answer else "idle", note, answer, shape)
