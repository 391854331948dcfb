"""The share of a release's draw that a conductor grants, and what a cell leases inside it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.cells.model import Grant, GrantedRing, Stand
from brakeline.core.draw import U_END
from brakeline.protocol.messages import ReleaseRef
from brakeline.releases.model import LeaseWish
from brakeline.rollout import granted

NOW = 1_795_400_000_000
RELEASE = ReleaseRef("agent", "2.0.0", "agent/2.0.0/any/bundle.tar", "ab" * 32, 7, 2)
WISH = LeaseWish("ro_1", 9, RELEASE, "stable/te_1", "eu", bytes(32), U_END // 2, NOW)
GRANT = Grant("ld_1", "li_1", "dallas", 4, Stand.GO, "", "t", "", "{}", "{}", (GrantedRing("one", 60, 2),), NOW,
              NOW + 300_000, "00" * 32, U_END // 10, lease="{}")  # fmt: skip


def grant(**changes: object) -> Grant:
    return replace(GRANT, **changes)  # type: ignore[arg-type]


def test_a_share_has_room_for_those_who_are_away_and_ends_at_everybody() -> None:
    assert granted.share(0, 1_000) == granted.share(5, 0) == 0
    assert granted.share(1, 17) == U_END
    assert granted.share(100, 100_000) * 1_000 // U_END == 4  # 416 of 100,000
    assert granted.share(30_000, 100_000) == U_END


def test_a_cell_leases_no_further_than_granted_under_the_name_of_the_lead() -> None:
    (found,) = granted.within((WISH,), GRANT, NOW)
    assert (found.draw_below, found.rollout_id, found.generation) == (GRANT.draw_below, "ld_1", 4)
    assert (found.grant, found.until_ms) == ("{}", GRANT.expires_ms)
    (narrower,) = granted.within((replace(WISH, draw_below=5),), GRANT, NOW)
    assert narrower.draw_below == 5


@pytest.mark.parametrize(
    ("given", "now_ms"),
    [
        (None, NOW),
        (grant(lease=""), NOW),
        (grant(draw_below=0), NOW),
        (grant(stand=Stand.HALT), NOW),
        (GRANT, GRANT.expires_ms),
    ],
)
def test_without_a_grant_that_holds_nothing_is_leased(given: Grant | None, now_ms: int) -> None:
    assert granted.within((WISH,), given, now_ms) == ()


def test_of_offers_that_were_made_those_inside_the_share_are_kept_in_a_hold() -> None:
    asked = (5, U_END // 10 - 1, U_END // 10, U_END // 3)
    (found,) = granted.within((replace(WISH, only=asked),), grant(stand=Stand.HOLD), NOW)
    assert found.only == asked[:2]
    assert granted.within((replace(WISH, only=asked[2:]),), GRANT, NOW) == ()


def test_what_endpoints_get_to_see_names_release_share_salt_and_nobody() -> None:
    said = granted.for_endpoints(GRANT, RELEASE.sha256)
    assert (said["cell"], said["rollout_id"], said["generation"]) == ("dallas", "ld_1", 4)
    assert (said["sha256"], said["salt"], said["draw_below"]) == (RELEASE.sha256, GRANT.salt, GRANT.draw_below)
    assert set(said) == {
        "_type",
        "cell",
        "rollout_id",
        "generation",
        "sha256",
        "salt",
        "draw_below",
        "issued",
        "expires",
    }
