"""Who may lease a release when, and what is recalled: pure, from rollouts as they stand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from brakeline.core.draw import U_END
from brakeline.releases.model import Release
from brakeline.rollout import leases, releasing
from brakeline.rollout.model import Blueprint, Line, Phase, Report, State, Turn, Wish
from brakeline.rollout.presets import for_release, policy_for
from brakeline.rollout.store.rollouts import RolloutRow

RELEASE = Release("agent", "2.0.0", 2, "any", "agent/2.0.0/any/bundle.tar", "ab" * 32, 1000)
TURNS = (Turn("north", 0, 2, 100, 0, 0), Turn("south", 0, 2, 90, 0, 0), Turn("north", 1, 5, 700, 0, 0))


def row(phase: Phase = Phase.ROLLING, wish: Wish = Wish.RUN, release: Release = RELEASE, **plan: Any) -> RolloutRow:
    blueprint = Blueprint("ro_1", 5, 4, phase, 0, 0, why="harm was seen", **{"turns": TURNS, **plan})
    return RolloutRow(
        "ro_1", "t", releasing.change_of(release), for_release(policy_for(6)), b"s" * 32, (), 77, "me", wish, "me", "",
        0, 0, blueprint, Report(()),
    )  # fmt: skip


def test_a_lease_reaches_the_draws_whose_turn_has_come_region_by_region() -> None:
    found = leases.wishes("te_1", [row()], ())
    assert [(w.region, w.draw_below) for w in found] == [("north", 700), ("south", 90)]
    assert {(w.channel, w.generation, w.enrolled_before_ms, w.salt) for w in found} == {
        ("stable/te_1", 5, 77, b"s" * 32)
    }
    assert all(w.release == RELEASE.ref for w in found)


def test_content_is_rolled_out_like_an_agent_and_stands_beside_it_when_completed() -> None:
    content = replace(RELEASE, product="content", path="content/2.0.0/any/bundle.tar", sha256="cd" * 32)
    change = releasing.change_of(content)
    assert [(p.name, p.version) for p in change.updates] == [("brakeline-content", content.release_id)]
    assert [w.release for w in leases.wishes("te_1", [row(release=content)], ())] == [content.ref] * 2
    rows = [row(Phase.COMPLETED), row(Phase.COMPLETED, release=content)]
    assert {w.release.product for w in leases.standing_wishes("te_1", rows, ())} == {"agent", "content"}


def test_a_rollout_that_holds_leases_to_those_alone_who_have_their_offer() -> None:
    """Else a launcher that looks a moment late finds nothing, proves nothing, and the rollout holds because of that."""
    asked = {"ro_1": (("north", 13), ("north", 5), ("south", 89)), "ro_2": (("north", 1),)}
    found = leases.wishes("te_1", [row(Phase.HOLDING)], (), asked)
    assert [(w.region, w.draw_below, w.only) for w in found] == [("north", 14, (5, 13)), ("south", 90, (89,))]
    assert {w.only for w in leases.wishes("te_1", [row()], (), asked)} == {None}
    assert leases.wishes("te_1", [row(Phase.HOLDING)], {"ro_1"}, asked) == ()
    assert leases.wishes("te_1", [row(Phase.HOLDING, Wish.BRAKE)], (), asked) == ()
    (paused,) = leases.wishes("te_1", [row(Phase.HOLDING, Wish.PAUSE)], (), {"ro_1": (("north", 5),)})
    assert paused.only == (5,)


def test_what_budgets_and_freeze_windows_hold_back_is_leased_to_those_alone_who_have_their_offer() -> None:
    """A launcher takes what it is leased without asking: else a range would pass by every limit."""
    asked = {"ro_1": (("north", 5), ("north", 300), ("south", 10))}

    def leased(*bounds: dict[str, int]) -> list[tuple[str, int, tuple[int, ...] | None]]:
        lines = tuple(Line("budget", State.WAIT, "spent", {"below": b}) for b in bounds)
        held = replace(row(), report=Report(lines))
        return [(w.region, w.draw_below, w.only) for w in leases.wishes("te_1", [held], (), asked)]

    assert leased() == [("north", 700, None), ("south", 90, None)]
    assert leased({"north": 200}) == [("north", 200, None), ("south", 90, None), ("north", 301, (300,))]
    assert leased({"north": 0}, {"south": 0}) == [("north", 301, (5, 300)), ("south", 11, (10,))]
    assert leased({"north": 900}) == [("north", 700, None), ("south", 90, None)]


def test_whatever_keeps_a_rollout_from_rolling_ends_its_leases() -> None:
    still = [Phase.DRAFT, Phase.HOLDING, Phase.HALTED, Phase.COMPLETED, Phase.WITHDRAWN]
    assert [leases.wishes("te_1", [row(phase)], ()) for phase in still] == [()] * len(still)
    wishes = [w for w in Wish if w is not Wish.RUN]
    assert [leases.wishes("te_1", [row(wish=w)], ()) for w in wishes] == [()] * len(wishes)
    assert leases.wishes("te_1", [row()], {"ro_1"}) == ()


def test_a_completed_release_is_for_everybody_until_a_newer_one_is_completed() -> None:
    newer = replace(RELEASE, version="3.0.0", sequence=3)
    rows = [row(Phase.COMPLETED), row(Phase.COMPLETED, release=newer), row(Phase.HALTED, release=newer)]
    (wish,) = leases.standing_wishes("te_1", rows, ())
    assert (wish.release, wish.region, wish.draw_below, wish.enrolled_before_ms) == (newer.ref, "", U_END, 0)
    assert leases.standing_wishes("te_1", rows, {"ro_1"}) == ()


def test_what_was_halted_or_braked_is_to_be_recalled() -> None:
    assert [(r.rollout_id, why) for r, why in releasing.harmful([row(Phase.HALTED)], ())] == [("ro_1", "harm was seen")]
    assert [why for _, why in releasing.harmful([row()], {"ro_1"})] == ["the brake was pressed"]
    assert releasing.harmful([row(), row(Phase.HOLDING), row(Phase.WITHDRAWN)], ()) == ()


def test_one_failed_trial_halts_a_release_in_a_small_ring() -> None:
    policy = for_release(policy_for(6))
    assert (policy.small_halts, policy.failure_baseline) == (1, 0.001)
