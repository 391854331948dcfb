"""What is wrong with a plan before anybody is offered anything: rules that refuse it, and notes on what it cannot do.

Refused is what could never finish, could never be judged, or would do something else than it says; each rule says what
to write instead. Notes are for plans that work otherwise than their words suggest in a fleet of this size. Pure.
Blueprints, later, are `lint`'s business.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

from brakeline.rollout.lint import Finding, Severity
from brakeline.rollout.model import DAY_S, Change, Policy
from brakeline.rollout.presets import LARGE_FLEET
from brakeline.rollout.timeline import share_offered, timeline

LONGEST_S: Final = 365 * DAY_S  # nobody waits longer for an update
HOLDOUT_MAX: Final = 0.5
STEP_MAX: Final = 20  # a ring so many times larger than all before it is worth a word

Rule = Callable[[Policy, Change, int], Iterator[str]]


def problems(policy: Policy, change: Change, size: int) -> tuple[Finding, ...]:
    """Why this plan is refused for `size` endpoints; empty = it may be drafted."""
    found = [(rule.__name__, text) for rule in REFUSALS for text in rule(policy, change, size)]
    return tuple(Finding(name.replace("_", "-"), Severity.ERROR, text) for name, text in found)


def notes(policy: Policy, change: Change, size: int) -> tuple[Finding, ...]:
    """What a person who reads the plan should know."""
    found = [(rule.__name__, text) for rule in NOTES for text in rule(policy, change, size)]
    return tuple(Finding(name.replace("_", "-"), Severity.NOTE, text) for name, text in found)


# --- refused ----------------------------------------------------------------------------------------------------------


def it_can_finish(policy: Policy, change: Change, size: int) -> Iterator[str]:
    """Every wait ends, every share can be reached, every tick offers something."""
    if policy.quorum > 1 or policy.enrolled > 1:
        yield "quorum and enrolled are shares of a ring: more than 1 is never reached; write 0.5 to 1"
    if policy.tick_s < 1 or policy.offers_per_tick < 1:
        yield "tick_s and offers_per_tick are at least 1: without them nothing is ever offered"
    if policy.offer_lifetime_s < policy.check_in_interval_s:
        yield (
            f"an offer lives {policy.offer_lifetime_s} s, endpoints check in every {policy.check_in_interval_s} s: it "
            "would expire unseen; make offer_lifetime_s longer"
        )
    if policy.data_age_max_s < policy.check_in_interval_s:
        yield (
            f"it holds when nothing was heard for {policy.data_age_max_s} s, endpoints check in every "
            f"{policy.check_in_interval_s} s: it would always hold; make data_age_max_s longer"
        )
    if policy.tick_s >= 1 and policy.offers_per_tick >= 1 and not _negative(policy):
        takes_s = _duration_s(policy, change, size)
        if takes_s > LONGEST_S:
            yield (
                f"at the earliest it would be done after {takes_s / DAY_S:,.0f} days, {LONGEST_S // DAY_S} at most: "
                "shorten bake_s or spread_s, or allow more offers_per_tick"
            )


def times_are_not_negative(policy: Policy, _c: Change, _n: int) -> Iterator[str]:
    """No duration is below nothing."""
    if bad := _negative(policy):
        yield f"{', '.join(bad)} cannot be negative (checkpoints and intervals: at least 1 s)"


def there_is_something_to_compare_with(policy: Policy, _c: Change, _n: int) -> Iterator[str]:
    """Treated endpoints without controls cannot be judged."""
    if policy.guard.controls_per_treated < 1:
        yield (
            f"controls_per_treated is {policy.guard.controls_per_treated}: without a control arm harm cannot be told "
            "from a bad day, so it would be judged by nobody; write 1 or more (9 is usual)"
        )
    if policy.guard.controls_early < 0 or not 0 <= policy.guard.controls_share <= 1:
        yield "controls_early is at least 0 and controls_share a share from 0 to 1: 99 and 0.05 are usual"
    if not 0 <= policy.guard.holdout <= HOLDOUT_MAX:
        yield f"holdout is a share from 0 to {HOLDOUT_MAX}: who is held out is treated last of all"


def rings_say_what_they_do(policy: Policy, _c: Change, size: int) -> Iterator[str]:
    """Names are told apart, and the last ring is everybody, as a rollout's last ring always is."""
    if not policy.rings:
        yield "a plan needs at least one ring"
    twice = [name for name, n in Counter(r.name for r in policy.rings).items() if n > 1]
    if twice:
        yield f"two rings are called {twice[0]!r}: give each a name of its own"
    if any(not r.name.strip() for r in policy.rings):
        yield "a ring needs a name"
    if policy.rings and _upto(policy, len(policy.rings) - 1, size) < size:
        last = policy.rings[-1]
        yield (
            f"the last ring ({last.name}) is for {_upto(policy, len(policy.rings) - 1, size)} of {size} endpoints, but "
            "a rollout ends at everybody it was made for: add a ring with share 1, or make it for fewer endpoints"
        )


