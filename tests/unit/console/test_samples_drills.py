"""Samples and tutorial show the figures of the brake that runs, not those of one before it."""

from __future__ import annotations

from pathlib import Path

from brakeline.console.samples_drills import DRILL, loud

TUTORIAL = Path(__file__).parents[3] / "docs" / "tutorial" / "rehearse-the-brake.md"


def test_the_tutorial_and_the_sample_say_what_the_brake_says() -> None:
    told = [line for line in TUTORIAL.read_text().splitlines() if line.startswith("halted  6/300")]
    assert told == [f"halted  6/300 offered, 6 harmed  {loud()}"]
    assert DRILL["braked"].why[0].text == loud()
