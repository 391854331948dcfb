"""Which feeds are to be read again, and what is not believed without reading everything."""

from __future__ import annotations

import pytest

from brakeline.advisories.by_feed import FeedRows, differing, feed_rows, newer, renamed, stamp_of
from brakeline.advisories.model import Advisory, FeedState
from brakeline.advisories.osv.model import Span


def state(feed: str, sha256: str = "s1", kind: str = "osv", loaded_ms: int = 1, rows: int = 1) -> FeedState:
    return FeedState(feed, "1", sha256, rows, "", loaded_ms, 1, kind=kind)


def rows(given: FeedState, *spans: Span) -> FeedRows:
    return feed_rows(given.feed, stamp_of(given), [], list(spans or [Span("pypi", "demo", "P-1", aliases=("CVE-1",))]))


KEV, ONE, TWO = state("cisa-kev", kind="kev"), state("osv-go"), state("osv-pypi")
FEEDS = (KEV, ONE, TWO)
KNOWN = {each.feed: rows(each) for each in (ONE, TWO)}


def test_nothing_is_read_where_nothing_changed() -> None:
    assert newer(KNOWN, FEEDS, FEEDS) == ((), frozenset())
    tried = TWO._replace(attempted_ms=9, problem="broken", tried="url")
    assert newer(KNOWN, FEEDS, (KEV, ONE, tried)) == ((), frozenset()), "what was tried and is not live"


@pytest.mark.parametrize("change", [{"sha256": "s2"}, {"loaded_ms": 2}, {"rows": 2}])
def test_a_feed_of_another_stamp_is_read_and_no_other(change: dict[str, object]) -> None:
    other = TWO._replace(**change)  # type: ignore[arg-type]
    assert newer(KNOWN, FEEDS, (KEV, ONE, other)) == ((other,), frozenset())


def test_a_new_feed_is_read_and_of_what_has_no_rows_its_kind_is_named() -> None:
    new, catalogue = state("rustsec"), KEV._replace(sha256="k2")
    assert newer(KNOWN, FEEDS, (catalogue, ONE, TWO, new)) == ((new,), frozenset({"kev"}))
    assert newer(KNOWN, FEEDS, (*FEEDS, state("osv-npm", sha256=""))) == ((), frozenset()), "it never was live"


def test_a_feed_that_was_read_while_it_changed_is_read_again() -> None:
    torn = KNOWN | {"osv-go": feed_rows("osv-go", stamp_of(state("", "", rows=0)), [], [])}
    assert newer(torn, FEEDS, FEEDS) == ((ONE,), frozenset())


def test_a_feed_that_is_gone_or_of_another_kind_is_no_news_but_another_database() -> None:
    assert newer(KNOWN, FEEDS, (KEV, ONE)) is None
    assert newer(KNOWN, FEEDS, (KEV, ONE, TWO._replace(kind="kev"))) is None


def test_rows_fit_their_state_by_number() -> None:
    assert rows(ONE).fits()
    assert not rows(ONE._replace(rows=2)).fits()


def test_scores_are_wanted_of_ids_that_are_new_and_given_up_where_nobody_else_names_them() -> None:
    after = KNOWN | {"osv-go": rows(ONE, Span("go", "x", "G-1", aliases=("CVE-7",), related=("CVE-8",)))}
    assert renamed(KNOWN, after) == (frozenset({"G-1", "CVE-7", "CVE-8"}), frozenset())
    alone = {"osv-go": KNOWN["osv-go"]}
    assert renamed(alone, {"osv-go": after["osv-go"]}) == (
        frozenset({"G-1", "CVE-7", "CVE-8"}),
        frozenset({"P-1", "CVE-1"}),
    )
    plain = feed_rows("small", stamp_of(ONE), [Advisory("curl", "CVE-9", "2")], [])
    assert renamed({}, {"small": plain}) == (frozenset({"CVE-9"}), frozenset())


def test_feeds_differ_by_what_they_say() -> None:
    assert differing(KNOWN, {feed: rows(each) for feed, each in (("osv-go", ONE), ("osv-pypi", TWO))}) == []
    assert differing(KNOWN, {"osv-go": KNOWN["osv-go"]}) == ["osv-pypi"]
    assert differing(KNOWN, KNOWN | {"empty": feed_rows("empty", stamp_of(ONE), [], [])}) == []
