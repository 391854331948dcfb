"""What counts of what a look has said, however it ended."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from brakeline.launcher.model import Found, Staged
from brakeline.launcher.shell import heard
from brakeline.launcher.source import time_s
from brakeline.trust.model import Floors

EARLY = Found(True, Floors(), recalled=("1.0.0-bbbbbbbbbbbb",))
LATE = Found(True, Floors(), recalled=("1.0.0-bbbbbbbbbbbb",), staged="2.0.0-cccccccccccc", sequence=2, unfinished=True,
             others=(Staged("content", "3.0.0-dddddddddddd", 3),))  # fmt: skip
CRASH = b"Traceback (most recent call last):\n  File x\nMemoryError\n"


def line(found: Found) -> bytes:
    return json.dumps(asdict(found)).encode() + b"\n"


def test_the_last_line_of_a_look_that_ended_well_counts() -> None:
    assert heard(line(EARLY) + line(LATE), 0) == (LATE, "")


@pytest.mark.parametrize(
    ("said", "status", "says"),
    [
        (line(EARLY), None, "no answer in time"),
        (line(EARLY) + line(LATE)[:-9], None, "no answer in time"),
        (line(EARLY) + CRASH, 1, "the look has crashed"),
        (line(EARLY), -9, "the look has crashed"),
    ],
)
def test_what_was_verified_before_it_was_cut_off_or_crashed_counts(said: bytes, status: int | None, says: str) -> None:
    assert heard(said, status) == (EARLY, says)


@pytest.mark.parametrize("said", [b"", b"{}\n", CRASH, line(EARLY)[:-1]])
def test_a_look_that_has_said_nothing_whole_is_none(said: bytes) -> None:
    assert heard(said, 0) == (None, "the look has crashed")
    assert heard(said, None) == (None, "no answer in time")


def test_a_look_ends_before_it_is_cut_off_however_long_its_program_took_to_start() -> None:
    """Else what a slow machine fetched over a slow line is lost with each look."""
    assert time_s(110.0, 10.0, 100.0) == pytest.approx(9.0)
    assert time_s(110.0, 10.0, 106.0) == pytest.approx(3.6)
    assert time_s(110.0, 10.0, 111.0) == 0.0
    assert time_s(0.0, 10.0, 106.0) == pytest.approx(9.0), "nobody has told it when"
    assert time_s(900.0, 10.0, 106.0) == pytest.approx(9.0), "never more than a look has"
