"""Values and endpoints as bitmaps and rows: one says what the other says, and who looked keeps what he saw."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from brakeline.exposure.postings import Postings, unpacked

rows = st.lists(st.tuples(st.integers(0, 5), st.frozensets(st.sampled_from("abcdefg"), max_size=5)), max_size=12)


def truth(history: list[tuple[int, frozenset[str]]]) -> dict[str, set[int]]:
    last = dict(history)
    return {v: {n for n, values in last.items() if v in values} for v in "abcdefg"}


@given(rows)
def test_bitmaps_say_what_the_rows_say(history: list[tuple[int, frozenset[str]]]) -> None:
    postings: Postings[str] = Postings()
    for number, values in history:
        changed = postings.put(number, values)
        assert set(postings.of(number)) == values
        assert postings.put(number, values) is False or not changed
    assert {v: set(held) for v, held in postings.held()} == {v: n for v, n in truth(history).items() if n}
    assert postings.unlike(range(len(postings.values))) == []
    again: Postings[str] = Postings()
    again.load_rows(postings.values, postings.rows)
    assert again.maps == postings.maps


@given(rows, rows)
def test_who_looked_keeps_what_he_saw(
    first: list[tuple[int, frozenset[str]]], then: list[tuple[int, frozenset[str]]]
) -> None:
    postings: Postings[str] = Postings()
    for number, values in first:
        postings.put(number, values)
    seen = postings.view()
    copies = [held.copy() for held in seen]
    for number, values in then:
        postings.put(number, values)
    assert list(seen) == copies


@given(rows, rows)
def test_what_nobody_has_is_given_up_and_everything_else_stays(
    first: list[tuple[int, frozenset[str]]], then: list[tuple[int, frozenset[str]]]
) -> None:
    postings: Postings[str] = Postings()
    for number, values in first:
        postings.put(number, values)
    held = {value: frozenset(who) for value, who in postings.held()}
    gone = {value for _, value in postings.prune()}
    assert gone == set().union(*(values for _, values in first)) - held.keys()
    assert {value: frozenset(who) for value, who in postings.held()} == held
    assert all(postings.known(value) is None for value in gone)
    assert {value for _, value in postings.living()} == held.keys()
    for number, values in then:
        postings.put(number, values)
        assert set(postings.of(number)) == values
    assert postings.unlike(one for one, _ in postings.living()) == []


def test_one_package_for_another() -> None:
    postings: Postings[str] = Postings()
    postings.put(3, "ac")
    gone, come = postings.id_of("a"), postings.id_of("b")
    postings.exchange(3, gone, come)
    assert sorted(postings.of(3)) == ["b", "c"]
    assert unpacked(postings.rows[3]).tolist() == sorted(unpacked(postings.rows[3]).tolist())
    assert (postings.maps[gone], postings.maps[come]) == (BitMap(), BitMap([3]))


def test_a_bitmap_that_is_not_what_the_rows_say_is_found_and_mended() -> None:
    postings: Postings[str] = Postings()
    for number in range(4):
        postings.put(number, "ab")
    one = postings.id_of("b")
    postings.maps[one].discard(2)
    assert postings.unlike([0, 1]) == [one]
    postings.mend(one)
    assert postings.unlike([0, 1]) == []
    assert postings.union([]) == BitMap()
    postings.union([one]).clear()
    assert len(postings.maps[one]) == 4  # what was given away is a copy
