"""Bets of several fleets: sums of logs; a fleet that listens stays within its own alpha."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest

from brakeline.protocol.messages import ReleaseRef
from brakeline.rollout import brake, evalue
from brakeline.rollout.alpha import MARGINS
from brakeline.rollout.evidence import SILENT, Counts, Row
from brakeline.rollout.model import Change, Pin, Policy
from brakeline.rollout.pooling import heard, listening, pooled, size_of, sound, subject_of, tellable
from brakeline.rollout.presets import LOOKS_S, policy_for
from brakeline.rollout.signals import RESOURCES

ROW = (SILENT, 0, "all")
OTHER = (SILENT, 1, "all")


def told(*blocks: Counts, ring: int = 0) -> dict[tuple[str, int, str], dict[int, tuple[float, ...]]]:
    return {ROW: {ring: evalue.add(map(evalue.bets, blocks))}}


def test_together_they_say_what_one_fleet_with_all_blocks_would() -> None:
    a, b, c = Counts(2, 18, 1, 0), Counts(2, 18, 0, 1), Counts(4, 30, 2, 0)
    assert pooled([told(a), told(b, c)])[ROW][0] == pytest.approx(told(a, b, c)[ROW][0])
    assert pooled([]) == {}
    apart = pooled([told(a), told(b, ring=1)])[ROW]
    assert set(apart) == {0, 1}, "rings are added ring by ring"


def test_six_numbers_a_signal_leave_a_fleet_and_nobody_s_name() -> None:
    assert len(told(Counts(2, 18, 1, 0))[ROW][0]) == 6


def test_what_no_fleet_sees_alone_all_of_them_see() -> None:
    one = told(Counts(1, 9, 1, 0))
    alone = evalue.log_mean_exp(one[ROW][0])
    together = listening(one, pooled([one] * 10))[ROW][0]
    assert alone < -math.log(0.001) < evalue.log_mean_exp(together)


def test_a_pool_that_has_nothing_to_tell_costs_at_most_log_two() -> None:
    own = told(*[Counts(5, 45, 5, 0)] * 4)
    together = listening(own, {OTHER: {0: (1.0,)}})
    assert together[ROW][0][0] >= evalue.log_mean_exp(own[ROW][0]) - math.log(2) - 1e-9
    assert together[OTHER][0][0] == pytest.approx(math.log((1 + math.e) / 2))


def test_to_listen_is_a_fair_bet() -> None:
    """Two fleets of three with one silent endpoint each, lots drawn in all ways: the mean e-value is 1."""
    total, ways = 0.0, list(itertools.product((1, 0, 0), repeat=2))
    for mine, theirs in ways:
        own, other = told(Counts(1, 2, mine, 1 - mine)), told(Counts(1, 2, theirs, 1 - theirs))
        heard = listening(own, pooled([own, other]))[ROW]
        total += math.exp(brake.over_rings(heard))
    assert total / len(ways) == pytest.approx(1.0)


UPDATES = Change((Pin("libssl3", "3.0.17-1"), Pin("openssl", "3.0.17-1")))
RELEASE = ReleaseRef("agent", "1.1.0", "agent/1.1.0/any/bundle.tar", "ab" * 32, 1)


def test_the_same_change_at_the_same_checkpoints_is_one_subject_and_nothing_else_is() -> None:
    usual = Policy((), checkpoints_s=LOOKS_S)
    one = subject_of(UPDATES, usual)
    assert one == subject_of(replace(UPDATES, updates=UPDATES.updates[::-1], title="other words"), policy_for(500))
    other = (
        subject_of(replace(UPDATES, updates=UPDATES.updates[:1]), usual),
        subject_of(replace(UPDATES, release=RELEASE, kind="release"), usual),
        subject_of(UPDATES, policy_for(500, "rehearsal")),
    )
    assert len({one, *other}) == 4
    assert "libssl3" not in "".join((one, *other))


@pytest.mark.parametrize(
    ("change", "policy"),
    [
        (replace(UPDATES, kind="rollback", undoes="ro_1"), Policy(())),
        (replace(UPDATES, kind="settings"), Policy(())),
        (UPDATES, replace(Policy(()), led=True)),
    ],
)
def test_what_nobody_else_has_is_judged_alone(change: Change, policy: Policy) -> None:
    assert subject_of(change, policy) == ""


def test_values_of_attributes_stay_and_are_judged_as_ever() -> None:
    attribute = (SILENT, 0, "os:debian-12")
    own = told(Counts(5, 45, 3, 0)) | {attribute: {0: (1.0,) * 6}}
    assert set(tellable(own)) == {ROW}
    found = heard(own, told(Counts(5, 45, 3, 0)))
    assert found[attribute][0] == (1.0,) * 6
    assert len(found[ROW][0]) == 1


def test_others_evidence_counts_in_rings_where_one_has_none_and_one_s_own_is_counted_once() -> None:
    mine, others = told(Counts(5, 45, 3, 0)), told(Counts(5, 45, 5, 0), ring=1)
    found = heard(mine, others)[ROW]
    assert found[0][0] == pytest.approx(listening(mine, mine)[ROW][0][0])
    assert found[1][0] > 3


def test_one_s_own_rings_go_on_with_what_earlier_ones_earned_and_the_pool_s_do_not() -> None:
    block = told(Counts(5, 45, 2, 1))[ROW][0]
    own, others, linked = {ROW: {0: block, 1: block}}, {ROW: {0: block, 2: block}}, frozenset({1})
    alone, together = brake.over_rings(own[ROW], linked), brake.over_rings(pooled((own, others))[ROW])
    found = brake.over_rings(heard(own, others, linked)[ROW])
    assert found == pytest.approx(evalue.log_mean_exp((alone, together)))
    attribute = (SILENT, 0, "os:debian-12")
    stays = heard({attribute: own[ROW]}, others, linked)[attribute]
    assert brake.over_rings(stays) == pytest.approx(alone)


@pytest.mark.parametrize(
    ("row", "ring", "bets"),
    [
        ((SILENT, 0, "os:debian-12"), 0, (0.0,) * 6),
        (("mood", 0, "all"), 0, (0.0,) * 6),
        (ROW, 32, (0.0,) * 6),
        (ROW, -1, (0.0,) * 6),
        (ROW, 0, (0.0,) * 5),
        (ROW, 0, (math.inf,) * 6),
        (ROW, 0, (math.nan,) * 6),
        (ROW, 0, (1e9,) * 6),
    ],
)
def test_what_no_evidence_could_give_is_not_sound(row: Row, ring: int, bets: tuple[float, ...]) -> None:
    assert sound(ROW, 0, (0.0,) * 6)
    assert sound((RESOURCES, 0, "all"), 0, (0.0,) * size_of(RESOURCES))
    assert not sound(row, ring, bets)


def test_what_one_fleet_tells_has_as_many_numbers_as_another_expects() -> None:
    for signal, margin in MARGINS.items():
        block = Counts(5, 45, 2, 1)
        said = evalue.bets_beyond(block, margin) if margin else evalue.bets(block)
        assert len(said) == size_of(signal)
