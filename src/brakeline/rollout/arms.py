"""Who is in which arm: the draw, the rings' sizes, and the decision at ready. Pure.

Every endpoint of a rollout has a place `u` in a draw that nobody could know before: the first 62 bits of
SHA-256(salt || endpoint id), salt drawn after the change was fixed. The lowest places are treated first, ring by ring;
controls are taken from the *highest* places, so that they are the last to cross over and stay comparable longest.
A ring takes fresh endpoints as controls while there are enough, else those of earlier rings move to it. Given who asked
in a tick, which of them are treated is a fair draw: that, and nothing else, is what the brake's statistics rely on.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import takewhile
from typing import Final, NamedTuple, Protocol

from brakeline.core.draw import U_BITS, U_END, draw
from brakeline.rollout.model import LAST_CHECKPOINT_S, Arm, Change, Gate, Policy, Ring, Turn

__all__ = ["U_BITS", "U_END", "draw"]  # the draw itself is shared with agent and launcher

HOLD_OUT: Final = "hold-out"  # the name of its ring; a cell that is led knows it by this
HARMED_SHIFT: Final = 20  # of a rollback's draws a millionth lies below everybody else


class Draws(Protocol):
    """Places in the draw of some endpoints, lowest first."""

    def __len__(self) -> int: ...

    def at(self, k: int) -> int:
        """The k-th lowest, counted from 0; `U_END` where there are not so many."""
        ...

    def between(self, low: int, high: int) -> int:
        """How many lie in [low, high)."""
        ...

    def from_top(self, high: int, k: int) -> int:
        """The k-th highest of those below `high`, counted from 1; there are so many."""
        ...


class SortedDraws:
    """Draws that are known one by one, sorted."""

    def __init__(self, us: Sequence[int]) -> None:
        self._us = us

    def __len__(self) -> int:
        return len(self._us)

    def at(self, k: int) -> int:
        return self._us[k] if k < len(self._us) else U_END

    def between(self, low: int, high: int) -> int:
        return max(0, bisect_left(self._us, high) - bisect_left(self._us, low))

    def from_top(self, high: int, k: int) -> int:
        return self._us[bisect_left(self._us, high) - k]


def held_out(policy: Policy, change: Change, total: int) -> int:
    """How many endpoints are treated last of all, as the last comparison. None where a finding is exploited, and none
    keeps a bad update for the sake of a comparison, nor waits with its face to the internet."""
    may_wait = max(0, total - change.never_held)
    return 0 if change.exploited or change.takes_back else math.floor(policy.guard.holdout * may_wait)


def holdable(change: Change, sizes: Mapping[str, int]) -> dict[str, int]:
    """How many of each region may be held out."""
    never = {f.region: f.endpoints for f in change.facing}
    return {region: max(0, n - never.get(region, 0)) for region, n in sizes.items()}


def _cumulative(ring: Ring, total: int) -> int:
    if ring.count is not None:
        return min(ring.count, total)
    return min(total, max(1, math.ceil((ring.share or 1.0) * total - 1e-9)))


@lru_cache(maxsize=256)  # asked for many times in every decision
def rings_for(policy: Policy, change: Change, total: int) -> tuple[tuple[Ring, int], ...]:
    """The rings that a fleet of `total` really has, each with its cumulative number of treated endpoints.

    Rings that would add nobody are dropped; the last always ends at everybody, the hold-out after it. A cell that is
    led has what it was granted, ring by ring.
    """
    if policy.led:
        return tuple((ring, min(ring.count or 0, total)) for ring in policy.rings)
    reserve = held_out(policy, change, total)
    rings: list[tuple[Ring, int]] = []
    for i, ring in enumerate(policy.rings):
        last = i == len(policy.rings) - 1
        upto = total - reserve if last else min(_cumulative(ring, total), total - reserve)
        if upto > (rings[-1][1] if rings else 0):
            rings.append((ring, upto))
    if reserve:
        ring, upto = rings[-1]
        watched = min(LAST_CHECKPOINT_S, max(policy.checkpoints_s))
        rings[-1] = (replace(ring, bake_s=max(ring.bake_s, watched)), upto)
        rings.append((Ring(HOLD_OUT, bake_s=0, share=1.0), total))
    return tuple(rings)


def ends_when_due(policy: Policy, change: Change, total: int, index: int, now_ms: int) -> bool:
    """Whether this is the ring that the hold-out is compared with, and what the change closes is due."""
    if policy.led or not change.due_ms or now_ms < change.due_ms:
        return False
    return held_out(policy, change, total) > 0 and index == len(rings_for(policy, change, total)) - 2


def bake_s(policy: Policy, change: Change, total: int, index: int, now_ms: int) -> int:
    """How long this ring has to bake now: the last one before the hold-out until its last checkpoint, or for its own
    time once what it closes is due. 0 = there are no rings."""
    rings = rings_for(policy, change, total)
    if not rings:
        return 0
    ring = rings[min(max(index, 0), len(rings) - 1)][0]
    own = [r.bake_s for r in policy.rings if replace(r, bake_s=ring.bake_s) == ring]
    return min(own) if own and ends_when_due(policy, change, total, index, now_ms) else ring.bake_s


def allot(upto: int, sizes: Mapping[str, int]) -> dict[str, int]:
    """`upto` places shared over regions in proportion to their sizes (largest remainder, then by name)."""
    total = sum(sizes.values())
    if total == 0:
        return dict.fromkeys(sizes, 0)
    upto = min(upto, total)
    exact = {r: upto * n / total for r, n in sizes.items()}
    shares = {r: math.floor(x) for r, x in exact.items()}
    by_remainder = sorted(sizes, key=lambda r: (-(exact[r] - shares[r]), r))
    for region in by_remainder[: upto - sum(shares.values())]:
        shares[region] += 1
    return shares


def goals(change: Change, upto: int, sizes: Mapping[str, int]) -> dict[str, int]:
    """How many endpoints of each region `upto` places mean: those of endpoints with proven harm are where these are."""
    harmed = {h.region: min(h.endpoints, sizes.get(h.region, 0)) for h in change.harmed if h.region in sizes}
    first = sum(harmed.values())
    if upto <= first:
        return dict.fromkeys(sizes, 0) | allot(upto, harmed)
    rest = allot(upto - first, {r: n - harmed.get(r, 0) for r, n in sizes.items()})
    return {r: n + harmed.get(r, 0) for r, n in rest.items()}


def ahead(u: int, *, harmed: bool) -> int:
    """The draw of a rollback's target: endpoints with proven harm below all others, else in the same order."""
    low = U_END >> HARMED_SHIFT
    return u >> HARMED_SHIFT if harmed else low + u * (U_END - low) // U_END


