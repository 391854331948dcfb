"""The filter language: what it means, what it refuses, and that rendering and parsing are inverse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.core.errors import Invalid
from brakeline.fleet.query import AGE_S_MAX, KEYS, Age, InvalidQuery, Match, Query, Term, Text, parse, render


def test_the_example_of_the_documents() -> None:
    assert parse('os:debian -tag:lab missing:security seen:<1h region:eu-north,eu-west "free text"').terms == (
        Match("os", ("debian",)),
        Match("tag", ("lab",), negated=True),
        Match("missing", ("security",)),
        Age("seen", newer=True, seconds=3600),
        Match("region", ("eu-north", "eu-west")),
        Text("free text"),
    )


def test_nothing_means_everything() -> None:
    assert parse("   ") == Query()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("oss:debian", "did you mean 'os'"),
        ("missing:securty", "did you mean 'security'"),
        ("colour:red", "known: os"),
        ("seen:1h", "seen:<1h or seen:>3d"),
        ("seen:<1y", "s, m, h, d, w"),
        ("seen:<9999999999w", "century"),
        ("os:", "needs a value"),
        ("os:a,,b", "needs a value"),
        ('"half', "quotation mark"),
        ("-", "empty term"),
        ("a\x00b", "NUL"),
        ("x" * 3000, "longer"),
        ("a " * 60, "more than 50 terms"),
    ],
)
def test_mistakes_are_named(text: str, says: str) -> None:
    with pytest.raises(InvalidQuery, match=r"(?s).*") as found:
        parse(text)
    assert says in str(found.value)


words = st.text(st.characters(blacklist_characters='"\x00', blacklist_categories=["Cs"]), min_size=1, max_size=20)
free_words = words.filter(lambda w: w.strip() != "")


def closed(key: str) -> list[str]:
    allowed = KEYS[key]
    return list(allowed) if isinstance(allowed, tuple) else []


matches = st.sampled_from([k for k in KEYS if KEYS[k] != "age"]).flatmap(
    lambda key: st.builds(
        Match,
        st.just(key),
        st.lists(st.sampled_from(closed(key)) if closed(key) else words, min_size=1, max_size=3).map(tuple),
        st.booleans(),
    )
)
ages = st.builds(
    Age,
    st.sampled_from([k for k in KEYS if KEYS[k] == "age"]),
    st.booleans(),
    st.integers(0, AGE_S_MAX),
    st.booleans(),
)
texts = st.builds(Text, free_words, st.booleans())


@given(st.lists(st.one_of(matches, ages, texts), max_size=8))
def test_render_and_parse_are_inverse(terms: list[Term]) -> None:
    query = Query(tuple(terms))
    assert parse(render(query)) == query


@given(st.text(max_size=200))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        query = parse(text)
    except Invalid:
        return
    assert parse(render(query)) == query
