"""What new content would flip, and what is held: losses wait for people, additions for hours, exploited ones never."""

from __future__ import annotations

import pytest
from pyroaring import BitMap

from brakeline.advisories.model import Advisory
from brakeline.exposure.flips import (
    ADDITIONS,
    ADDITIONS_WAIT_MS,
    FEW,
    LOSSES,
    Bound,
    Flips,
    Named,
    changes,
    flips,
    verdict,
)
from brakeline.exposure.index import Key
from brakeline.exposure.match import Book
from brakeline.exposure.model import Role, Unit

NOW = 1_000_000_000
BOUND = Bound()


def unit(source: str, version: str = "1.0-1") -> Unit:
    return Unit("debian:12", source, version)


def fleet(count: int, *sources: str, role: Role = Role.ACTIVE) -> dict[Key, BitMap]:
    return {(unit(s), role): BitMap(range(count)) for s in sources}


def book(*rows: tuple[str, str, str], kev: tuple[str, ...] = ()) -> Book:
    return Book([Advisory(source, cve, fixed) for source, cve, fixed in rows], frozenset(kev))


def many(source: str, count: int, fixed: str = "2.0-1") -> list[tuple[str, str, str]]:
    return [(source, f"CVE-{source}-{i}", fixed) for i in range(count)]


def weigh(holders: dict[Key, BitMap], before: Book, after: Book, *, only_kev: bool = False) -> Flips:
    return flips(holders, changes({unit for unit, _ in holders}, before, after, only_kev=only_kev))


def test_the_difference_is_counted_in_endpoints_and_states_and_both_directions() -> None:
    before, after = book(*many("curl", 3)), book(*many("curl", 2), ("curl", "CVE-new", "9"), ("jq", "CVE-jq", "9"))
    found = weigh(fleet(10, "curl") | fleet(4, "jq"), before, after)
    assert (found.before, found.gained, found.lost) == (30, 14, 10)
    assert (found.gaining, found.losing) == (10, 10)


def test_a_fix_that_moves_flips_only_whom_it_moves_across() -> None:
    before, after = book(("curl", "CVE-1", "2.0-1")), book(("curl", "CVE-1", "0.9-1"))
    two = {(unit("curl", "1.0-1"), Role.ACTIVE): BitMap({1}), (unit("curl", "0.5-1"), Role.ACTIVE): BitMap({2, 3})}
    found = weigh(two, before, after)
    assert (found.before, found.lost, found.losing) == (3, 1, 1)


def test_what_cannot_run_does_not_count() -> None:
    found = weigh(fleet(9, "curl", role=Role.CARRIER), book(*many("curl", 3)), book())
    assert found == Flips()


def test_the_same_rows_in_another_order_flip_nothing() -> None:
    rows = many("curl", 30)
    found = weigh(fleet(50, "curl"), book(*rows), book(*reversed(rows)))
    assert (found.gained, found.lost) == (0, 0)


def test_a_catalogue_flips_flags_and_not_findings() -> None:
    before = book(*many("curl", 4), kev=("CVE-curl-0", "CVE-curl-1"))
    after = book(*many("curl", 4), kev=("CVE-curl-1", "CVE-curl-2"))
    found = weigh(fleet(5, "curl"), before, after, only_kev=True)
    assert (found.before, found.gained, found.lost, found.exploited) == (10, 5, 5, 5)
    assert found.named == (Named("CVE-curl-2", 5),)


@pytest.mark.parametrize("lost", [0, FEW, 50])
def test_losses_within_the_bound_are_live(lost: int) -> None:
    assert verdict(Flips(before=1000, lost=lost), BOUND, "", NOW, NOW) is None


def test_losses_beyond_the_bound_wait_for_people_however_long() -> None:
    found = Flips(before=1000, lost=51, losing=40)
    for later_ms in (0, ADDITIONS_WAIT_MS, 10**12):
        hold = verdict(found, BOUND, "", NOW, NOW + later_ms)
        assert hold is not None
        assert (hold.kind, hold.until_ms) == (LOSSES, 0)
    assert "take away 51 findings on 40 endpoints, 5% of what stands open" in hold.reason
    assert verdict(found, BOUND, "refused", NOW, NOW) is not None
    assert verdict(found, BOUND, "accepted", NOW, NOW) is None


def test_additions_beyond_the_bound_wait_six_hours_and_then_go_live_unless_refused() -> None:
    found = Flips(before=1000, gained=251, gaining=10)
    hold = verdict(found, BOUND, "", NOW, NOW + ADDITIONS_WAIT_MS - 1)
    assert hold is not None
    assert (hold.kind, hold.until_ms) == (ADDITIONS, NOW + ADDITIONS_WAIT_MS)
    assert verdict(found, BOUND, "", NOW, NOW + ADDITIONS_WAIT_MS) is None
    refused = verdict(found, BOUND, "refused", NOW, NOW + ADDITIONS_WAIT_MS)
    assert refused is not None
    assert refused.until_ms == 0


def test_what_is_known_to_be_exploited_is_never_an_addition_too_many() -> None:
    assert verdict(Flips(before=1000, gained=900, exploited=900), BOUND, "", NOW, NOW) is None
    assert verdict(Flips(before=1000, gained=900, exploited=100), BOUND, "", NOW, NOW) is not None


def test_exploited_additions_do_not_hide_losses() -> None:
    found = Flips(before=1000, gained=900, exploited=900, lost=500)
    hold = verdict(found, BOUND, "", NOW, NOW)
    assert hold is not None
    assert hold.kind == LOSSES


def test_a_tiny_fleet_is_not_held_up_by_a_handful() -> None:
    assert verdict(Flips(before=3, lost=3, gained=FEW), BOUND, "", NOW, NOW) is None
    assert verdict(Flips(before=3, gained=FEW + 1), BOUND, "", NOW, NOW) is not None
