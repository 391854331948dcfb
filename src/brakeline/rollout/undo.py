"""What a rollback of an update would be: who has proven harm, who has a way back, who has none and why. Pure.

Only endpoints that stored the exact inverse before the update began take part; nobody is repaired by guessing. Those
with proven harm come first, in rings no larger than usual; then the others that were exposed. Next: `undoing`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from brakeline.rollout import arms
from brakeline.rollout.model import ROLLBACK, Change, Harmed, Line, Policy, Progress, Ring, State
from brakeline.rollout.presets import policy_for

PROVEN_HARM: Final = "proven harm"  # the ring that ends where these do
UNTOLD: Final = "it has not told what came of its offer: whether there is a way back is not known"
NAMED_MAX: Final = 5
OLDER: Final = "its agent kept no way back (it is older than that)"
NOBODY: Final = MappingProxyType[str, str]({})


@dataclass(frozen=True, slots=True)
class Exposed:
    """A treated endpoint of the rollout that is undone. `harm` "" = none is proven; `reason` "" = it has a way back."""

    endpoint_id: str
    hostname: str
    region: str
    harm: str
    code: str
    reason: str
    packages: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of a treated endpoint, as stored."""

    endpoint_id: str
    hostname: str
    region: str
    progress: Progress
    explicit: bool
    unhealthy: int
    detail: str
    told: bool  # a result of a transaction that was begun
    changed: bool  # packages, by what the results say
    back: bool = False  # an earlier rollback has taken it back there
    kept: bool | None = None  # None = the agent said nothing of a way back
    packages: int = 0
    code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class UndoPlan:
    """What `brakeline rollout rollback` would do. Nobody is left out without a name and a reason."""

    rollout_id: str
    title: str
    updates: tuple[str, ...]  # what is taken back
    first: tuple[Exposed, ...]  # proven harm, and a way back
    then: tuple[Exposed, ...]  # exposed, no harm proven, and a way back
    left_out: tuple[Exposed, ...]  # exposed, and no way back: they keep what they have until people see to them
    unchanged: int  # offered, and nothing was changed there, or it was taken back there already
    rings: tuple[tuple[str, int], ...] = ()  # name and cumulative number of endpoints

    @property
    def takes_part(self) -> tuple[str, ...]:
        return tuple(x.endpoint_id for x in (*self.first, *self.then))


def judged(told: Told, *, active: bool, barred: str = "") -> Exposed | None:
    """What to do about one treated endpoint; None = nothing was changed there. `barred`: why nobody may be led to where
    its way back leads, "" = everybody may."""
    begun = told.progress not in (Progress.OFFERED, Progress.REFUSED, Progress.EXPIRED)
    if told.back or (told.told and not told.changed):
        return None
    if not told.told and told.progress in (Progress.REFUSED, Progress.EXPIRED):
        return None
    code, reason = "", ""
    if not active:
        code, reason = "not_active", "it is not managed any more, or has to be enrolled anew"
    elif not told.told:
        code, reason = "untold", UNTOLD if begun else f"{UNTOLD}; its offer may still be on its way"
    elif told.kept is None:
        code, reason = "older_agent", OLDER
    elif not told.kept:
        code, reason = told.code or "gone", told.reason
    elif barred:
        code, reason = "quarantined", barred
    return Exposed(told.endpoint_id, told.hostname, told.region, _harm(told), code, reason, told.packages)


def _harm(told: Told) -> str:
    """Explicit failure or bad health since: what cannot have pre-existed the change."""
    if told.explicit:
        return told.detail or "it failed through the update itself"
    return "unhealthy since" if told.unhealthy else ""


def planned(rollout_id: str, title: str, updates: tuple[str, ...], told: Iterable[Told],
            active: frozenset[str], pace: str, barred: Mapping[str, str] = NOBODY) -> UndoPlan:  # fmt: skip
    """The whole plan. `barred`: by endpoint, why its way back leads to what is offered to nobody."""
    all_ = [(t, judged(t, active=t.endpoint_id in active, barred=barred.get(t.endpoint_id, ""))) for t in told]
    exposed = [x for _, x in all_ if x is not None]
    able = [x for x in exposed if not x.code]
    first, then = tuple(x for x in able if x.harm), tuple(x for x in able if not x.harm)
    plan = UndoPlan(rollout_id, title, updates, first, then, tuple(x for x in exposed if x.code),
                    sum(x is None for _, x in all_))  # fmt: skip
    if not able:
        return plan
    change = replace(Change(()), kind=ROLLBACK)
    rings = arms.rings_for(policy_of(plan, pace), change, len(able))
    return replace(plan, rings=tuple((ring.name, upto) for ring, upto in rings))


def policy_of(plan: UndoPlan, pace: str) -> Policy:
    """The usual policy for so many endpoints, and one ring more that ends where the endpoints with proven harm end."""
    total, first = len(plan.takes_part), len(plan.first)
    policy = policy_for(total, pace)
    usual = [upto for _, upto in arms.rings_for(policy, Change((), kind=ROLLBACK), total)]
    if not first or first in usual:
        return policy
    place = sum(_size(ring, total) < first for ring in policy.rings)
    ring = Ring(PROVEN_HARM, policy.rings[0].bake_s, count=first)
    return replace(policy, rings=(*policy.rings[:place], ring, *policy.rings[place:]))


def _size(ring: Ring, total: int) -> int:
    return ring.count if ring.count is not None else max(1, round((ring.share or 1.0) * total))


def harmed_by_region(plan: UndoPlan) -> tuple[Harmed, ...]:
    """Where the first places are."""
    return tuple(Harmed(region, n) for region, n in sorted(Counter(x.region for x in plan.first).items()))


def left_out_line(left_out: tuple[Exposed, ...]) -> Line:
    """Who has no way back, as a line of the report."""
    some = "; ".join(f"{x.hostname}: {x.reason}" for x in left_out[:NAMED_MAX])
    more = f" and {len(left_out) - NAMED_MAX} more" if len(left_out) > NAMED_MAX else ""
    text = f"{len(left_out)} keep the update until somebody sees to them: {some}{more}"
    return Line("no way back", State.HOLD, text, {"endpoints": [x.endpoint_id for x in left_out]})
