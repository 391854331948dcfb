"""Endpoints that face the internet are never held out, and what that means for the comparison with the hold-out.

They are silent ten times as often as all others, for reasons of their own. In the last ring they are among the treated
and never among the hold-out: compared with it, a harmless change would look deadly.
"""

from __future__ import annotations

import pytest
from bench.hold_out import halts_falsely, scenario

from brakeline.rollout import arms, facing
from brakeline.rollout.facing import ATTRIBUTE
from brakeline.rollout.model import Phase
from brakeline.sim import faults, promises, world
from brakeline.sim.faults import MINUTE_MS, Fault


def test_a_kind_that_is_silent_ten_times_as_often_halts_no_harmless_change() -> None:
    assert not any(halts_falsely(seed, kinds=True) for seed in range(25))


def test_compared_with_the_hold_out_it_would() -> None:
    """The naive way, on the same histories: what the test above is able to see."""
    assert sum(halts_falsely(seed, kinds=False) for seed in range(8)) >= 6


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_false_halts_stay_within_one_in_a_hundred() -> None:
    """With a true rate of 1 % more than eleven of 400 come once in a thousand times."""
    assert sum(halts_falsely(1000 + seed, kinds=True) for seed in range(400)) <= 11


def test_nobody_who_faces_the_internet_is_held_out_and_everybody_has_it_in_the_end() -> None:
    told = scenario(Fault("benign"))
    end = world.run(told, 1)
    assert (end.last.phase, end.lint) == (Phase.COMPLETED, [])
    ring = {o.endpoint_id: o.ring for o in end.offers}
    late = [e for e in told.fleet if ring[e.endpoint_id] == 2]
    assert len(late) == arms.held_out(told.policy, told.change, len(told.fleet)) >= 5
    assert not any(facing.faces(e.attributes) for e in late)
    assert len(ring) == len(told.fleet)


def test_harm_on_them_alone_is_found_in_the_first_ring() -> None:
    end = world.run(scenario(Fault("dead where it faces out", only=ATTRIBUTE, dies_after_ms=10 * MINUTE_MS)), 1)
    assert end.last.phase is Phase.HALTED
    assert max(o.ring for o in end.offers) == 0


@pytest.mark.parametrize("fault", faults.ALL, ids=lambda f: f.name)
def test_every_promise_holds_with_a_hold_out_that_some_are_never_in(fault: Fault) -> None:
    histories = [world.run(scenario(fault, seed, size=110, share=0.3, flaky=False), seed) for seed in range(3)]
    assert [promises.broken(h) for h in histories] == [[]] * 3
    assert all(h.scenario.change.facing for h in histories)
