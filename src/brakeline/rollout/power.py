"""What the statistics can and cannot see at this size, in sentences for the screen. Pure.

At six endpoints no comparison of arms can reach its bar; then quorum, missing data and explicit failures decide, and
people must know that. Larger rings say how many silent endpoints halt them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from brakeline.rollout import arms, evalue
from brakeline.rollout.alpha import alpha_table
from brakeline.rollout.evidence import SILENT, Counts
from brakeline.rollout.model import Change, Policy


@dataclass(frozen=True, slots=True)
class RingPower:
    """A ring as the statistics see it; `halts_at` silent treated endpoints halt it (none of the controls silent)."""

    name: str
    treated: int
    controls: int
    halts_at: int | None


@dataclass(frozen=True, slots=True)
class Power:
    rings: tuple[RingPower, ...]
    sentences: tuple[str, ...]


def halting_count(n_t: int, n_c: int, x_c: int, bar: float) -> int | None:
    """The smallest number of bad treated endpoints that reaches `bar`; None = not even all of them."""
    if n_t == 0 or n_c == 0 or evalue.compare([Counts(n_t, n_c, n_t, x_c)]) < bar:
        return None
    low, high = 1, n_t
    while low < high:
        middle = (low + high) // 2
        if evalue.compare([Counts(n_t, n_c, middle, x_c)]) >= bar:
            high = middle
        else:
            low = middle + 1
    return low


def silence_bar(policy: Policy, attributes: tuple[str, ...] = ()) -> float:
    """log e-value at which one ring's silence alone halts at one checkpoint (the mean over rings is what is tested)."""
    places = len(policy.rings) + 1
    return math.log(places) + next(
        r.bar for r in alpha_table(policy, attributes) if r.signal == SILENT and r.group == "all"
    )


def power(policy: Policy, change: Change, total: int, regions: int = 1) -> Power:
    """For a fleet of `total` endpoints in `regions` regions of equal size, all of one class (the best case)."""
    bar = silence_bar(policy)
    rings: list[RingPower] = []
    before = used = 0
    planned = arms.rings_for(policy, change, total)
    for i, (ring, upto) in enumerate(planned):
        treated = upto - before
        wanted = treated * arms.controls_per_treated(policy, i, [n for _, n in planned], total)
        fresh = max(0, total - upto - used)
        controls = min(wanted, fresh if 2 * fresh >= wanted else total - upto)
        used += controls
        rings.append(RingPower(ring.name, treated, controls, halting_count(treated, controls, 0, bar)))
        before = upto
    return Power(tuple(rings), _sentences(policy, rings, total, regions))


def _small(policy: Policy) -> str:
    """What an explicit failure does in a small ring."""
    if policy.small_halts > 1:
        return "holds, two halt"
    return "halts; so does one that stays away, while controls are heard" if policy.silence_halts else "halts"


def _sentences(policy: Policy, rings: list[RingPower], total: int, regions: int) -> tuple[str, ...]:
    seeing = [r for r in rings if r.halts_at is not None]
    small = [r for r in rings if r.treated < policy.small_ring]
    said = []
    if not seeing:
        said.append(
            f"With {total} endpoints no comparison of treated with control can halt by itself: even if every treated "
            "endpoint fell silent, chance could not be excluded. Missing proof holds the rollout instead."
        )
    for r in seeing:
        assert r.halts_at is not None
        said.append(
            f"Ring {r.name}: {r.treated} treated beside {r.controls} controls; halts when {r.halts_at} of them "
            f"({100 * r.halts_at / r.treated:.0f} %) fall silent and no control does. Rarer harm can pass this ring."
        )
    if small:
        names = ", ".join(r.name for r in small)
        said.append(
            f"Rings under {policy.small_ring} treated ({names}): one explicit failure that the update must have caused "
            f"{_small(policy)}. This rule is outside the 1 % bound on false halts."
        )
    said.append(
        f"Every ring needs {policy.quorum:.0%} of its treated endpoints proven (installed, heard again, healthy) "
        "before the next one opens; no data holds, and the last ring never opens on hope."
    )
    if regions > 1:
        said.append(f"Arms are compared within each of the {regions} regions, so small regions see less.")
    return tuple(said)
