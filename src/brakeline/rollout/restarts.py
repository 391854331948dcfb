"""Restarts of canaries: which rings have them, whose turn it is, and whether a ring may pass. Pure.

A fault that shows at the next start of the machine is seen late by waiting: a server restarts once a month. So in the
first rings endpoints that consent are restarted within the bake, *treated and controls alike, by the same clock*: a
machine that does not come up from a restart for reasons of its own must weigh on neither arm. Invariants: nobody is
restarted who does not consent; no restart begins just before a checkpoint, where one that is on its way would look
silent; none begins after a rollout has stopped. Next: `planner.passed` asks `gate`, `restarting` (shell) asks `due`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from brakeline.rollout import arms
from brakeline.rollout.model import Arm, Change, Line, Policy, Progress, State, Subject

if TYPE_CHECKING:
    from brakeline.rollout.summary import Summary

GATE: Final = "restart-observed"
SETTLE_S: Final = 300  # after ready, in either arm: a transaction mostly ends by then
QUIET_S: Final = 900  # before a checkpoint no restart begins: servers may take ten minutes to start
CONSENTS: Final = "restart-yes"  # tags of an endpoint; the second wins
NEVER: Final = "restart-no"
UNSEEN: Final = "a fault that shows at a restart is not seen here"


def rings_that_restart(policy: Policy, change: Change, population: int) -> frozenset[int]:
    """Rings whose consenting endpoints are restarted. The last ring of the plan and the hold-out never are."""
    rings = arms.rings_for(policy, change, population)
    last = len(rings) - (2 if arms.held_out(policy, change, population) else 1)
    return frozenset(
        i for i, (_, upto) in enumerate(rings) if i < min(policy.restarts.rings, last) and upto <= policy.restarts.upto
    )


def consents(policy: Policy, allows: bool, tags: Iterable[str]) -> bool:
    """Whether an endpoint may be restarted: its own settings allow it, and so does what people said of it."""
    said = frozenset(tags)
    if not allows or NEVER in said:
        return False
    return policy.restarts.consent == "all" or CONSENTS in said


def due(policy: Policy, rings: frozenset[int], s: Subject, now_ms: int) -> bool:
    """Whether this endpoint is to be restarted now. Apart from the transaction's end, arms do not differ."""
    if s.ring not in rings or not s.consents or s.restarted_ms or s.restart_refused or s.crossed_ms or s.set_aside_ms:
        return False
    if s.arm is Arm.TREATED and (s.progress is not Progress.INSTALLED or s.explicit):
        return False
    age_s = (now_ms - s.ready_ms) // 1000
    return SETTLE_S <= age_s < policy.restarts.within_s and not _quiet(policy, age_s)


def _quiet(policy: Policy, age_s: int) -> bool:
    return any(c - QUIET_S < age_s <= c for c in policy.checkpoints_s)


def excused(policy: Policy, s: Subject) -> bool:
    """Consented, and cannot be waited for: it refused, or the order lapsed while it was there."""
    if not s.consents or s.restarted_ms:
        return False
    lapsed_ms = s.ready_ms + policy.restarts.within_s * 1000
    return bool(s.restart_refused) or s.last_heard_ms > lapsed_ms


def gate(policy: Policy, ring: int, name: str, seen: Summary) -> list[Line]:
    """Rings that restart pass when a quorum of those who consent was heard again after its restart."""
    if ring not in rings_that_restart(policy, seen.change, seen.population):
        return []
    mine = [p for p in seen.parts if p.ring == ring]
    willing, excuses, back = (sum(getattr(p, x) for p in mine) for x in ("consenting", "excused", "restarted"))
    asked, of = willing - excuses, sum(p.counted for p in mine)
    data = {"consenting": willing, "restarted": back, "excused": excuses, "of": of}
    if not asked:
        why = "nobody consents to a restart" if not willing else f"none of {willing} that consent could be restarted"
        state = State.HOLD if policy.restarts.without == "hold" else State.OK
        return [Line(GATE, state, f"ring {name}: {why}: {UNSEEN}", {**data, "warning": True})]
    text = f"ring {name}: {back} of {asked} that consent were restarted and heard again"
    text += f"; {excuses} could not be restarted" if excuses else ""
    enough = back >= policy.quorum * asked - 1e-9
    return [Line(GATE, State.OK if enough else State.WAIT, text, data)]
