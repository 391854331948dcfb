"""Incidents replayed for the console, in a real process of its own."""

from __future__ import annotations

import asyncio

import pytest

from brakeline.core.errors import Conflict
from brakeline.drills import present
from brakeline.drills.replaying import Replays

TAKES_S = 120.0


async def ended(replays: Replays) -> None:
    async with asyncio.timeout(TAKES_S):
        while replays.running is not None:
            await asyncio.sleep(0.1)


async def test_a_replay_is_done_beside_the_server_and_kept() -> None:
    replays = Replays(first=1)
    assert replays.kept() is None
    replays.begin(2_000, 1)
    with pytest.raises(Conflict):
        replays.begin(300, 1)
    await ended(replays)
    assert replays.failed == ""
    answer = replays.kept()
    assert answer is not None
    (row,) = present.replay_rows(answer)
    assert row.harmed != "–"
    replays.begin(2_000, 1)
    assert replays.running is None, "the same again is answered from memory"


async def test_a_replay_ends_with_the_server() -> None:
    replays = Replays()
    replays.begin(100_000, 5)
    await asyncio.sleep(0.5)
    await replays.close()
    assert replays.running is None
    assert replays.kept() is None
