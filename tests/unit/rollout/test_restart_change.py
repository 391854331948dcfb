"""Restarts as a change: who stands ready for one, and what became of an order."""

from __future__ import annotations

import pytest

from brakeline.protocol.messages import Ready, RestartOrder, RestartStanding
from brakeline.rollout.model import Progress
from brakeline.rollout.restart_change import (
    BUSY,
    NOT_ALLOWED,
    TOO_OLD,
    WITHIN_S,
    change_of,
    end_of,
    order_of,
    policy_of,
    stands,
)

YES = RestartStanding(allowed=True)
ORDER = RestartOrder("ep_1", "ro_1", "boot 1", 1_000, 2_000)


def test_whoever_allows_it_stands_ready_for_the_boot_that_speaks() -> None:
    ready = stands("ro_1", 3, YES, "boot 1", busy=False)
    assert isinstance(ready, Ready)
    assert (ready.rollout_id, ready.generation, ready.transaction.actions) == ("ro_1", 3, ())
    assert order_of("ep_1", ready, 1_000, 2_000) == ORDER


@pytest.mark.parametrize(
    ("said", "boot", "busy", "why"),
    [
        (None, "boot 1", False, TOO_OLD),
        (YES, "", False, TOO_OLD),
        (RestartStanding(allowed=False), "boot 1", False, NOT_ALLOWED),
        (RestartStanding(True, "limit: had them"), "boot 1", False, ("refused", "it refused: limit: had them")),
        (YES, "boot 1", True, BUSY),
    ],
)
def test_whoever_does_not_is_left_alone_with_the_reason(
    said: RestartStanding | None, boot: str, busy: bool, why: tuple[str, str]
) -> None:
    assert stands("ro_1", 1, said, boot, busy=busy) == why


def test_another_boot_is_the_proof_whatever_else_was_said() -> None:
    for stopped in (False, True):
        end = end_of(ORDER, RestartStanding(True, "inhibited: a backup"), "boot 2", stopped=stopped)
        assert end is not None
        assert end.progress is Progress.INSTALLED


def test_an_order_stays_open_until_something_came_of_it() -> None:
    assert end_of(ORDER, YES, "boot 1", stopped=False) is None
    assert end_of(ORDER, None, "", stopped=False) is None
    refused = end_of(ORDER, RestartStanding(True, "inhibited: a backup"), "boot 1", stopped=False)
    assert refused is not None
    assert (refused.progress, refused.detail) == (Progress.REFUSED, "inhibited: a backup")
    back = end_of(ORDER, YES, "boot 1", stopped=True)
    assert back is not None
    assert back.progress is Progress.REFUSED


def test_one_machine_that_stays_away_halts_a_small_ring_and_no_canary_is_restarted_twice() -> None:
    policy = policy_of(2_000, "careful")
    assert (policy.small_halts, policy.silence_halts, policy.restarts.rings) == (1, True, 0)
    assert policy.offer_lifetime_s == WITHIN_S
    assert change_of(5, "x").is_restart
    assert change_of(5, "x").updates != change_of(6, "x").updates