def thresholds(untreated: Draws, fresh: Draws, spare: Draws, places: int, controls: int, reserve: int,
               apart: int | None = None, limit: int = U_END) -> tuple[int, int, int]:  # fmt: skip
    """(treat_below, control_from, control_until) so that `places` endpoints fall below and `controls` others above.

    `fresh` were in no arm yet; where they are less than half of what is wanted, `spare` are taken: untreated endpoints
    that are no controls of this ring yet. A ring that keeps its controls `apart` from those of earlier rings takes none
    from that draw on, and fresh ones only.

    `reserve` of the highest draws are kept out of both until the ring that is meant for them; nobody is treated from
    `limit` on, however many places are left.
    """
    treat_below = min(limit, untreated.at(places))
    until = U_END if reserve <= 0 or reserve > len(untreated) else untreated.at(len(untreated) - reserve)
    until = until if apart is None else max(treat_below, min(until, apart))  # treated beyond it: no room is left
    pool = fresh if apart is not None or 2 * fresh.between(treat_below, until) >= controls else spare
    above = pool.between(treat_below, until)
    if not above or controls <= 0:
        return treat_below, until, until
    return treat_below, pool.from_top(until, min(controls, above)), until


def widened(gate: Gate, turns: Sequence[Turn]) -> Gate:
    """The gate with a control range that contains those of the ring's earlier ticks: once in range, in range.

    Otherwise a control that did not ask in one tick may be out of range in the next and in again later, while treated
    ones stay in range: the two would wait under different rules, and who waits longer is worse.
    """
    known = [t for t in _of_ring(turns, gate.region, gate.ring) if t.control_from < t.control_until]
    if not known:
        return gate
    until = max(gate.control_until, *(t.control_until for t in known))
    start = min(gate.control_from, *(t.control_from for t in known)) if gate.control_from < gate.control_until else (
        min(t.control_from for t in known))  # fmt: skip
    start = max(gate.treat_below, start)
    return replace(gate, control_from=start, control_until=max(start, until))


def apart(turns: Iterable[Turn], ring: int) -> Mapping[str, int]:
    """By region, from which draw on endpoints were in the control range of a ring before this one; none = of none."""
    found: dict[str, int] = {}
    for t in turns:
        if t.ring < ring and t.control_from < t.control_until and t.control_from < found.get(t.region, U_END):
            found[t.region] = t.control_from
    return found


def kept_apart(turns: Sequence[Turn], ring: int) -> bool | None:
    """Whether the ring in progress keeps its controls apart from those of earlier rings; None = it has none yet.

    What it began as it stays, in all regions: what its evidence may be added to must not change with what is seen.
    """
    mine = [t for t in takewhile(lambda t: t.ring >= ring, reversed(turns)) if t.control_from < t.control_until]
    bounds = apart(turns, ring) if mine else {}
    return all(t.control_until <= bounds.get(t.region, U_END) for t in mine) if mine else None


