"""How long findings took: spans that can be told and those that cannot, histograms, what closes and what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.advisories.model import Advisory, KnownExploited, Severity
from brakeline.core.days import DAY_MS
from brakeline.exposure.times import (
    BUCKETS,
    EMPTY,
    HOUR_MS,
    LIMITS_H,
    Key,
    Span,
    Spread,
    Stood,
    Way,
    added,
    bucket_of,
    closed,
    one,
    spans,
)
from brakeline.exposure.trend import rows

NOW = 20_000 * DAY_MS
DAY = "2024-09-24"  # ten days before NOW


def row(cve: str, date: str = DAY) -> Advisory:
    return Advisory("curl", cve, "2.0-1", date)


def test_only_what_is_open_no_more_is_closed_with_its_earliest_day() -> None:
    before = [row("CVE-1"), row("CVE-2", ""), row("CVE-2", "2024-01-01"), row("CVE-3", "2024-02-02")]
    assert closed(before, [row("CVE-3")]) == {"CVE-1": DAY, "CVE-2": "2024-01-01"}
    assert closed([row("CVE-1", "")], []) == {"CVE-1": ""}


def test_every_span_of_a_finding_of_which_all_is_known() -> None:
    stood = Stood(NOW - 96 * HOUR_MS, NOW - 24 * HOUR_MS, Way.PATCHED)
    assert spans(stood, DAY, NOW) == {
        Span.HERE: 96.0, Span.KNOWN: 144.0, Span.ALL: 240.0, Span.FIXABLE: 72.0, Span.PATCHED: 24.0,
    }  # fmt: skip


def test_a_new_flaw_in_an_old_source_is_known_since_it_was_published() -> None:
    found = spans(Stood(NOW - 9000 * HOUR_MS, NOW - 8000 * HOUR_MS, Way.PATCHED), DAY, NOW)
    assert (found[Span.HERE], found[Span.KNOWN], found[Span.FIXABLE]) == (240.0, 0.0, 0.0)


@pytest.mark.parametrize("day", ["", "garbage", "2099-01-01"])
def test_what_is_not_known_has_no_span(day: str) -> None:
    found = spans(Stood(NOW - HOUR_MS, 0, Way.PATCHED), day, NOW)
    assert set(found) == {Span.HERE}


@given(st.integers(0, 40_000), st.integers(0, 40_000), st.integers(0, 400))
def test_spans_are_never_negative_and_fit_together(first_h: int, offered_h: int, days: int) -> None:
    stood = Stood(NOW - first_h * HOUR_MS, NOW - offered_h * HOUR_MS if offered_h else 0, Way.PATCHED)
    found = spans(stood, f"20{24 - days // 366:02}-01-01", NOW)
    assert all(hours >= 0 for hours in found.values())
    if offered_h:
        assert found[Span.FIXABLE] + found[Span.PATCHED] == pytest.approx(found[Span.HERE])
    assert found[Span.KNOWN] + found[Span.HERE] == pytest.approx(found[Span.ALL])


def test_buckets_hold_their_limit_and_the_last_has_none() -> None:
    assert [bucket_of(h) for h in (0, 1, 1.1, LIMITS_H[-1], LIMITS_H[-1] + 1)] == [0, 0, 1, BUCKETS - 2, BUCKETS - 1]


def test_quantiles_are_limits_and_nothing_has_none() -> None:
    assert (EMPTY.mean_h, EMPTY.quantile_h(0.5)) == (None, None)
    spread = one(2).plus(one(3)).plus(one(100)).plus(one(20_000))
    assert (spread.total, spread.mean_h) == (4, 5026.25)
    assert [spread.quantile_h(q) for q in (0.5, 0.75, 0.9)] == [4.0, 168.0, float("inf")]


def test_an_inventory_adds_each_closing_once_to_its_class_and_ring() -> None:
    kev = {"CVE-1": KnownExploited("CVE-1", "2024-10-01", "2024-10-20")}
    cvss = {"CVE-2": Severity("CVE-2", "v", "3.1", 9.8), "CVE-3": Severity("CVE-3", "v", "3.1", 9.1)}
    stood = Stood(NOW - 24 * HOUR_MS, 0, Way.PATCHED)
    found = added([(stood, {"CVE-1": DAY, "CVE-2": DAY, "CVE-3": DAY, "CVE-4": ""})], kev, cvss, 2, NOW)
    assert found[Key("critical", 2, Way.PATCHED, Span.HERE)].total == 2
    assert found[Key("exploited", 2, Way.PATCHED, Span.HERE)].hours == 24.0
    assert {k.span for k in found if k.kind == "unscored"} == {Span.HERE}
    assert sum(s.total for k, s in found.items() if k.span is Span.HERE) == 4


def test_the_table_leaves_out_what_was_not_patched_and_what_is_beyond_all_limits() -> None:
    found = {
        Key("high", 1, Way.PATCHED, Span.HERE): one(30).plus(one(30)),
        Key("high", 1, Way.REMOVED, Span.HERE): one(5),
        Key("exploited", -1, Way.PATCHED, Span.HERE): one(99_999),
        Key("low", 0, Way.REMOVED, Span.HERE): Spread(one(1).counts, 1.0),
    }
    table = rows(found)
    assert [(r.kind, r.ring, r.closed, r.removed) for r in table] == [
        ("exploited", -1, 1, 0), ("high", 1, 2, 1), ("low", 0, 0, 1),
    ]  # fmt: skip
    assert (table[0].mean_h, table[0].median_h) == (99_999.0, None)
    assert (table[1].mean_h, table[1].median_h) == (30.0, 48.0)
    assert (table[2].mean_h, table[2].median_h) == (None, None)
