"""Histories of rollbacks: the same promises, the harmed first, and nobody who is known to be harmed is compared."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from brakeline.rollout import arms
from brakeline.rollout.model import ROLLBACK, Phase
from brakeline.rollout.undo import Exposed, UndoPlan, harmed_by_region, policy_of
from brakeline.sim import faults, promises, scenarios, world
from brakeline.sim.faults import Fault
from brakeline.sim.fleet import SimEndpoint

SEEDS = range(24)
SERVERS, MIXED = (1.0, 0.0, 0.0), (0.3, 0.3, 0.4)


def rollback(seed: int, fault: Fault, mix: tuple[float, float, float] = SERVERS) -> tuple[world.Scenario, set[str]]:
    """A rollback over a fleet of which a few are known to be harmed; who these are."""
    rng = random.Random(seed)
    base = scenarios.make(rng, "rollback", rng.choice((5, 12, 40, 150)), mix, fault)
    harmed = {e.endpoint_id for e in rng.sample(base.fleet, k=max(1, len(base.fleet) // rng.choice((3, 6, 20))))}
    plan = UndoPlan("ro_sim", "sim", (), _of(base.fleet, harmed, wanted=True), _of(base.fleet, harmed, wanted=False),
                    (), 0)  # fmt: skip
    change = replace(world.CHANGE, kind=ROLLBACK, undoes="ro_bad", harmed=harmed_by_region(plan))
    fleet = tuple(replace(e, u=arms.ahead(e.u, harmed=e.endpoint_id in harmed)) for e in base.fleet)
    return replace(base, fleet=fleet, change=change, policy=policy_of(plan, "careful")), harmed


def _of(fleet: tuple[SimEndpoint, ...], harmed: set[str], *, wanted: bool) -> tuple[Exposed, ...]:
    chosen = (e for e in fleet if (e.endpoint_id in harmed) is wanted)
    return tuple(Exposed(e.endpoint_id, e.endpoint_id, e.region, "x" if wanted else "", "", "") for e in chosen)


def only_harmed(rings: tuple[tuple[object, int], ...], harmed: int) -> set[int]:
    return {i for i, (_, upto) in enumerate(rings) if upto <= harmed}


@pytest.mark.parametrize("part", [0, *(pytest.param(n, marks=pytest.mark.long) for n in (1, 2, 3))])
def test_the_harmed_come_first_and_every_promise_holds(part: int) -> None:
    for seed in SEEDS[part::4]:
        scenario, harmed = rollback(seed, faults.BENIGN)
        end = world.run(scenario, seed)
        assert promises.broken(end) == [], seed
        assert {o.endpoint_id for o in end.offers[: len(harmed)]} == harmed, seed
        rings = arms.rings_for(scenario.policy, scenario.change, len(scenario.fleet))
        alone = only_harmed(rings, len(harmed))
        assert {o.ring for o in end.offers[: len(harmed)]} == alone
        assert not [c for c, _ in end.controls if c.ring in alone], "nobody is like those who are known to be harmed"
        assert len(end.offers) == len(scenario.fleet), "no hold-out keeps a bad update"


def test_a_rollback_is_as_slow_as_any_rollout_of_its_size() -> None:
    for seed in SEEDS:
        scenario, _ = rollback(seed, faults.BENIGN)
        usual = arms.rings_for(policy_of(_nobody(scenario), "careful"), scenario.change, len(scenario.fleet))
        mine = arms.rings_for(scenario.policy, scenario.change, len(scenario.fleet))
        assert all(m[1] <= u[1] for m, u in zip(mine, usual, strict=False)), seed


def _nobody(scenario: world.Scenario) -> UndoPlan:
    return UndoPlan("ro_sim", "sim", (), (), _of(scenario.fleet, set(), wanted=False), (), 0)


@pytest.mark.parametrize("fault", [faults.POSTINST, faults.DEAD_ALL], ids=lambda f: f.name)
def test_a_rollback_that_harms_stays_in_its_first_ring(fault: Fault) -> None:
    ends: Counter[Phase] = Counter()
    for seed in range(12):
        scenario, _ = rollback(seed, fault)
        end = world.run(scenario, seed)
        assert promises.broken(end) == [], seed
        assert {o.ring for o in end.offers} == {0}, seed
        ends[end.last.phase] += 1
    assert set(ends) <= {Phase.HALTED, Phase.HOLDING}, ends


@pytest.mark.parametrize("part", [1, *(pytest.param(n, marks=pytest.mark.long) for n in (0, 2))])
def test_harmed_laptops_that_are_away_hold_nobody_up(part: int) -> None:
    for seed in range(part, 12, 3):
        scenario, _ = rollback(seed, faults.BENIGN, MIXED)
        assert promises.broken(world.run(scenario, seed)) == [], seed
