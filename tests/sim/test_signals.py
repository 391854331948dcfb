"""Each signal of harm: a harmless excess up to its margin halts no more often than it may, and each fault is found."""

from __future__ import annotations

import math
import random

import pytest

from brakeline.rollout import brake, evalue, untaken
from brakeline.rollout.alpha import MARGINS
from brakeline.rollout.evidence import SILENT, Counts
from brakeline.rollout.model import Phase
from brakeline.rollout.presets import for_release, policy_for
from brakeline.rollout.signals import ACTIONS, BLOCKS, DELETIONS, ERRORS, PATCHES, RESOURCES, STARTS
from brakeline.sim import batch, cohorts
from brakeline.sim.cohorts import Case
from brakeline.sim.incidents import Creep, Fault, Immediate, Symptom
from brakeline.sim.telling import BASES

ALPHA = 0.05  # far above any row's, so that few histories can show a wrong statistic
HISTORIES, TICKS, TREATED, CONTROLS = 200, 30, 20, 180
SPREADS = (0.0, 1.0)  # of a cause that both arms share, as a night or an outage: by block, up to so many times more
POLICY = for_release(policy_for(100_000))
FAST = for_release(policy_for(100_000, "fast"))


def bad(rng: random.Random, n: int, p: float) -> int:
    return sum(rng.random() < p for _ in range(n))


def ever_halts(rng: random.Random, base: float, excess: float, margin: float, spread: float) -> bool:
    """Whether the e-value of one row ever passes its bar, looked at after each block."""
    sums: tuple[float, ...] = ()
    for _ in range(TICKS):
        shared = base * (1 + spread * rng.random() * 10)
        block = Counts(TREATED, CONTROLS, bad(rng, TREATED, min(1.0, shared + excess)), bad(rng, CONTROLS, shared))
        bets = evalue.bets_beyond(block, margin)
        sums = evalue.add([sums, bets]) if sums else bets
        if brake.over_rings({0: sums}) >= -math.log(ALPHA):
            return True
    return False


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("signal", sorted(set(MARGINS) - {SILENT}))
def test_an_excess_up_to_the_margin_halts_no_more_often_than_it_may(signal: str, spread: float) -> None:
    margin, base = MARGINS[signal], BASES[signal]
    halted = sum(ever_halts(random.Random(s), base, margin, margin, spread) for s in range(HISTORIES))
    assert halted <= 2 * ALPHA * HISTORIES  # five standard deviations above what it may


@pytest.mark.parametrize("signal", sorted(set(MARGINS) - {SILENT}))
def test_an_excess_far_above_the_margin_is_found(signal: str) -> None:
    margin, base = MARGINS[signal], BASES[signal]
    assert all(ever_halts(random.Random(s), base, 0.2, margin, 0.0) for s in range(20))


@pytest.mark.parametrize(
    ("symptom", "signal"),
    [
        (Symptom.MEMORY_CREEP, RESOURCES), (Symptom.CPU_SATURATED, RESOURCES), (Symptom.ACTION_STORM, ACTIONS),
        (Symptom.SERVICE_FAILED, "unhealthy"), (Symptom.REBOOT_LOOP, STARTS), (Symptom.BLOCKS, BLOCKS),
        (Symptom.DELETES, DELETIONS), (Symptom.PATCH_FAILURE, PATCHES),
        (Symptom.JOURNAL_ERRORS, ERRORS), (Symptom.PROBE_FAILS, "unhealthy"),
    ],
)  # fmt: skip
def test_each_fault_that_hits_a_fifth_is_found_by_its_signal_in_the_first_rings(symptom: Symptom, signal: str) -> None:
    onset = Creep(2.0) if symptom is Symptom.MEMORY_CREEP else Immediate()
    world = cohorts.World(Case(100_000, POLICY, Fault(symptom, 0.2, None, onset), 1))
    end = world.run()
    assert end.phase in (Phase.HALTED, Phase.HOLDING), end.why
    assert end.ring <= 1
    strongest: dict[str, float] = {}
    for (name, _, _), rings in world.voice.table.items():
        strongest[name] = max(strongest.get(name, 0.0), *(max(bets) for bets in rings.values()))
    others = [
        x for x in (RESOURCES, ACTIONS, "unhealthy", STARTS) if x != signal and symptom is not Symptom.REBOOT_LOOP
    ]
    assert all(strongest[signal] > strongest.get(x, 0.0) for x in others)


@pytest.mark.long
def test_one_in_a_thousand_more_of_everything_halts_nothing() -> None:
    more = dict.fromkeys((RESOURCES, ACTIONS, STARTS, PATCHES, BLOCKS, DELETIONS, ERRORS), 0.001)
    end = cohorts.run(Case(100_000, POLICY, None, 5, harmless=more))
    assert end.phase is Phase.COMPLETED, end.why


@pytest.mark.parametrize("name", [n for n in batch.HARMS if "0.2 %" in n])
def test_harm_of_a_small_subset_that_answers_every_check_in_is_found(name: str) -> None:
    end = cohorts.run(Case(850_000, for_release(policy_for(850_000)), batch.HARMS[name], 2))
    assert end.phase is Phase.HALTED, end.why
    assert end.harmed < 100


@pytest.mark.parametrize(
    ("name", "reached"), [("takes nothing, 100 %", 100), ("takes nothing, 20 %", 1_000), ("takes nothing, 5 %", 2_000)]
)
def test_what_answers_check_ins_and_takes_nothing_goes_no_further_than_the_beginning_of_the_third_ring(
    name: str, reached: int
) -> None:
    """A thousand do not always tell a twentieth from the usual fiftieth; a few more do."""
    end = cohorts.run(Case(100_000, POLICY, batch.HARMS[name], 2))
    assert end.phase in (Phase.HALTED, Phase.HOLDING), end.why
    assert end.exposed <= reached
    assert "took nothing" in end.why or "proven" in end.why


def test_a_usual_share_that_takes_nothing_stops_no_harmless_change() -> None:
    for seed in range(3):
        end = cohorts.run(Case(100_000, FAST, None, seed, idle=untaken.USUAL))
        assert end.phase is Phase.COMPLETED, end.why