def linked(turns: Sequence[Turn]) -> frozenset[int]:
    """Rings whose bets go on with what those of earlier rings have earned, because chance alone still decides which of
    this ring's endpoints are treated, whatever was seen before: in each region, of every earlier ring, its endpoints
    were either all in the range of controls or all out of it. Where some of them were (the highest draws, as ever),
    who was a control is known to be none of the treated, and the rings' e-values may only be averaged.
    """
    spans: dict[str, dict[int, _Span]] = {}
    for t in turns:
        mine = spans.setdefault(t.region, {})
        old = mine.get(t.ring)
        low, high = (t.control_from, t.control_until) if t.control_from < t.control_until else (U_END, 0)
        if old is not None:
            low, high = min(old.low, low), max(old.high, high)
        mine[t.ring] = _Span(max(old.treat_below, t.treat_below) if old else t.treat_below, low, high)
    rings = {t.ring for t in turns}
    return frozenset(r for r in rings if r and all(_alike(mine, r) for mine in spans.values()))


class _Span(NamedTuple):
    """What one ring brought into range in one region: draws below for treatment, [low, high) as controls."""

    treat_below: int
    low: int
    high: int


def _alike(spans: Mapping[int, _Span], ring: int) -> bool:
    """Whether each earlier ring's controls hold all of this ring's draws or none."""
    if ring not in spans or spans[ring].high == 0:
        return True
    before = [span for r, span in spans.items() if r < ring]
    first, last = max((span.treat_below for span in before), default=0), spans[ring].high
    return all(span.low >= last or (span.low <= first and span.high >= last) for span in before)


def controls_per_treated(policy: Policy, ring: int, uptos: Sequence[int], population: int) -> int:
    """How many controls are wanted for a treated endpoint of this ring: more where that is a small part of the fleet.

    A bad treated endpoint weighs as much as the logarithm of their number, and the first rings are where each counts.
    """
    guard = policy.guard
    index = min(ring, len(uptos) - 1)
    added = max(1, uptos[index] - (uptos[index - 1] if index else 0))
    return max(guard.controls_per_treated, min(guard.controls_early, int(guard.controls_share * population / added)))


def turns_after(turns: tuple[Turn, ...], gates: Iterable[Gate]) -> tuple[Turn, ...]:
    """`turns` and what `gates` bring into range for the first time."""
    new = [Turn(g.region, g.ring, g.tick, g.treat_below, g.control_from, g.control_until) for g in gates]
    return turns + tuple(t for t in new if not _contained(t, turns))


def _of_ring(turns: Sequence[Turn], region: str, ring: int) -> list[Turn]:
    """A region's turns of a ring, newest first. Rings follow one another, so older ones need not be looked at."""
    return [t for t in takewhile(lambda t: t.ring >= ring, reversed(turns)) if (t.region, t.ring) == (region, ring)]


def _contained(new: Turn, turns: Sequence[Turn]) -> bool:
    """Whether nobody comes into range with `new` who was not in range before, in the same ring."""
    mine = _of_ring(turns, new.region, new.ring)
    treated = any(new.treat_below <= t.treat_below for t in mine)
    controls = any(t.control_from <= new.control_from and new.control_until <= t.control_until for t in mine)
    return treated and (controls or new.control_from >= new.control_until)


def cohort(turns: Iterable[Turn], region: str, ring: int, arm: Arm, u: int) -> int:
    """The tick in which this draw came into its arm's range; 0 = before anybody kept a record.

    Those who did not ask at once are there more rarely than others, so leftovers are compared with leftovers of the
    same tick only: both had the same chances to ask. A new ring draws its controls anew.
    """
    for t in turns:
        if t.region != region:
            continue
        if arm is Arm.TREATED and u < t.treat_below:
            return t.tick
        if arm is Arm.CONTROL and t.ring == ring and t.control_from <= u < t.control_until:
            return t.tick
    return 0


def overdraws(gate: Gate, u: int, treated_in_tick: int) -> bool:
    """Somebody drawn for treatment asks when the budget is spent: the tick closes here, for both arms.

    The range below `treat_below` holds as many endpoints as the budget, so this is rare (somebody came back). Were
    such askers refused and the tick left open, the treated would be the early ones, and night would look like harm.
    """
    return u < gate.treat_below and treated_in_tick >= gate.budget


def assign(gate: Gate | None, u: int, treated_in_tick: int, closed: bool, now_ms: int) -> Arm:
    """What becomes of an endpoint that is ready now. A closed tick defers everybody, whatever their draw."""
    if gate is None or closed or now_ms >= gate.closes_ms or overdraws(gate, u, treated_in_tick):
        return Arm.DEFERRED
    if u < gate.treat_below:
        return Arm.TREATED
    if gate.control_from <= u < gate.control_until:
        return Arm.CONTROL
    return Arm.DEFERRED
