"""People at machines that shall restart, in words; what passes between releases that know of them and older ones."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from brakeline.protocol.codec import decode, encode
from brakeline.protocol.messages import PeopleTerms, PeopleWait, RestartOrder, RestartStanding
from brakeline.rollout import people
from brakeline.rollout.people import WrongTerms

AT_MS = 1_795_687_200_000  # 2026-11-26 10:00
H_MS = 3_600_000


def texts(*waits: tuple[str, PeopleWait]) -> list[str]:
    return [x.text for x in people.lines(waits)]


def test_who_wait_alike_are_one_line_and_those_without_an_end_come_last() -> None:
    put_off = PeopleWait(1, AT_MS, 2, 3)
    assert texts(("c", PeopleWait(2, 0, 0, 0)), ("b", put_off), ("a", put_off), ("d", PeopleWait(1, AT_MS, 0, 3))) == [
        "2 endpoints: people deferred until 2026-11-26 10:00 UTC, 1 of 3 deferrals left (a, b)",
        "1 endpoint: people were warned, it goes on at 2026-11-26 10:00 UTC, 3 of 3 deferrals left (d)",
        "1 endpoint: wait until nobody is logged in (c)",
    ]
    many = texts(*((f"h{i}", put_off) for i in range(9)))
    assert many[0].endswith("(h0, h1, h2, h3, h4 and 4 more)")


def test_one_endpoint_in_words() -> None:
    assert people.words(PeopleWait(2)) == "2 logged in there, until nobody is logged in"
    assert people.words(PeopleWait(1, AT_MS, 1, 3, AT_MS + 4 * H_MS)) == (
        "put off by people, until 2026-11-26 10:00 UTC, 2 of 3 deferrals left, 2026-11-26 14:00 UTC at the latest"
    )


def test_a_row_keeps_it_as_it_was_said() -> None:
    wait = PeopleWait(1, AT_MS, 1, 3)
    assert people.read(people.text_of(wait)) == wait
    assert people.read(people.text_of(None)) is None


def test_terms_are_what_a_person_gave_or_an_error_that_says_what_to_give() -> None:
    assert people.terms() is None
    assert people.terms(15, 3, 60, 8) == PeopleTerms(900, 3, 3600, 8 * 3600)
    assert "each machine's own root" in people.said(None)
    assert "nobody is overruled within 8 h" in people.said(people.terms(15, 3, 60, 8))
    with pytest.raises(WrongTerms, match="belong together"):
        people.terms(15, 3)
    with pytest.raises(WrongTerms, match="not 9000"):
        people.terms(9000)


@dataclass(frozen=True, slots=True)
class OrderOfBefore:
    """What an agent of before reads of an order."""

    endpoint_id: str
    rollout_id: str
    boot_id: str
    issued_ms: int
    expires_ms: int


def test_older_agents_and_cells_read_what_they_know() -> None:
    order = RestartOrder("ep_1", "ro_1", "boot 1", 1, 2, PeopleTerms(900))
    assert decode(OrderOfBefore, encode(order)) == OrderOfBefore("ep_1", "ro_1", "boot 1", 1, 2)
    assert decode(RestartOrder, encode(OrderOfBefore("ep_1", "ro_1", "boot 1", 1, 2))).people is None
    assert decode(RestartStanding, b'{"allowed": true, "refused": ""}') == RestartStanding(True)
