"""From service data to words: what is not known stays unknown, and every update says why it is not installed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.console import present, present_rollout
from brakeline.console.present import corrected, span
from brakeline.console.views import Tone
from brakeline.core.errors import Invalid
from brakeline.exposure import listing
from brakeline.fleet.model import EndpointState, EndpointSummary, FleetCounts
from brakeline.fleet.query import InvalidQuery, parse
from brakeline.protocol.messages import Mode, PendingUpdate, UpdateState
from brakeline.rollout.model import CHECKPOINTS_S, Blueprint, Change, Line, Phase, Pin, Policy, Ring, State, Wish
from brakeline.rollout.view import TargetName, build

NOW = 1_795_400_000_000
HERE = EndpointSummary(
    "ep_1", "web-01", EndpointState.ACTIVE, "debian", "12", "Debian 12", "eu", (), "server", "0.1", NOW - 1000, False,
    3, 1, False, True, NOW - 5000, NOW - 9000,
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "word", "tone"),
    [
        ({}, "reporting", Tone.OK),
        ({"last_seen_ms": NOW - 181_000}, "silent", Tone.WARN),
        ({"last_seen_ms": NOW - 181_000, "asleep": True}, "asleep", Tone.IDLE),
        ({"last_seen_ms": 0}, "never heard", Tone.WARN),
        ({"healthy": False}, "unhealthy", Tone.WARN),
        ({"state": EndpointState.CLONED}, "cloned", Tone.BAD),
        ({"state": EndpointState.RETIRED}, "retired", Tone.IDLE),
    ],
)
def test_state_of_an_endpoint_is_calm_only_after_a_recent_healthy_check_in(change, word, tone) -> None:  # type: ignore[no-untyped-def]
    badge = present.endpoint_state(replace(HERE, **change), NOW, 60)
    assert (badge.word, badge.tone) == (word, tone)


def test_without_an_inventory_nothing_is_counted() -> None:
    row = present.endpoint_row(replace(HERE, inventory_ms=0), NOW, 60, {}, {"ep_1": 0})
    assert (row.security, row.other, row.findings, row.reboot, row.mode) == (None, None, None, None, "?")
    kpis = present.overview_kpis(FleetCounts(2, 0, 0, 0, 0, 0, 0, 2), None, None)
    assert [k.value for k in kpis] == [None, None, None, "0"]


@pytest.mark.parametrize(
    ("typed", "fixed"),
    [
        ("regoin:eu os:debian", "region:eu os:debian"),
        ("os:debian missing:secrity", "os:debian missing:security"),
        ("-stat:cloned", "-state:cloned"),
        ("zzz:1", ""),
        ('host:"x', ""),
    ],
)
def test_a_mistyped_query_is_put_right_where_that_can_be_guessed(typed: str, fixed: str) -> None:
    with pytest.raises(InvalidQuery) as caught:
        parse(typed)
    assert corrected(typed, caught.value.detail) == fixed
    if fixed:
        parse(fixed)


def test_a_mistyped_filter_of_vulnerabilities_is_put_right_too() -> None:
    with pytest.raises(Invalid) as caught:
        listing.parse("kve:yes")
    assert corrected("kve:yes", caught.value.detail) == "kev:yes"


def test_chips_lead_to_the_list_without_their_term() -> None:
    chips = present.chips(parse("os:debian -tag:lab"), "/endpoints")
    assert [(c.text, c.without_href) for c in chips] == [
        ("os:debian", "/endpoints?q=-tag%3Alab"),
        ("-tag:lab", "/endpoints?q=os%3Adebian"),
    ]


@pytest.mark.parametrize("state", list(UpdateState))
@pytest.mark.parametrize("mode", [Mode.ASSESS, Mode.PATCH, None])
@pytest.mark.parametrize("waiting", ["", "waits for ring early", "spared: halted"])
def test_every_missing_update_says_why(state: UpdateState, mode: Mode | None, waiting: str) -> None:
    update = PendingUpdate("curl", "amd64", "1", "2", "Debian-Security", True, state)
    badge, why = present.why_not_yet(update, mode, waiting)
    assert badge.word
    assert why


def test_the_endpoints_own_reason_comes_first() -> None:
    held = PendingUpdate("curl", "amd64", "1", "2", "s", True, UpdateState.HELD, "apt-mark hold")
    assert present.why_not_yet(held, Mode.PATCH, "waits for ring early")[1] == "apt-mark hold"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (11_520, "3 h 12 min"), (172_800, "2 d"), (-5, "0 s")],
)
def test_durations_as_people_say_them(seconds: float, text: str) -> None:
    assert span(seconds) == text


# --- rollouts ------------------------------------------------------------------------------------------------------

EP = "ep_" + "0" * 25 + "1"


def facts(phase: Phase, *lines: Line):  # type: ignore[no-untyped-def]
    """A rollout of one update over two endpoints, with nobody treated yet."""
    return build(
        rollout_id="ro_1", title="curl", change=Change((Pin("curl", "2"),)),
        policy=Policy((Ring("canary", 60, count=1), Ring("all", 60, share=1.0)), checkpoints_s=CHECKPOINTS_S),
        attributes=(), created_ms=NOW, created_by="alice", wish=Wish.RUN,
        blueprint=Blueprint("ro_1", 1, 0, phase, 0, NOW), lines=lines,
        names=(TargetName(EP, "web-01", "eu", ""), TargetName(EP[:-1] + "2", "db-01", "us", "")), subjects=(),
        samples=(), log=(), population=2, now_ms=NOW,
    )  # fmt: skip


@pytest.mark.parametrize("phase", list(Phase))
def test_every_state_of_a_rollout_has_words_and_brake_is_enabled_exactly_while_something_can_be_offered(
    phase: Phase,
) -> None:
    view = present_rollout.rollout_view(facts(phase), NOW, None, may_resume=True)
    assert view.state.word
    assert view.why
    assert view.brake.enabled == (phase in (Phase.ROLLING, Phase.HOLDING))
    assert bool(view.alert) == (phase is not Phase.ROLLING)
    assert all(k.href for k in view.kpis)


def test_a_halted_rollout_names_everybody_it_spared() -> None:
    view = present_rollout.rollout_view(facts(Phase.HALTED), NOW, None, may_resume=True)
    assert [s.text for s in view.spared] == ["db-01", "web-01"]
    assert view.spared_title.startswith("Spared")
    assert "2 were spared" in view.alert
    assert [r.word for r in view.releases] == ["Resume"]
    assert view.releases[0].needs_reason


def test_ids_in_sentences_become_names_and_unknown_ones_stay() -> None:
    line = Line("explicit", State.HALT, f"{EP}: maintainer script failed; ep_{'Z' * 26} too")
    view = present_rollout.rollout_view(facts(Phase.HALTED, line), NOW, None, may_resume=False)
    assert view.why[0].text == f"web-01: maintainer script failed; ep_{'Z' * 26} too"
    assert view.releases == ()


def test_an_endpoint_reads_why_it_waits_with_host_names() -> None:
    line = Line("state", State.HOLD, f"holding: 1 of 1 treated failed through the update itself; {EP}: exit 7")
    holding = facts(Phase.HOLDING, line)
    said = (
        "rollout curl is holding: waits for its ring; 1 of 1 treated failed through the update itself; web-01: exit 7"
    )
    assert present_rollout.waiting_texts(holding, EP[:-1] + "2") == {"curl": said}
    assert present_rollout.waiting_texts(holding, "ep_nobody") == {}
    view = present_rollout.rollout_view(holding, NOW, None, may_resume=False)
    assert view.stopped
    assert not present_rollout.rollout_view(facts(Phase.ROLLING), NOW, None, may_resume=False).stopped


def test_no_data_is_a_sentence_not_a_flat_line() -> None:
    series = present_rollout.excess_series(facts(Phase.ROLLING))
    assert series.points == ()
    assert "nobody has been treated" in series.empty_reason


def test_few_are_counted_and_many_are_shares() -> None:
    assert [present_rollout.share(*x) for x in ((0, 0), (1, 3), (9, 1000))] == ["none yet", "1 of 3", "0.90 %"]


def test_numbers_lead_to_the_endpoints_behind_them() -> None:
    assert present_rollout.members_title("eu", "first", "") == "eu, ring first"
    assert present_rollout.members_title("", "", "spared") == "spared"
    assert present_rollout.members_title("", "", "") == "all endpoints"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wget:brew", "not run on the real system"),
        ("jq:snap", "not run on the real system"),
        ("Dock:fwupd-0123456789ab", "on its test device"),
        ("libc6", ""),
    ],
)
def test_update_of_a_provider_that_was_tried_on_less_says_so(name: str, said: str) -> None:
    update = PendingUpdate(name, "x", "1", "2", "", False, UpdateState.AVAILABLE)
    row = present.update_row(update, Mode.PATCH, {}, {})
    assert said in row.why
    assert ".." not in row.why
