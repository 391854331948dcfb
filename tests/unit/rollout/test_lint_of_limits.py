"""The independent checker finds what the limits over all rollouts forbid, whoever proposed it."""

from __future__ import annotations

from dataclasses import replace

from brakeline.rollout import lint
from brakeline.rollout.budget import FLEET, Allowance, Per, Usage
from brakeline.rollout.model import Blueprint, Change, Gate, Goal, Observed, Phase, Pin, TickState
from brakeline.rollout.presets import policy_for

POLICY = policy_for(1000)
OBSERVED = Observed(
    Change((Pin("curl", "1"),)),
    100,
    (),
    {"eu": tuple(range(0, 1000, 10)), "us": ()},
    {},
    (TickState("eu", 5, 0, 2, False),),
)
CURRENT = Blueprint("ro_1", 5, 4, Phase.ROLLING, 0, 0, goals=(Goal("eu", 50), Goal("us", 50)), ring_opened_ms=(0,))
RUNNING = Gate("eu", 0, 5, 40, 900, 1000, 4, 0, 900_000)


def allowed(used: int, reserved: int = 0, frozen: str = "") -> Allowance:
    return Allowance(Usage(FLEET, Per.HOUR, 50, used), reserved, frozen=frozen)


def rules(current: Blueprint, limits: Allowance | None, *gates: Gate) -> list[str]:
    proposed = replace(current, generation=6, parent=5, gates=gates)
    known = {
        "budget-of-all-rollouts-kept",
        "new-gates-reach-no-more-draws-than-places",
        "nothing-is-open-in-a-freeze-window",
    }
    return [f.rule for f in lint.check(POLICY, current, proposed, OBSERVED, limits) if f.rule in known]


def gate(places: int, reach: int | None = None) -> Gate:
    return Gate("eu", 0, 6, 10 * (places if reach is None else reach), 900, 1000, places, 0, 900_000)


def test_a_gate_that_the_budget_covers_passes() -> None:
    assert rules(CURRENT, allowed(40, 5), gate(5)) == []
    assert rules(CURRENT, None, gate(50)) == []


def test_more_places_than_are_left_beside_what_is_spent_and_promised() -> None:
    assert rules(CURRENT, allowed(46), gate(5)) == ["budget-of-all-rollouts-kept"]
    assert rules(CURRENT, allowed(40, 6), gate(5)) == ["budget-of-all-rollouts-kept"]


def test_gates_that_run_count_with_what_they_may_still_offer_and_may_stay_when_a_budget_was_lowered() -> None:
    running = replace(CURRENT, gates=(RUNNING,))
    new = replace(gate(5, 0), region="us")
    assert rules(running, allowed(43), RUNNING, new) == []
    assert rules(running, allowed(44), RUNNING, new) == ["budget-of-all-rollouts-kept"]
    assert rules(running, allowed(50), RUNNING) == []
    assert rules(running, allowed(50)) == []


def test_a_range_that_would_lease_a_release_to_more_than_its_places() -> None:
    assert rules(CURRENT, allowed(0), gate(5, reach=6)) == ["new-gates-reach-no-more-draws-than-places"]


def test_any_gate_in_a_freeze_window() -> None:
    running = replace(CURRENT, gates=(RUNNING,))
    assert rules(running, allowed(0, frozen="freeze window 'x'"), RUNNING) == ["nothing-is-open-in-a-freeze-window"]
    assert rules(running, allowed(0, frozen="freeze window 'x'")) == []
