"""Which settings hold: what policies take away at once, what they add never without a rollout that stands."""

from __future__ import annotations

import itertools

import pytest

from brakeline.core.ids import make_id
from brakeline.protocol.digests import settings_digest
from brakeline.protocol.messages import Mode, Settings
from brakeline.remediation import standing
from brakeline.remediation.model import SettingsPolicy
from brakeline.remediation.standing import NONE, Fresh

ALL = [
    Settings(mode, 60, inventory, refresh)
    for mode, inventory, refresh in itertools.product(Mode, (600, 900, 7200), (900, 6 * 3600, 86400))
]
CAREFUL, PATCH = Settings(Mode.ASSESS), Settings(Mode.PATCH)


def wider(one: Settings, other: Settings) -> bool:
    """Whether `one` lets an agent do anything that `other` does not."""
    more = one.mode is Mode.PATCH and other.mode is Mode.ASSESS
    oftener = one.inventory_interval_s < other.inventory_interval_s
    return more or oftener or one.refresh_interval_s < other.refresh_interval_s


def policy(number: int, made_ms: int) -> SettingsPolicy:
    return SettingsPolicy(f"po_{number}", str(number), "", Mode.PATCH, None, None, made_ms, "o")


def fresh(count: int, enrolled_ms: int, *policies: SettingsPolicy) -> list[Fresh]:
    ids = [make_id("ep", enrolled_ms, i.to_bytes(10, "big")) for i in range(count)]
    return [Fresh(e, PATCH, policies) for e in ids]


def test_nothing_wider_than_the_last_good_settings_is_ever_told_without_an_offer() -> None:
    for has, wished in itertools.product([None, *ALL], ALL):
        told = standing.settings_told(has, wished, None, settings_digest(wished))
        assert not wider(told, has or NONE)
        assert not wider(told, wished)


def test_an_offer_counts_only_for_who_runs_by_it_and_never_beyond_what_is_wished() -> None:
    for has, wished, offered in itertools.product([None, *ALL[::4]], ALL[::3], ALL[::2]):
        for reported in ("", settings_digest(has or NONE), settings_digest(offered)):
            told = standing.settings_told(has, wished, offered, reported)
            assert not wider(told, wished)
            if wider(told, has or NONE):
                assert reported == settings_digest(offered)


def test_the_reply_to_a_narrowed_trial_is_what_it_says_it_runs_by() -> None:
    offered = Settings(Mode.PATCH, 60, 600, 900)
    wished = Settings(Mode.ASSESS, 60, 600, 900)
    told = standing.settings_told(PATCH, wished, offered, settings_digest(offered))
    assert told == wished
    assert standing.settings_told(PATCH, wished, offered, settings_digest(told)) == told


def test_what_narrows_needs_no_rollout_and_what_widens_does() -> None:
    assert not standing.waits(PATCH, CAREFUL)
    assert not standing.waits(PATCH, Settings(Mode.PATCH, 60, 900, 86400))
    assert standing.waits(CAREFUL, PATCH)
    assert standing.waits(None, PATCH)
    assert standing.waits(PATCH, Settings(Mode.PATCH, 60, 600, 6 * 3600))
    assert not standing.waits(None, NONE)


def test_the_pace_of_check_ins_is_the_cell_s_and_never_waits() -> None:
    assert not standing.waits(PATCH, Settings(Mode.PATCH, 5))
    assert standing.in_force(PATCH, Settings(Mode.PATCH, 5)).check_in_interval_s == 5


@pytest.mark.parametrize(
    ("count", "lately", "given"), [(20, 0, 20), (21, 0, 0), (1, 19, 1), (1, 20, 0), (20, 1, 0)]
)  # fmt: skip
def test_few_get_first_settings_at_once_in_a_day_and_the_others_wait(count: int, lately: int, given: int) -> None:
    found = standing.adopted(fresh(count, 1_000, policy(1, 2_000)), lately)
    assert len(found) == given
    assert all(found.values())


def test_who_was_enrolled_under_the_policy_gets_it_however_many_they_are() -> None:
    found = standing.adopted(fresh(500, 3_000, policy(1, 2_000)), 20)
    assert (len(found), any(found.values())) == (500, False)
    later = standing.adopted(fresh(500, 3_000, policy(1, 2_000), policy(2, 4_000)), 0)
    assert later == {}


def test_what_policies_let_an_endpoint_do_before_there_were_rollouts_of_settings_stays() -> None:
    found = standing.adopted(fresh(500, 1_000, policy(1, 2_000)), 20, frozenset({"po_1"}))
    assert len(found) == 500
    mixed = standing.adopted(fresh(500, 1_000, policy(1, 2_000), policy(2, 2_500)), 0, frozenset({"po_1"}))
    assert mixed == {}


def test_a_version_is_named_by_what_is_in_it_whoever_gets_it() -> None:
    assert standing.digest({"a": PATCH, "b": PATCH}) == standing.digest({"c": PATCH})
    assert standing.digest({"a": PATCH}) != standing.digest({"a": CAREFUL})
    assert standing.digest({"a": PATCH, "b": CAREFUL}) == standing.digest({"b": PATCH, "a": CAREFUL})


def test_differences_are_counted_most_first() -> None:
    has = {"a": CAREFUL, "b": CAREFUL, "c": PATCH}
    wished = {"a": PATCH, "b": PATCH, "c": Settings(Mode.PATCH, 60, 600)}
    found = standing.differences(has, wished)
    assert [(d.setting, d.before, d.after, d.endpoints) for d in found] == [
        ("mode", "assess", "patch", 2), ("inventory_interval_s", "900", "600", 1),
    ]  # fmt: skip


def test_a_policy_that_speaks_of_releases_alone_says_nothing_of_settings() -> None:
    quiet = SettingsPolicy("po", "n", "", None, None, None, 0, "o", self_update=False)
    assert not standing.speak([quiet])
    assert standing.speak([quiet, policy(1, 0)])
