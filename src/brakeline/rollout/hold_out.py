"""The hold-out: the last comparison, treated last of all. Who waits, until when, and what is said of it. Pure.

It ends with the last ring's last checkpoint, or when what the change closes is due, whichever is first. Due dates never
override the brake: what is due makes the ring bake for its own time instead of until its last checkpoint, and every
other gate, hold, halt or freeze stands. Who faces the internet is in no hold-out (`facing`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from brakeline.core.days import day_of
from brakeline.rollout import arms, facing
from brakeline.rollout.model import INTERNET_TAG, Blueprint, Line, Phase, Policy, Ring, State
from brakeline.rollout.summary import Summary

GATE: Final = arms.HOLD_OUT
BUSY: Final = "busy"  # why a target cannot take part now: another rollout watches it
ENDED: Final = frozenset({Phase.HALTED, Phase.WITHDRAWN})  # nothing of it is offered any more


def goals(
    seen: Summary, rings: tuple[tuple[Ring, int], ...], index: int, sizes: Mapping[str, int]
) -> Mapping[str, int]:
    """Of a ring, by region. The last one before the hold-out is for all, where draws keep that apart (`limit`)."""
    ring, upto = rings[index]
    everybody = (ring.count or 0) >= seen.population or (ring.count is None and (ring.share or 1.0) >= 1.0)
    if seen.change.facing and index == len(rings) - 2 and everybody:
        return dict(sizes)
    return arms.goals(seen.change, upto, sizes)


def limit(policy: Policy, seen: Summary, staged: Blueprint, region: str) -> int:
    """The draw from which on nobody is treated: the hold-out's, until a ring is for everybody. Else it would take the
    places of those who come late, and whoever faces the internet would wait in its stead."""
    if not seen.change.facing:
        return arms.U_END
    if policy.led:
        goal = sum(g.treated for g in staged.goals if g.region == region)
        whole = goal >= seen.treated_by_region()[region] + seen.places.eligible(region)
    else:
        whole = not arms.held_out(policy, seen.change, seen.population) or _opened(policy, staged, seen)
    return arms.U_END if whole else facing.TOP


def reserve(policy: Policy, seen: Summary, staged: Blueprint, region: str) -> int:
    """The hold-out stays fresh until the last true ring, whose controls it is."""
    total = seen.population
    rings = arms.rings_for(policy, seen.change, total)
    held = arms.held_out(policy, seen.change, total)
    if held == 0 or staged.ring >= len(rings) - 2:
        return 0
    sizes = {r: n + seen.places.eligible(r) for r, n in seen.treated_by_region().items()}
    here, eligible = len(seen.places.untreated(region)), max(1, seen.places.eligible(region))
    return math.ceil(arms.allot(held, arms.holdable(seen.change, sizes)).get(region, 0) * here / eligible)


def waiting(policy: Policy, current: Blueprint, seen: Summary, now_ms: int) -> int:
    """How many of the hold-out are here and wait for their offer in its ring: beside a whole fleet they are too few to
    be missed. Who is away, or watched in another rollout, holds nothing up, and nobody does for more than a night."""
    opened_ms = current.ring_opened_ms[-1] if current.ring_opened_ms else now_ms
    if not _opened(policy, current, seen) or now_ms - opened_ms > policy.people_return_s * 1000:
        return 0
    here = sum(len(seen.places.untreated(r)) for r in seen.places.regions())
    here = max(0, here - sum(b.code == BUSY for b in seen.blocked))
    mine = sum(p.counted for p in seen.parts if p.ring == current.ring)
    return here if mine < policy.enrolled * (mine + here) - 1e-9 else 0


def _opened(policy: Policy, current: Blueprint, seen: Summary) -> bool:
    """Whether the ring in progress is the hold-out's own."""
    rings = arms.rings_for(policy, seen.change, seen.population)
    return bool(rings) and rings[min(max(current.ring, 0), len(rings) - 1)][0].name == arms.HOLD_OUT


def lines(policy: Policy, current: Blueprint, seen: Summary, now_ms: int, *, stands: bool = False) -> tuple[Line, ...]:
    """What is said of it; nothing where nobody is held out and nobody would be. `stands`: nothing goes on now."""
    held = 0 if policy.led else arms.held_out(policy, seen.change, seen.population)
    never = seen.change.never_held
    if not (held or never) or current.phase in ENDED:
        return ()
    told = [_when(policy, current, seen, now_ms, held, stands=stands)] if held else []
    if never:
        told.append(
            f"never held out, and compared with each other only: {never:,} tagged {INTERNET_TAG} when this was drafted"
        )
    return (Line(GATE, State.OK, "; ".join(told), {"held": held, "never": never, "due_ms": seen.change.due_ms}),)


def _when(policy: Policy, current: Blueprint, seen: Summary, now_ms: int, held: int, *, stands: bool) -> str:
    due_ms, ring = seen.change.due_ms, current.ring
    day = day_of(due_ms) if due_ms else ""
    if _opened(policy, current, seen):
        return "no control: nobody is held out any more, the watch goes on without a comparison"
    if due_ms and now_ms >= due_ms and stands:
        return f"{held:,} held out still, though what this closes is due on {day}: that never overrides the brake"
    if arms.ends_when_due(policy, seen.change, seen.population, ring, now_ms):
        return f"{held:,} held out no longer than the ring bakes by itself: what this closes is due on {day}"
    until = f"until {day}, when what this closes is due, or" if due_ms else "until"
    return f"{held:,} held out as the last ring's comparison, {until} its last checkpoint"
