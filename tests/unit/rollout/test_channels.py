"""Who takes part in a release by its channel, what is leased in which, and which two may not go on at once: pure."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.rollout.test_releasing import RELEASE, row

from brakeline.core.draw import U_END, draw
from brakeline.core.errors import Conflict, Invalid
from brakeline.protocol.channels import CHANNELS, EARLY, STABLE
from brakeline.protocol.codec import decode, encode, encode_sparse
from brakeline.protocol.messages import LauncherReport
from brakeline.releases.model import LeaseWish, Release
from brakeline.rollout import channels, leases
from brakeline.rollout.leases import Early
from brakeline.rollout.model import Change, Phase
from brakeline.rollout.releasing import change_of
from brakeline.rollout.store.rollouts import RolloutRow
from brakeline.trust.statements import ONLY_MAX

NEWER = replace(RELEASE, version="3.0.0", sequence=3, path="agent/3.0.0/any/bundle.tar", sha256="cd" * 32)
PLACES = {"ep_1": ("north", 3), "ep_2": ("north", 600), "ep_3": ("south", 95)}


def early_row(phase: Phase = Phase.ROLLING, release: Release = NEWER, rollout_id: str = "ro_2") -> RolloutRow:
    return replace(row(phase, release=release), rollout_id=rollout_id, change=change_of(release, EARLY))


def said(found: tuple[LeaseWish, ...]) -> list[tuple[str, str, int, tuple[int, ...] | None]]:
    return [(w.channel, w.rollout_id, w.draw_below, w.only) for w in found]


def test_what_goes_to_early_is_leased_there_alone_and_names_its_places() -> None:
    early = Early(frozenset({*PLACES, "ep_9"}), {"ro_2": PLACES})
    found = leases.wishes("te_1", [early_row()], (), early=early)
    assert said(found) == [("early/te_1", "ro_2", 601, (3, 600))], "south has come to 90 only"
    assert leases.wishes("te_1", [early_row()], {"ro_2"}, early=early) == ()
    held = leases.wishes("te_1", [early_row(Phase.HOLDING)], (), {"ro_2": (("south", 95),)}, early)
    assert said(held) == [("early/te_1", "ro_2", 96, (95,))]
    left = Early(frozenset({"ep_2"}), {"ro_2": PLACES})
    assert [w.only for w in leases.wishes("te_1", [early_row()], (), early=left)] == [(600,)], "ep_1 has left"
    assert leases.wishes("te_1", [early_row()], (), early=Early()) == (), "nobody is known, so nobody is reached"


def test_what_goes_to_stable_is_leased_in_both_and_in_stable_alone_where_nobody_follows_early() -> None:
    both = leases.wishes("te_1", [row()], (), early=Early(frozenset({"ep_1"})))
    assert said(both) == [
        ("stable/te_1", "ro_1", 700, None), ("stable/te_1", "ro_1", 90, None),
        ("early/te_1", "ro_1", 700, None), ("early/te_1", "ro_1", 90, None),
    ]  # fmt: skip
    assert {w.channel for w in leases.wishes("te_1", [row()], ())} == {"stable/te_1"}


def test_who_has_something_newer_from_early_is_named_in_no_lease_of_what_is_stable() -> None:
    ahead = {"agent": early_row(Phase.COMPLETED)}
    early = Early(frozenset({"ep_1", "ep_2"}), {"ro_1": PLACES, "ro_2": {"ep_1": ("north", 9)}}, ahead)
    found = leases.wishes("te_1", [row()], (), early=early)
    assert [w for w in said(found) if w[0].startswith(EARLY)] == [("early/te_1", "ro_1", 601, (600,))]
    stands = leases.standing_wishes("te_1", [row(Phase.COMPLETED), early_row(Phase.COMPLETED)], (), early)
    u = draw(b"s" * 32, "ep_2")
    assert said(stands) == [
        ("early/te_1", "ro_2", 10, (9,)), ("stable/te_1", "ro_1", U_END, None), ("early/te_1", "ro_1", u + 1, (u,)),
    ]  # fmt: skip
    assert (early.brings("agent", "ep_1"), early.brings("agent", "ep_2")) == (NEWER.ref, None)
    assert early.brings("content", "ep_1") is None


def test_once_stable_has_something_newer_early_holds_nothing_of_its_own() -> None:
    last = replace(NEWER, version="4.0.0", sequence=4)
    rows = [row(Phase.COMPLETED, release=last), early_row(Phase.COMPLETED)]
    stands = leases.standing(rows, ())
    assert [*stands] == [(STABLE, "agent"), (EARLY, "agent")]
    early = Early(frozenset({"ep_1"}), {"ro_2": PLACES}, {"agent": stands[(EARLY, "agent")]})
    found = leases.standing_wishes("te_1", rows, (), early)
    assert said(found) == [("stable/te_1", "ro_1", U_END, None), ("early/te_1", "ro_1", U_END, None)]
    assert said(leases.standing_wishes("te_1", rows, {"ro_1", "ro_2"}, early)) == []


def test_places_are_named_in_parts_that_launchers_read() -> None:
    many = {f"ep_{i}": ("north", i) for i in range(2 * ONLY_MAX + 1)}
    everybody = replace(row().blueprint, turns=(replace(row().blueprint.turns[0], treat_below=U_END),))
    rows = [replace(early_row(), blueprint=everybody)]
    found = leases.wishes("te_1", rows, (), early=Early(frozenset(many), {"ro_2": many}))
    assert [len(w.only or ()) for w in found] == [ONLY_MAX, ONLY_MAX, 1]
    assert sorted(u for w in found for u in w.only or ()) == list(range(2 * ONLY_MAX + 1))
    with pytest.raises(Invalid, match="narrow the policies that say so, or promote to stable"):
        channels.refuse_too_many(EARLY, channels.EARLY_MAX + 1)
    channels.refuse_too_many(STABLE, channels.EARLY_MAX + 1)


@pytest.mark.parametrize("channel", CHANNELS)
def test_one_product_goes_to_one_channel_at_a_time(channel: str) -> None:
    other = next(c for c in CHANNELS if c != channel)
    going = replace(row(), change=change_of(RELEASE, channel))
    with pytest.raises(Conflict, match=f"rollout ro_1 of {RELEASE.release_id} is under way"):
        channels.refuse_overlap(RELEASE.ref, channel, [going])
    for release in (RELEASE, NEWER):
        with pytest.raises(Conflict, match=f"to {channel} is under way, and endpoints that .* or withdraw it first"):
            channels.refuse_overlap(release.ref, other, [going])
    channels.refuse_overlap(NEWER.ref, channel, [going])
    content = replace(NEWER, product="content")
    channels.refuse_overlap(content.ref, other, [going])
    for phase in (Phase.HALTED, Phase.COMPLETED, Phase.WITHDRAWN):
        channels.refuse_overlap(NEWER.ref, other, [replace(going, blueprint=row(phase).blueprint)])


def test_early_is_never_behind_stable() -> None:
    done = row(Phase.COMPLETED, release=NEWER)
    for release in (RELEASE, NEWER):
        with pytest.raises(Conflict, match=f"{NEWER.release_id} went to stable with ro_1, and so to early"):
            channels.refuse_older(release.ref, done)
    channels.refuse_older(NEWER.ref, row(Phase.COMPLETED))
    channels.refuse_older(NEWER.ref, None)


def test_who_is_passed_over_by_channel_and_by_what_it_has() -> None:
    stable, early = change_of(RELEASE), change_of(NEWER, EARLY)
    assert channels.passed_over(early, True, RELEASE, None) == ("", "")
    assert channels.passed_over(early, False, RELEASE, None) == channels.LEFT
    assert channels.passed_over(stable, False, None, None) == ("", "")
    assert channels.passed_over(stable, False, RELEASE, None) == ("", ""), "it says itself that nothing is to do"
    code, reason = channels.passed_over(stable, False, NEWER, None)
    assert (code, reason) == (
        "nothing_to_do",
        f"{NEWER.release_id} is in use here; its launcher takes no older release",
    )
    _, reason = channels.passed_over(stable, False, replace(NEWER, recalled_ms=1), None)
    assert "was recalled here; its launcher takes no older" in reason
    assert channels.passed_over(stable, True, None, NEWER.ref)[0] == "nothing_to_do"
    assert channels.passed_over(stable, True, None, RELEASE.ref)[1].endswith(f"brings it {RELEASE.release_id}")
    assert channels.passed_over(change_of(NEWER), True, None, RELEASE.ref) == ("", "")
    assert channels.passed_over(Change(()), False, NEWER, None) == ("", "")


def test_the_newest_that_an_endpoint_has_had() -> None:
    known = (RELEASE, NEWER, replace(NEWER, product="content"))
    report = LauncherReport(confirmed=RELEASE.release_id)
    assert channels.newest_had(report, "agent", known) == RELEASE
    assert channels.newest_had(replace(report, recalled=(NEWER.release_id,)), "agent", known) == NEWER
    assert channels.newest_had(report, "content", known) is None
    assert channels.newest_had(replace(report, content=NEWER.release_id), "content", known) == known[2]
    assert channels.newest_had(None, "agent", known) is None


def test_a_change_without_a_channel_is_one_to_stable_and_says_nothing_new_to_peers() -> None:
    stable, early = change_of(RELEASE), change_of(RELEASE, EARLY)
    assert b"channel" not in encode_sparse(stable)
    assert decode(Change, encode_sparse(stable)).channel == STABLE
    assert decode(Change, encode(early)) == early
    with pytest.raises(Invalid, match="promoted to stable or early"):
        channels.refuse_name("nightly")
