"""The questions of one checkpoint are weighed together; those of two checkpoints are not."""

from __future__ import annotations

import itertools
import math

import pytest
from tests.unit.rollout.test_summary import Left

from brakeline.rollout import alpha, brake, evalue
from brakeline.rollout.alpha import alpha_table, questions
from brakeline.rollout.evidence import SIGNALS, SILENT, Counts, Row
from brakeline.rollout.model import Change, Halt, Pin
from brakeline.rollout.presets import policy_for
from brakeline.rollout.summary import Part, Summary

POLICY = policy_for(1000)
ROWS = questions(POLICY, ())
CHANGE = Change((Pin("x", "1"),))
SERVERS, DESKTOPS = frozenset({0, 1, 2}), frozenset({3, 4, 5})
SICK = frozenset({0, 1, 3})  # whoever is treated


def judged(*said: tuple[Row, float]) -> brake.Judgement:
    """What the brake makes of rows that spend so much of what halts."""
    table = {row: {0: (math.log(2 * part) + ROWS[row].bar,)} for row, part in said}
    well = Part(0, "eu", "server", 20, 0, 20, 20, 20, 20, 20)
    return brake.judge(POLICY, Summary(CHANGE, Left(900), (well,), table=table, data_ms=1), 1)


def test_two_questions_that_say_half_each_halt_and_name_the_louder() -> None:
    verdict = judged(((SILENT, 0, "all"), 0.45), ((SILENT, 0, "class:server"), 0.6)).verdict
    assert isinstance(verdict, Halt)
    assert "class:server" in verdict.reason
    assert "all questions at 30 min together: 1.05 of what halts" in verdict.reason
    assert verdict.data["together"] == pytest.approx(1.05, abs=0.01)


def test_less_than_that_together_halts_nothing() -> None:
    assert not isinstance(judged(((SILENT, 0, "all"), 0.3), ((SILENT, 0, "class:server"), 0.6)).verdict, Halt)


def test_what_two_checkpoints_say_is_not_added() -> None:
    """The first has shown who is treated, so the second is no new draw of lots."""
    assert not isinstance(judged(((SILENT, 0, "all"), 0.9), ((SILENT, 1, "all"), 0.9)).verdict, Halt)


def test_one_question_still_halts_alone_in_its_own_words() -> None:
    verdict = judged(((SILENT, 0, "all"), 1.5), ((SILENT, 0, "class:server"), 0.9)).verdict
    assert isinstance(verdict, Halt)
    assert "together" not in verdict.reason


def test_all_questions_about_one_draw_together_are_a_fair_bet() -> None:
    """Three servers and three desktops, two of the six treated: alpha x e-value, summed, is alpha in the mean."""
    spent, ways = 0.0, list(itertools.combinations(range(6), 2))
    groups = {"all": SERVERS | DESKTOPS, "class:server": SERVERS, "class:desktop": DESKTOPS}
    for treated in ways:
        for group, members in groups.items():
            bad = SICK & members
            block = Counts(2, 4, len(bad & set(treated)), len(bad - set(treated)))
            spent += ROWS[(SILENT, 0, group)].alpha * math.exp(evalue.log_mean_exp(evalue.bets(block)))
    may = sum(ROWS[(SILENT, 0, group)].alpha for group in groups)
    assert spent / len(ways) == pytest.approx(may)


@pytest.mark.parametrize("attributes", [(), ("os:debian-12",), tuple(f"tag:{i}" for i in range(300))])
def test_every_part_of_alpha_is_given_out_once(attributes: tuple[str, ...]) -> None:
    rows = alpha_table(POLICY, attributes)
    assert len({(r.signal, r.checkpoint, r.group) for r in rows}) == len(rows)
    shares = sum(alpha.SHARES.values()) + (sum(alpha.ATTRIBUTE_SHARES.values()) if attributes else 0)
    assert alpha.alpha_sum(rows) == pytest.approx(POLICY.guard.alpha * shares)
    for weights in (alpha.GROUPS, alpha.SILENT_GROUPS):
        assert sum(weights.values()) == pytest.approx(1)
    assert {r.signal for r in rows if r.checkpoint >= 0} == set(SIGNALS)
