"""A lead changes hands: what its cells last had granted, put together as a lead of the next conductor. Pure.

Nothing is widened by it: rings are those that had been opened, nobody is opened further before a person lets it
go on, and the ring that was open bakes anew, for the evidence of cells that are gone is gone. Change and policy go on
word for word, so that a cell sees the same lead; who has halted it has halted it for good.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from brakeline.cells.decide import whole
from brakeline.cells.model import COUNT_MAX, Orphan, Stand
from brakeline.core.errors import Conflict
from brakeline.rollout import planner
from brakeline.rollout.conduct import Lead, PlannedRing
from brakeline.rollout.model import Change, Goal, Phase, Policy, Wish

TAKEN: Final = "taken over"


def situation(orphans: Mapping[str, Orphan]) -> str:
    """What two people agree about: who had been granted what of which change, on whose terms."""
    return "; ".join(
        f"{cell}: revision {o.revision}, {_granted(o)} granted of {_words(o)}" for cell, o in sorted(orphans.items())
    )


def _words(o: Orphan) -> str:
    """All that does not change while a lead stands still; what was treated does."""
    said = (o.title, o.filter, o.change, o.policy, o.stand.value, o.salt, [(r.name, r.bake_s, r.upto) for r in o.rings])
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


def _granted(o: Orphan) -> int:
    return o.rings[-1].upto if o.rings else 0


def says(lead_id: str, orphans: Mapping[str, Orphan], missing: tuple[str, ...], reason: str) -> tuple[str, ...]:
    """The act in words, for the second person."""
    first = next(iter(orphans.values()))
    rows = [f"cell {c}: {o.treated} treated, {_granted(o)} granted" for c, o in sorted(orphans.items())]
    left = (f"Without {', '.join(missing)}: no such cell has told of it.",) if missing else ()
    return (f"Lead {first.title} ({lead_id}) from here on, over {len(orphans)} cells.", *rows, *left,
            "It stays paused until somebody resumes it; its open ring bakes anew.", f"Reason: {reason}")  # fmt: skip


def why_not(orphans: Mapping[str, Orphan]) -> str:
    """Why these cannot be one lead that goes on; "" = they can."""
    if len({(o.change, o.filter, o.salt) for o in orphans.values()}) != 1 or len(_policies(orphans)) != 1:
        return "its cells tell different changes or policies under this name; isolate the one that is wrong"
    if any(o.stand is Stand.HALT for o in orphans.values()):
        return "it was halted, and stays so: begin a new lead"
    return ""


def _policies(orphans: Mapping[str, Orphan]) -> set[str]:
    """Of those that have a ring. Who has none takes theirs: it may have been lost before it heard how the policy was
    fitted. Where nobody has one all count."""
    return {o.policy for o in orphans.values() if _granted(o)} or {o.policy for o in orphans.values()}


def taken(lead_id: str, orphans: Mapping[str, Orphan], by: str, reason: str, now_ms: int) -> Lead:
    """The lead as the next conductor has it: paused, at the ring that was open. `Conflict` where it cannot go on."""
    if why := why_not(orphans):
        raise Conflict(why, id=lead_id)
    first = next(iter(orphans.values()))
    cells = tuple(sorted(orphans, key=lambda c: (-len(orphans[c].rings), c)))  # who was further opens first
    plan = _plan(orphans)
    (text,) = _policies(orphans)
    policy = whole(Policy, text)
    shared = replace(policy, guard=replace(policy.guard, alpha=policy.guard.alpha * 2 * len(cells)))
    revision, done = max(o.revision for o in orphans.values()), _done(orphans)
    begun = planner.first_blueprint(lead_id, now_ms)
    blueprint = replace(begun, generation=revision + 2, parent=revision + 1, why=TAKEN)  # above whatever was signed
    if plan:
        blueprint = replace(
            blueprint, phase=Phase.COMPLETED if done else Phase.HOLDING, ring=len(plan) - 1,
            ring_opened_ms=(now_ms,) * len(plan), goals=tuple(Goal(c, plan[-1].uptos[c]) for c in sorted(cells)),
        )  # fmt: skip
    wish = Wish.DRAFT if not plan else Wish.RUN if done else Wish.PAUSE
    opened = {c: len(o.rings) if plan else 0 for c, o in orphans.items()}
    return Lead(
        lead_id, first.title, whole(Change, first.change), shared, first.filter, cells, wish, by, reason, blueprint,
        plan, opened, now_ms, by, first.salt, (first.change, text),
    )  # fmt: skip


def _done(orphans: Mapping[str, Orphan]) -> bool:
    return all(o.stand is Stand.DONE for o in orphans.values())


def _plan(orphans: Mapping[str, Orphan]) -> tuple[PlannedRing, ...]:
    """The rings that anybody was granted. Who was not yet gets the share of those who were: so it had been planned."""
    longest = max(orphans.values(), key=lambda o: len(o.rings))
    if not any(r.upto for o in orphans.values() for r in o.rings):
        return ()  # whoever was in them is lost with the conductor: it begins with the first ring
    sizes = {c: o.size for c, o in orphans.items()}
    plan: list[PlannedRing] = []
    for i, ring in enumerate(longest.rings):
        had = [o for o in orphans.values() if len(o.rings) > i]
        places, among = sum(o.rings[i].upto for o in had), sum(o.size for o in had)
        before = plan[-1].uptos if plan else {}
        uptos = {
            c: o.rings[i].upto if len(o.rings) > i else max(before.get(c, 0), o.size * places // max(1, among))
            for c, o in orphans.items()
        }
        plan.append(PlannedRing(ring.name, ring.bake_s, {c: min(n, COUNT_MAX) for c, n in uptos.items()}, sizes))
    return tuple(plan)
