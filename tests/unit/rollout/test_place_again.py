"""Whoever gave its place away gets one that is granted and promised to nobody."""

from __future__ import annotations

import pytest

from brakeline.rollout.model import Gate, TickState
from brakeline.rollout.place_again import Place, found

NOW = 1_000


def turn(
    region: str, budget: int, treated: int = 0, *, closed: bool = False, closes_ms: int = NOW + 1
) -> tuple[Gate, TickState]:
    gate = Gate(region, 0, 1, 9, 9, 9, budget, 0, closes_ms)
    return gate, TickState(region, 1, 0, treated, closed)


@pytest.mark.parametrize(
    ("turns", "counted", "is_free", "spends"),
    [
        ([], 2, True, ""),
        ([], 3, False, ""),
        ([turn("eu", 1)], 2, True, "eu"),
        ([turn("eu", 1)], 3, False, ""),  # a gate that is open too long by a step grants nothing
        ([turn("eu", 1, 1)], 2, True, ""),  # who spent it is counted already
        ([turn("us", 1)], 2, False, ""),  # promised to another region
        ([turn("us", 1, closed=True)], 2, True, ""),
        ([turn("us", 1, closes_ms=NOW)], 2, True, ""),
        ([turn("us", 1), turn("eu", 1)], 1, True, "eu"),
        ([turn("us", 2), turn("eu", 0)], 1, False, ""),
    ],
)
def test_taken_and_promised_never_exceed_what_is_granted(
    turns: list[tuple[Gate, TickState]], counted: int, is_free: bool, spends: str
) -> None:
    place = found(turns, "eu", counted, 3, NOW)
    assert place == Place(is_free, next((g for g, _ in turns if g.region == spends), None))
