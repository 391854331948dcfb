"""Which way of closing a tick keeps the draw fair when a budget is spent, by counting: as shipped, and four others.

Askers come one by one; what would be wrong with one grows with the time at which it asks (night falls). If the arms are
fair, treated endpoints ask no earlier and no later than the draw says. `lateness` is by how many places of a tick of a
hundred askers the treated are late, with its z value over all ticks.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from brakeline.rollout import arms, budget
from brakeline.rollout.budget import FLEET, Per, Usage
from brakeline.rollout.model import Arm, Gate

ASKERS, TICKS, PLACES = 100, 3000, 10
DRAWN = arms.U_END // 10  # a tenth is drawn for treatment
GATE = Gate("eu", 0, 1, DRAWN, DRAWN, arms.U_END, PLACES, 0, 10**9)


@dataclass
class Tick:
    """One tick: askers in order, how many places, how much of the budget others spend at which asker."""

    rule: Callable[[Tick, int, int], Arm | None]  # (draw, left of the budget) -> arm; None = the tick is over
    places: int
    spent_at: int
    by_others: int

    def run(self, rng: random.Random) -> tuple[list[int], list[int]]:
        self.treated: list[int] = []
        self.control: list[int] = []
        for i in range(ASKERS):
            room = PLACES - len(self.treated) - (self.by_others if i >= self.spent_at else 0)
            arm = self.rule(self, rng.getrandbits(arms.U_BITS), room)
            if arm is None:
                break
            if arm is not Arm.DEFERRED:
                (self.treated if arm is Arm.TREATED else self.control).append(i)
        return self.treated, self.control


def drawn(u: int) -> Arm:
    return Arm.TREATED if u < DRAWN else Arm.CONTROL


def as_shipped(tick: Tick, u: int, room: int) -> Arm | None:
    """`arms.assign`, then `budget.refusal` for either arm."""
    arm = arms.assign(GATE, u, len(tick.treated) + PLACES - tick.places, closed=False, now_ms=1)
    if arm is Arm.DEFERRED:
        return None  # somebody drawn for treatment when every place is taken: over for both arms
    usage = Usage(FLEET, Per.HOUR, PLACES, PLACES - room)
    return None if budget.refusal([usage], tick.places - len(tick.treated), 0) else arm


def ends_at_the_first_refused(_tick: Tick, u: int, room: int) -> Arm | None:
    return None if drawn(u) is Arm.TREATED and room < 1 else drawn(u)


def ends_when_it_is_spent(_tick: Tick, u: int, room: int) -> Arm | None:
    return drawn(u) if room > 0 else None


def drops_who_is_refused(_tick: Tick, u: int, room: int) -> Arm:
    return Arm.DEFERRED if drawn(u) is Arm.TREATED and room < 1 else drawn(u)


def refused_are_controls(_tick: Tick, u: int, room: int) -> Arm:
    return Arm.CONTROL if room < 1 else drawn(u)


def lateness(rule: Callable[[Tick, int, int], Arm | None], *, others: bool) -> tuple[float, float]:
    """Others spend `PLACES` at a random asker; or nobody else does, and the budget has half the tick's places."""
    rng = random.Random(7)
    total = variance = count = 0.0
    for _ in range(TICKS):
        spent_at = rng.randrange(ASKERS) if others else ASKERS
        places = PLACES if others else PLACES // 2  # `budget.fit` cuts the gate to what is left
        taken = PLACES if others else 0
        tick = Tick(rule, places, spent_at, taken)
        if not others:
            tick.spent_at, tick.by_others = 0, PLACES - places
        t, c = tick.run(rng)
        n = len(t) + len(c)
        if not t or not c:
            continue
        mean = (sum(t) + sum(c)) / n
        total += sum(t) - mean * len(t)
        count += len(t)
        variance += len(t) * len(c) / n * sum((x - mean) ** 2 for x in t + c) / (n - 1)
    return total / count, total / variance**0.5


@pytest.mark.parametrize("others", [True, False], ids=["others spend it", "spent by itself"])
def test_as_shipped_the_treated_are_neither_early_nor_late(others: bool) -> None:
    late, z = lateness(as_shipped, others=others)
    assert abs(z) < 3.5, f"{late:+.2f} places, z = {z:+.1f}"


@pytest.mark.parametrize(
    ("rule", "others"),
    [
        (ends_at_the_first_refused, True), (ends_when_it_is_spent, False), (drops_who_is_refused, True),
        (drops_who_is_refused, False), (refused_are_controls, True), (refused_are_controls, False),
    ],
)  # fmt: skip
def test_each_other_way_is_seen_by_this_count(rule: Callable[[Tick, int, int], Arm | None], others: bool) -> None:
    late, z = lateness(rule, others=others)
    assert abs(z) > 10, f"{late:+.2f} places, z = {z:+.1f}"


if __name__ == "__main__":
    for others in (True, False):
        for each in (as_shipped, ends_at_the_first_refused, ends_when_it_is_spent, drops_who_is_refused,
                     refused_are_controls):  # fmt: skip
            late, z = lateness(each, others=others)
            print(f"{'others' if others else 'itself':7} {each.__name__:26} {late:+7.2f} places late, z = {z:+6.1f}")
