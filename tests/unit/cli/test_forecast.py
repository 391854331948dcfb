"""`brakeline rollout forecast`: a program reads what people read."""

from __future__ import annotations

import json

import pytest

from brakeline.cli.__main__ import main

FRIDAY = ("rollout", "forecast", "8500000", "--regions", "8", "--start", "2026-11-27")


def test_what_a_weekend_adds_is_told_to_people_and_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(FRIDAY) == 0
    assert "opens on a " in capsys.readouterr().out
    assert main([*FRIDAY, "--json"]) == 0
    weekend = json.loads(capsys.readouterr().out)["weekend"]
    assert (weekend["ring"], weekend["ends"]) == ("100 %", "Tuesday")


def test_without_a_start_nothing_is_said_of_a_weekend(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*FRIDAY[:5], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["weekend"] is None
