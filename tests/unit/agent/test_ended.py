"""Why a command was ended, and how much of what it printed is held in memory."""

from __future__ import annotations

import io

from brakeline.agent import guard
from brakeline.agent.providers.apt import blame
from brakeline.agent.providers.apt.runner import TEXT_BYTES_MAX, Ran, told
from brakeline.agent.providers.beside import why_not
from brakeline.agent.providers.ended import FLOODED, OUTPUT_MAX, why_ended
from brakeline.agent.providers.model import Refused


def test_time_and_too_much_output_are_told_apart() -> None:
    assert why_ended("", ("sh", "sleep", "sh"), 60) == "Not finished after 60 s; ended were: sh, sleep."
    flood = f"y\ny\n{FLOODED}\n"
    assert why_ended(flood, ("yes",), 60) == "More was printed than 128 MiB; ended were: yes."
    assert why_ended(f"{FLOODED}\nand then it hung", (), 60) == "Not finished after 60 s; ended were: nothing of it."


def test_the_guard_is_told_by_the_name_that_it_knows() -> None:
    assert guard.OUTPUT_MAX == OUTPUT_MAX


def test_every_manager_says_it_in_the_same_words() -> None:
    flood = f"y\n{FLOODED}\n"
    of_apt = blame.blame(flood, -9, timed_out=True, killed=("yes",), limit_s=60)
    beside = why_not(Refused("pip_failed", ""), Ran(-9, flood, timed_out=True, killed=("yes",)), 60, "pip")
    assert (of_apt.code, of_apt.reason) == (beside.code, beside.reason) == ("timeout", why_ended(flood, ("yes",), 60))


def test_of_more_than_is_held_the_first_and_the_last_are_read() -> None:
    out = io.BytesIO(b"earlier" + b"first\n" + b"x" * TEXT_BYTES_MAX + b"\nlast")
    text = told(out, len(b"earlier"))
    assert text.startswith("first\n")
    assert text.endswith("\nlast")
    assert "\n[11 bytes left out]\n" in text
    assert len(text) < TEXT_BYTES_MAX + 100
    assert told(io.BytesIO(b"earlier and later"), len(b"earlier")) == " and later"
    assert told(io.BytesIO(b"cut off since"), 100) == ""
