"""Endpoints that face the internet are never held out, and what that means for the comparison with the hold-out.

They are silent ten times as often as all others, for reasons of their own. In the last ring they are among the treated
and never among the hold-out: compared with it, a harmless change would look deadly.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import pytest

from brakeline.core.draw import U_END
from brakeline.rollout import arms, brake, facing
from brakeline.rollout.facing import ATTRIBUTE, Drawn
from brakeline.rollout.model import (
    Arm,
    Blueprint,
    Change,
    Gate,
    Guard,
    Observed,
    Phase,
    Pin,
    Policy,
    Ring,
    State,
    Subject,
    Turn,
)
from brakeline.rollout.summary import summarise
from brakeline.sim import world
from brakeline.sim.faults import MINUTE_MS, Fault
from brakeline.sim.fleet import DAY_MS, HOUR_MS, SimEndpoint, make_fleet

SIZE, SHARE = 2000, 0.4  # endpoints, and how many of them face the internet
SILENT = {True: 0.3, False: 0.03}
POLICY = Policy((Ring("half", 60, share=0.5), Ring("all", 60, share=1.0)), guard=Guard(holdout=0.1),
                checkpoints_s=(1_800, 8_100), eligible_seen_s=DAY_MS)  # fmt: skip
CHANGE = Change((Pin("x", "2"),))


def history(seed: int, kinds: bool) -> bool:
    """Whether a harmless change is halted by silence: a first ring with controls from below the hold-out, and the last
    one with the hold-out. `kinds`: compared within their kind, as the product does."""
    rng = random.Random(seed)
    fleet = [Drawn(f"ep_{i:04}", "eu", rng.randrange(U_END), rng.random() < SHARE) for i in range(SIZE)]
    change = replace(CHANGE, facing=facing.counted(POLICY, CHANGE, fleet))
    places = facing.placed(POLICY, change, fleet)
    fleet = sorted((d._replace(u=places[d.endpoint_id]) for d in fleet), key=lambda d: d.u)
    subjects: list[Subject] = []
    turns: list[Turn] = []
    held = arms.held_out(POLICY, change, SIZE)
    for ring, (treated, controls, reserve) in enumerate(((200, 1000, held), (SIZE, held, 0))):
        left = fleet[0 if ring == 0 else 200 :]
        draws = arms.SortedDraws([d.u for d in left])
        limit = facing.TOP if ring else U_END
        below, start, until = arms.thresholds(draws, draws, draws, treated, controls, reserve, limit=limit)
        gate = Gate("eu", ring, ring + 1, below, start, until, SIZE, 0, 10**9)
        turns.append(Turn("eu", ring, ring + 1, below, start, until))
        for d in left:
            arm = arms.assign(gate, d.u, 0, False, 0)
            heard = sum(1 << j for j in range(2) if rng.random() >= SILENT[d.faces])
            if arm is not Arm.DEFERRED:
                subjects.append(Subject(d.endpoint_id, arm, ring, ring + 1, "eu", "server", d.u, 0, 1,
                                        (ATTRIBUTE,) * d.faces, heard=heard, facing=kinds and d.faces))  # fmt: skip
    now_ms = 10_000_000
    blueprint = Blueprint("ro_1", 2, 1, Phase.ROLLING, 1, 0, ring_opened_ms=(0, 0), turns=tuple(turns))
    seen = Observed(change, SIZE, tuple(subjects), {"eu": ()}, {"eu": ()}, data_ms=now_ms, attributes=(ATTRIBUTE,))
    lines = brake.judge(POLICY, summarise(POLICY, blueprint, seen, now_ms), now_ms).lines
    assert any(x.gate == "excess silent" for x in lines), "silence was asked about"
    return any(x.gate == "excess silent" and x.state is State.HALT for x in lines)


def test_a_kind_that_is_silent_ten_times_as_often_halts_no_harmless_change() -> None:
    assert not any(history(seed, kinds=True) for seed in range(25))


def test_compared_with_the_hold_out_it_would() -> None:
    """The naive way, on the same histories: what the test above is able to see."""
    assert sum(history(seed, kinds=False) for seed in range(8)) >= 6


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_false_halts_stay_within_one_in_a_hundred() -> None:
    """With a true rate of 1 % more than eleven of 400 come once in a thousand times."""
    assert sum(history(1000 + seed, kinds=True) for seed in range(400)) <= 11


# --- whole rollouts ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Flaky(SimEndpoint):
    """Off in three of ten hours, at random; others in three of a hundred."""

    def on(self, now_ms: int) -> bool:
        draw = random.Random(f"{self.endpoint_id} {now_ms // HOUR_MS}").random()
        return draw >= SILENT[facing.faces(self.attributes)]


def scenario(fault: Fault, size: int = 300, seed: int = 3) -> world.Scenario:
    """A fleet of servers with a hold-out, of which 40 % face the internet; places as the product makes them."""
    rng = random.Random(seed)
    plain = make_fleet(rng, size, (1.0, 0.0, 0.0), rng.randbytes(32))
    policy = Policy((Ring("first", 6 * 3600, count=60), Ring("all", 6 * 3600, share=1.0)), guard=Guard(holdout=0.05),
                    checkpoints_s=(1_800, 8_100, 22_500), tick_s=3600, quorum=0.5)  # fmt: skip
    drawn = [Drawn(e.endpoint_id, e.region, e.u, rng.random() < SHARE) for e in plain]
    change = replace(world.CHANGE, facing=facing.counted(policy, world.CHANGE, drawn))
    places = facing.placed(policy, change, drawn)
    fleet = tuple(
        Flaky(e.endpoint_id, e.region, e.utc_h, e.machine_class, (*e.attributes, *(ATTRIBUTE,) * d.faces),
              places[e.endpoint_id], e.habits, e.phase, e.reboot_after_ms)
        for e, d in zip(plain, drawn, strict=True)
    )  # fmt: skip
    return world.Scenario("hold-out", policy, fleet, fault, (), 5000 * 7 * DAY_MS, 14 * DAY_MS, change=change)


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
    end = world.run(
        scenario(Fault("dead where it faces the internet", only=ATTRIBUTE, dies_after_ms=10 * MINUTE_MS)), 1
    )
    assert end.last.phase is Phase.HALTED
    assert max(o.ring for o in end.offers) == 0
