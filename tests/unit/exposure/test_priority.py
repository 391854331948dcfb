"""The five questions of priority: each rule, that nothing worse ranks lower, and that each answer is told."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.advisories.model import Epss, KnownExploited, Severity
from brakeline.exposure.priority import ORDER, Facts, Level, prioritise, sort_key

KEV = KnownExploited("CVE-2025-1", "2025-08-01", "2025-08-22", ransomware=True)


def epss(score: float | None) -> Epss | None:
    return None if score is None else Epss("CVE-2025-1", score, 0.9)


def cvss(score: float | None) -> Severity | None:
    return None if score is None else Severity("CVE-2025-1", "v", "3.1", score, "NVD")


@pytest.mark.parametrize(
    ("likely", "bad", "internet", "days", "level"),
    [
        # how likely and how bad, inside, fresh
        (0.9, 9.8, False, 0, Level.ATTEND), (0.9, 3.0, False, 0, Level.ATTEND), (0.2, 9.8, False, 0, Level.ATTEND),
        (0.2, 7.0, False, 0, Level.ATTEND), (0.2, 5.0, False, 0, Level.PLAN), (0.2, None, False, 0, Level.ATTEND),
        (0.01, 9.8, False, 0, Level.PLAN), (0.01, 7.5, False, 0, Level.TRACK), (0.01, 5.0, False, 0, Level.TRACK),
        # reachable from the internet
        (0.9, 5.0, True, 0, Level.ACT), (0.2, 5.0, True, 0, Level.ATTEND), (0.01, 7.5, True, 0, Level.PLAN),
        (0.01, None, True, 0, Level.PLAN), (0.01, 5.0, True, 0, Level.TRACK),
        # without EPSS
        (None, 9.8, True, 0, Level.ATTEND), (None, 9.8, False, 0, Level.PLAN), (None, 7.0, False, 0, Level.PLAN),
        (None, 5.0, True, 0, Level.TRACK), (None, None, True, 900, Level.UNRATED),
        # for how long
        (0.2, 9.8, False, 14, Level.ATTEND), (0.2, 9.8, False, 15, Level.ACT), (0.01, 9.8, False, 90, Level.PLAN),
        (0.01, 9.8, False, 91, Level.ATTEND), (0.01, 9.8, False, 999, Level.ATTEND),
        (0.01, 5.0, False, 999, Level.TRACK), (0.2, 9.8, False, None, Level.ATTEND),
    ],
)  # fmt: skip
def test_each_rule(likely: float | None, bad: float | None, internet: bool, days: int | None, level: Level) -> None:
    found = prioritise(Facts(None, epss(likely), cvss(bad), internet, True, days))
    assert found.level is level, found.reasons


@pytest.mark.parametrize(("likely", "bad", "internet"), [*itertools.product((None, 0.0), (None, 1.0), (True, False))])
def test_what_is_exploited_is_acted_on_whatever_else_is_said(
    likely: float | None, bad: float | None, internet: bool
) -> None:
    assert prioritise(Facts(KEV, epss(likely), cvss(bad), internet)).level is Level.ACT


def test_what_is_only_carried_is_tracked_even_if_exploited() -> None:
    found = prioritise(Facts(KEV, epss(0.9), cvss(10.0), True, runs=False))
    assert found.level is Level.TRACK
    assert "only carried" in found.reasons[-2].text


def test_every_answer_is_told_in_the_order_of_the_questions() -> None:
    found = prioritise(Facts(None, epss(0.123), cvss(9.8), True, True, 15))
    assert [r.code for r in found.reasons] == ["likelihood", "severity", "reach", "age", "level"]
    told = " | ".join(r.text for r in found.reasons)
    assert "EPSS 12.3% within 30 days: likely (likelier than 90.0% of all)" in told
    assert "CVSS 3.1 9.8: critical, by NVD | an endpoint is tagged internet-facing | open here for 15 days" in told
    assert told.endswith("act: it was to be attended to within 14 days, and stands open for 15")


def test_the_catalogue_s_date_and_ransomware_are_told() -> None:
    said = prioritise(Facts(KEV, today="2025-09-01")).reasons[0]
    assert said.code == "exploited"
    assert said.text.endswith("since 2025-08-01, due 2025-08-22, which is past; used by ransomware")
    assert "past" not in prioritise(Facts(KEV, today="2025-08-22")).reasons[0].text


def test_without_any_data_it_says_so_and_stands_above_what_is_known_to_be_minor() -> None:
    found = prioritise(Facts())
    assert found.level is Level.UNRATED
    assert [r.text for r in found.reasons[:3]] == [
        "not in CISA's catalogue; EPSS says nothing of it", "no CVSS is known: taken for high",
        "no endpoint is tagged internet-facing: taken for inside",
    ]  # fmt: skip
    assert ORDER[Level.UNRATED] < ORDER[prioritise(Facts(None, epss(0.01), cvss(5.0))).level]


SHARES = st.floats(0, 1)
SCORES = st.floats(0, 10)


@given(SHARES, SHARES, SCORES, SCORES, st.booleans(), st.booleans(), st.integers(0, 400), st.integers(0, 400))
def test_nothing_worse_ranks_lower(a: float, b: float, c: float, d: float, e: bool, f: bool, g: int, h: int) -> None:
    less = Facts(None, epss(min(a, b)), cvss(min(c, d)), e and f, True, min(g, h))
    more = Facts(None, epss(max(a, b)), cvss(max(c, d)), e or f, True, max(g, h))
    assert ORDER[prioritise(more).level] <= ORDER[prioritise(less).level]
    assert ORDER[prioritise(more._replace(exploited=KEV)).level] <= ORDER[prioritise(more).level]
    blind = more._replace(severity=None)  # losing the knowledge of how bad it is never makes a moderate flaw of it
    assert ORDER[prioritise(blind).level] <= ORDER[prioritise(blind._replace(severity=cvss(6.9))).level]


def test_the_order_within_a_level() -> None:
    def key(f: Facts, endpoints: int = 1) -> tuple[int, int, float, float, int]:
        return sort_key(prioritise(f), f, endpoints)

    exploited, likely = Facts(KEV), Facts(None, epss(0.9), cvss(5.0), internet=True)
    likelier, worse = likely._replace(epss=epss(0.95)), likely._replace(severity=cvss(9.0))
    assert sorted([key(likely), key(likelier), key(worse), key(exploited), key(likely, 5)]) == [
        key(exploited), key(likelier), key(worse), key(likely, 5), key(likely),
    ]  # fmt: skip
