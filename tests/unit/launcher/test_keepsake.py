"""What is given back of an agent's files was written by the agent: nothing in it may end the launcher."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from brakeline.launcher import keepsake


def told(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("kept", "number"),
    [
        (told(b"513\n"), 513),
        (told(b"9" * 5000), 0),  # more digits than Python makes a number of
        (told(b"9" * 19), 0),
        (told(b"-1"), 0),
        ("no base64", 0),
        (7, 0),
    ],
)
def test_a_counter_that_is_none_counts_as_none(kept: Any, number: int) -> None:
    forward = base64.b64decode(keepsake._forward(keepsake.COUNTER, kept))
    assert int(forward) == number + keepsake.COUNTER_SKIP


def test_an_answer_that_nests_without_end_is_none() -> None:
    assert keepsake._answer(b"[" * 100_000) == {}
    assert keepsake._answer(json.dumps({"key": "x"}).encode()) == {"key": "x"}
