"""A book that is revised feed by feed equals the one that is made whole, over random feeds in any order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from brakeline.advisories.model import Advisory
from brakeline.advisories.osv.model import Span
from brakeline.exposure.books import Sheaf, book_of, revised
from brakeline.exposure.match import Book
from brakeline.exposure.model import Unit

FEEDS, NAMES, SYSTEMS = ("a", "b", "c"), ("curl", "Demo_Pkg", "jq"), ("debian:12", "pypi")
VERSIONS = ("1", "2", "3")
KEV = st.frozensets(st.sampled_from(("CVE-1", "CVE-2")))

rows = st.builds(
    lambda name, cve, fixed, state, id_, system: Advisory(
        name, cve, "" if state == "open" else fixed, ecosystem=system, state=state, id=id_
    ),
    st.sampled_from(NAMES), st.sampled_from(("CVE-1", "CVE-2")), st.sampled_from(VERSIONS),
    st.sampled_from(("fixed", "open", "withdrawn")), st.sampled_from(("", "A-1")), st.sampled_from(SYSTEMS),
)  # fmt: skip
spans = st.builds(
    lambda name, id_, fixed, cve, state: Span("pypi", name, id_, fixed=fixed, aliases=(cve,), state=state),
    st.sampled_from(("curl", "demo-pkg")), st.sampled_from(("P-1", "P-2")), st.sampled_from(VERSIONS),
    st.sampled_from(("CVE-1", "CVE-3")), st.sampled_from(("fixed", "withdrawn")),
)  # fmt: skip
sheaves = st.builds(Sheaf, st.lists(rows, max_size=4), st.lists(spans, max_size=3))
steps = st.lists(st.tuples(st.sampled_from(FEEDS), st.none() | sheaves, KEV), min_size=1, max_size=8)
UNITS = [Unit(system, name, version) for system in SYSTEMS for name in ("curl", "demo-pkg", "jq") for version in "0123"]


def answers(book: Book) -> dict[Unit, tuple[Advisory, ...]]:
    return {unit: book.open_rows(unit) for unit in UNITS}


@settings(max_examples=150, deadline=None)
@given(steps)
def test_revised_is_whole(history: list[tuple[str, Sheaf | None, frozenset[str]]]) -> None:
    now: dict[str, Sheaf] = {}
    book = Book(())
    for feed, sheaf, kev in history:
        before, was, given_away = now, answers(book), book
        now = {f: each for f, each in {**now, feed: sheaf}.items() if each is not None}
        book = revised(book, before, now, kev)
        whole = book_of(now, kev)
        assert (book.differing(whole), book.kev, book.ecosystems) == (frozenset(), kev, whole.ecosystems)
        assert answers(book) == answers(whole)
        assert answers(given_away) == was, "who holds the one before goes on with it"


def test_a_name_of_which_nobody_says_anything_else_keeps_what_was_worked_out() -> None:
    one, other = Sheaf([Advisory("curl", "CVE-1", "2")], []), Sheaf([Advisory("jq", "CVE-2", "2")], [])
    before = book_of({"a": one}, frozenset())
    shelf = before.shelf("debian:12", "curl")
    after = revised(before, {"a": one}, {"a": one, "b": other}, frozenset())
    assert after.shelf("debian:12", "curl") is shelf
    assert after.shelf("debian:12", "jq") is not None


def test_one_name_of_two_feeds_stands_in_one_order_whichever_came_first() -> None:
    one, other = Sheaf([Advisory("curl", "CVE-2", "2")], []), Sheaf([Advisory("curl", "CVE-1", "3")], [])
    of_a = revised(book_of({"a": one}, frozenset()), {"a": one}, {"a": one, "b": other}, frozenset())
    of_b = revised(book_of({"b": other}, frozenset()), {"b": other}, {"a": one, "b": other}, frozenset())
    assert [row.cve for row in of_a.rows_of("debian:12", "curl")] == ["CVE-1", "CVE-2"]
    assert of_a.rows_of("debian:12", "curl") == of_b.rows_of("debian:12", "curl")
