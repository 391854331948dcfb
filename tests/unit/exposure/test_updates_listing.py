"""The filter of the list of updates: what matches, in which order, and what a misread query says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.core.errors import Invalid
from brakeline.exposure.updates_listing import KEYS, RANK, UpdateGain, parse, selected
from brakeline.fleet.model import FleetUpdate


def gain(name: str, worst: str = "", *, closes: int = 0, kev: int = 0, overdue: int = 0, wants: int = 1, can: int = 1,
         security: bool = False, source: str = "") -> UpdateGain:  # fmt: skip
    return UpdateGain(
        FleetUpdate(name, "2", "", security, wants, can, source or name), closes, kev, overdue, 1, 0, worst
    )


OPENSSL = gain("libssl3", "act", closes=4, kev=1, overdue=1, wants=9, can=8, security=True, source="openssl")
CURL, BASH = gain("curl", "plan", closes=2), gain("bash", wants=500, can=500)
EVERY = [BASH, CURL, OPENSSL]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [OPENSSL, CURL, BASH]), ("ssl", [OPENSSL]), ("SSL act", []), ("priority:act", [OPENSSL]),
        ("priority:none", [BASH]), ("kev:yes", [OPENSSL]), ("kev:no closes:yes", [CURL]), ("due:overdue", [OPENSSL]),
        ("held:yes", [OPENSSL]), ("held:no", [CURL, BASH]), ("security:yes", [OPENSSL]), ("source:openssl", [OPENSSL]),
        ("source:libssl3", []), ("closes:no", [BASH]),
    ],
)  # fmt: skip
def test_terms_are_joined_by_and(query: str, found: list[UpdateGain]) -> None:
    assert selected(EVERY, parse(query)) == found


@pytest.mark.parametrize("query", ["black:pypi-black", "Black:pypi", "closes:no black:pypi-black"])
def test_an_update_beside_the_system_s_is_found_by_the_name_that_it_has_in_the_list(query: str) -> None:
    black = gain("black:pypi-black")
    assert selected([*EVERY, black], parse(query)) == [black]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("prio:act", "unknown key 'prio'; did you mean 'priority'"),
        ("priority:acts", "priority: cannot be 'acts'; did you mean 'act'"),
        ("xyz:1", f"unknown key 'xyz'; there are {', '.join(KEYS)}"),
        ("x" * 501, "a query has at most 500 characters"),
    ],
)
def test_a_misread_query_is_an_error_with_what_was_meant(query: str, said: str) -> None:
    with pytest.raises(Invalid) as wrong:
        parse(query)
    assert said in str(wrong.value)


@given(st.lists(st.tuples(st.sampled_from(["", *RANK]), st.integers(0, 2), st.integers(0, 2), st.integers(0, 9))))
def test_nothing_urgent_stands_behind_what_is_less_so(rows: list[tuple[str, int, int, int]]) -> None:
    found = selected((gain(str(n), w, kev=k, overdue=o, closes=c) for n, (w, k, o, c) in enumerate(rows)), parse(""))
    order = [(RANK.get(one.worst, len(RANK)), -one.kev, -one.overdue, -one.closes) for one in found]
    assert order == sorted(order)
    assert len(found) == len(rows)
