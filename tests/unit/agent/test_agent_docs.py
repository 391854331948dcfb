"""The page about the agent names every event and every command of the code, and nothing else."""

from __future__ import annotations

import re
import typing
from pathlib import Path

from brakeline.agent import commands, events

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "agent.md"


def test_every_event_has_its_row() -> None:
    rows = set(re.findall(r"^\| `([A-Z]\w+)` \|", PAGE.read_text(encoding="utf-8"), re.M))
    assert rows == {kind.__name__ for kind in typing.get_args(events.Event)}


def test_every_command_is_told() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [k.__name__ for k in typing.get_args(commands.Command) if k.__name__ not in text] == []
