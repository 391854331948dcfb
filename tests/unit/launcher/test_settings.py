"""Times of the launcher that are each endpoint's own."""

from __future__ import annotations

from collections import Counter

from brakeline.launcher.model import Knobs
from brakeline.launcher.settings import SPREAD, spread

ENDPOINTS = [f"ep_{n:026}" for n in range(2000)]


def test_an_endpoint_s_time_between_looks_is_its_own_and_stays() -> None:
    one, two = spread(Knobs(), ENDPOINTS[0]), spread(Knobs(), ENDPOINTS[1])
    assert one != two
    assert one == spread(Knobs(), ENDPOINTS[0])
    assert one.check_every_s / Knobs().check_every_s == one.lonely_check_s / Knobs().lonely_check_s


def test_endpoints_that_began_at_the_same_moment_come_out_of_step() -> None:
    """The second looks of all that were switched on at once: in no minute more than a twelfth of them."""
    seconds = [spread(Knobs(), e).check_every_s for e in ENDPOINTS]
    assert min(seconds) >= 3600 * (1 - SPREAD)
    assert max(seconds) <= 3600 * (1 + SPREAD)
    assert max(Counter(int(s // 60) for s in seconds).values()) < len(ENDPOINTS) / 12


def test_nothing_else_is_changed() -> None:
    own = spread(Knobs(check_s=7.0), ENDPOINTS[0])
    assert (own.check_s, own.ready_s, own.guard_delays_s) == (7.0, Knobs().ready_s, Knobs().guard_delays_s)
