"""Incidents replayed for the console, in a real process of its own."""

from __future__ import annotations

import asyncio
import json

import pytest

from brakeline.core.errors import Conflict
from brakeline.drills import present
from brakeline.drills.replaying import Own, Replays
from brakeline.fleet.shape import shape
from brakeline.protocol.codec import to_plain
from brakeline.rollout.presets import policy_for

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


def question(tenant_id: str = "te_1", pace: str = "careful") -> Own:
    """A fleet of 400 servers and this plan."""
    counts = {"class": {"server": 400}, "region": {"eu": 400}, "os": {"debian-12": 400}, "tag": {}}
    said = {"shape": to_plain(shape(0, counts, ())), "plan": to_plain(policy_for(400, pace))}
    return Own(tenant_id, json.dumps(said, sort_keys=True))


async def test_under_an_own_shape_and_plan_it_is_that_organisations_alone() -> None:
    replays = Replays(first=1)
    replays.begin(400, 1, question())
    assert replays.running_for("te_1")
    assert not replays.running_for()
    await ended(replays)
    assert replays.failed == ""
    mine = replays.kept("te_1")
    assert mine is not None
    assert mine["endpoints"] == 400
    assert replays.kept() is None
    assert replays.kept("te_2") is None
    replays.begin(400, 1, question(pace="fast"))
    await ended(replays)
    assert replays.kept("te_1") != mine, "another plan, another answer"


async def test_a_shape_that_cannot_be_read_says_so_to_its_own_organisation_alone() -> None:
    replays = Replays(first=1)
    replays.begin(400, 1, Own("te_1", "{}"))
    await ended(replays)
    assert "came to nothing" in replays.why_failed("te_1")
    assert replays.why_failed() == replays.why_failed("te_2") == ""