# --- noted ------------------------------------------------------------------------------------------------------------


def nobody_is_left_to_compare_with(policy: Policy, _c: Change, size: int) -> Iterator[str]:
    """The first ring is everybody."""
    if size > 1 and policy.rings and _upto(policy, 0, size) >= size:
        yield (
            f"the first ring ({policy.rings[0].name}) takes all {size} endpoints at once: nobody is left to compare "
            "with and nothing to stop; begin with a smaller ring"
        )


def ring_larger_than_the_fleet(policy: Policy, _c: Change, size: int) -> Iterator[str]:
    """A count that there are not so many endpoints for."""
    for ring in policy.rings:
        if ring.count is not None and ring.count > size:
            yield f"ring {ring.name} is for {ring.count:,} endpoints, there are {size:,}: it ends at everybody"


def ring_that_adds_nobody(policy: Policy, _c: Change, size: int) -> Iterator[str]:
    """Rings are cumulative: one that is not larger than the one before is left out."""
    before = 0
    for i, ring in enumerate(policy.rings):
        upto = _upto(policy, i, size)
        if upto <= before:
            yield f"ring {ring.name} reaches {upto:,} endpoints, the one before {before:,}: adds nobody and is left out"
        before = max(before, upto)


def watched_for_less_than_six_hours(policy: Policy, _c: Change, _n: int) -> Iterator[str]:
    """What shows later than the bake is met by later rings."""
    shortest = min((r.bake_s for r in policy.rings), default=0)
    if shortest < 6 * 3600:
        yield f"a ring is watched for {shortest} s: harm that shows later is met by the rings after it"


def rare_harm_that_a_large_step_meets(policy: Policy, change: Change, size: int) -> Iterator[str]:
    """What hurrying trades: harm too rare for one ring is met by the next, and the larger the step, the more of it."""
    line = timeline(policy, change, size)
    for ring, after in pairwise(line.rings):
        if ring.bad_needed is None or after.added <= STEP_MAX * ring.upto or after.spread_h <= 0:
            continue
        share, looks_h = ring.bad_needed / ring.added, line.looks_h[0] + policy.tick_s / 3600
        taken = round(after.added * share_offered(looks_h, after.spread_h))
        yield (
            f"ring {after.name} is {after.added / ring.upto:.0f} times all that came before: harm of fewer than "
            f"{100 * share:.2g} % passes ring {ring.name}, and up to {taken:,} endpoints have the change before "
            f"ring {after.name} is looked at first (up to {math.ceil(share * taken):,} harmed); a ring in between, or "
            "a longer spread_s, makes that less"
        )


def nobody_is_held_out(policy: Policy, change: Change, size: int) -> Iterator[str]:
    """Without a hold-out the last ring ends with nobody to compare with."""
    if policy.guard.holdout == 0 and size >= LARGE_FLEET and not change.exploited:
        yield (
            "nobody is held out: it ends a day sooner, and harm that shows only when the last ring is full is compared "
            "with nobody; guard: {holdout: 0.01} keeps the last hundredth waiting"
        )


def _upto(policy: Policy, index: int, size: int) -> int:
    ring = policy.rings[index]
    if ring.count is not None:
        return min(ring.count, size)
    return min(size, max(1, math.ceil((ring.share or 1.0) * size - 1e-9)))


def _negative(policy: Policy) -> list[str]:
    at_least = {
        "spread_s": 0, "region_stagger_s": 0, "check_in_interval_s": 1, "grace_intervals": 1, "laptop_grace_s": 0,
        "people_return_s": 0, "eligible_seen_s": 1, "data_age_max_s": 1, "offer_lifetime_s": 1, "small_ring": 0,
        "small_halts": 1,
    }  # fmt: skip
    bad = [name for name, least in at_least.items() if getattr(policy, name) < least]
    bad += ["bake_s"] if any(r.bake_s < 0 for r in policy.rings) else []
    return bad + (["checkpoints_s"] if any(c < 1 for c in policy.checkpoints_s) else [])


def _duration_s(policy: Policy, change: Change, size: int) -> float:
    """As planned, or as long as offers of one region take tick by tick."""
    if not policy.rings or not policy.checkpoints_s:
        return 0.0
    ticks = math.ceil(size / policy.offers_per_tick) * policy.tick_s
    return max(timeline(policy, change, size).hours * 3600, ticks)


REFUSALS: Final[tuple[Rule, ...]] = (
    it_can_finish, times_are_not_negative, there_is_something_to_compare_with, rings_say_what_they_do,
)  # fmt: skip
NOTES: Final[tuple[Rule, ...]] = (
    nobody_is_left_to_compare_with, ring_larger_than_the_fleet, ring_that_adds_nobody, watched_for_less_than_six_hours,
    rare_harm_that_a_large_step_meets, nobody_is_held_out,
)  # fmt: skip
