"""Looking at a rollout takes a bounded share of the time, however large it is and however many look."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, cast

import pytest

from brakeline.console.desk_base import SHOWN_SHARE, DeskBase
from brakeline.console.screens import Visitor
from brakeline.core.clock import ManualClock
from brakeline.core.errors import Forbidden
from brakeline.tenancy.model import PERMISSIONS, Principal

OLGA = Visitor(Principal("te_1", "pe_1", "person", "Olga", PERMISSIONS), "", "")
NOBODY = Visitor(Principal("te_1", "pe_2", "person", "Nina", frozenset()), "", "")


@dataclass
class Counting:
    """Rollouts that take `takes_s` to count."""

    clock: ManualClock
    takes_s: float
    counted: int = 0

    async def show(self, _: Principal, rollout_id: str) -> str:
        self.counted += 1
        self.clock.advance(self.takes_s)
        await asyncio.sleep(0)
        return f"{rollout_id}, count {self.counted}"


@dataclass
class Parts:
    clock: ManualClock
    rollout: Counting


def desk(takes_s: float) -> tuple[DeskBase, Counting, ManualClock]:
    clock = ManualClock()
    counting = Counting(clock, takes_s)
    return DeskBase(cast(Any, Parts(clock, counting))), counting, clock


async def test_a_large_rollout_is_counted_in_a_tenth_of_the_time() -> None:
    made, counting, clock = desk(3.0)
    began = clock.monotonic_s()
    while clock.monotonic_s() - began < 300:
        await made.shown(OLGA, "ro_1", 0.0)
        clock.advance(0.5)
    assert counting.counted * 3.0 / (clock.monotonic_s() - began) <= SHOWN_SHARE * 1.1


async def test_who_looks_at_once_looks_at_one_count() -> None:
    made, counting, _ = desk(3.0)
    seen = await asyncio.gather(*(made.shown(OLGA, "ro_1", 0.0) for _ in range(50)))
    assert (set(map(str, seen)), counting.counted) == ({"ro_1, count 1"}, 1)


async def test_a_rollout_that_costs_nothing_is_always_fresh() -> None:
    made, counting, clock = desk(0.0)
    for _ in range(5):
        await made.shown(OLGA, "ro_1", 0.0)
        clock.advance(0.5)
    assert counting.counted == 5


async def test_after_an_act_the_next_look_counts_anew() -> None:
    made, counting, _ = desk(3.0)
    await made.shown(OLGA, "ro_1", 0.0)
    made.acted(OLGA, "ro_1")
    await made.shown(OLGA, "ro_1", 0.0)
    assert counting.counted == 2


async def test_what_is_remembered_is_for_those_who_may_read_it() -> None:
    made, _, _ = desk(3.0)
    await made.shown(OLGA, "ro_1")
    with pytest.raises(Forbidden):
        await made.shown(NOBODY, "ro_1")
