"""Small rings in which some refuse by limits of their own: others take their places, and every promise holds."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from brakeline.rollout.model import Phase
from brakeline.sim import faults, promises, scenarios, world
from brakeline.sim.faults import Fault
from brakeline.sim.fleet import DAY_MS

SEEDS = range(10)


def history(seed: int, fault: Fault, *, gives_way: bool = True) -> world.History:
    """Six to twenty servers, of which one in six refuses."""
    rng = random.Random(seed)
    scenario = scenarios.make(rng, f"refusing {seed}", rng.choice((6, 9, 20)), (1.0, 0.0, 0.0), fault)
    scenario = replace(scenario, outages=(), refuses=1 / 6, gives_way=gives_way, horizon_ms=4 * DAY_MS)
    return world.run(scenario, seed)


def stuck(h: world.History) -> bool:
    return h.last.phase is not Phase.COMPLETED


def test_a_harmless_change_goes_on_where_it_stood_still_before_and_every_promise_holds() -> None:
    ends = {seed: history(seed, faults.BENIGN) for seed in SEEDS}
    assert {seed: broken for seed, h in ends.items() if (broken := promises.broken(h))} == {}
    gave = [seed for seed, h in ends.items() if h.gave]
    before = [seed for seed in gave if stuck(history(seed, faults.BENIGN, gives_way=False))]
    assert len(before) >= 3, "else this shows nothing"
    for h in ends.values():
        assert len({g.endpoint_id for _, g in h.gave}) == len(h.gave), "nobody gives way twice"
        places = Counter(g.ring for _, g in h.gave)
        assert all(n <= max(3, len(h.scenario.fleet) // 2) for n in places.values())


@pytest.mark.parametrize("fault", [faults.POSTINST, faults.DEAD_ALL])
def test_harm_is_stopped_as_before_whoever_refuses(fault: Fault) -> None:
    for seed in SEEDS:
        end = history(seed, fault)
        assert promises.broken(end) == []
        assert end.last.phase in (Phase.HALTED, Phase.HOLDING, Phase.ROLLING)
