"""Whatever state a rollout is in, its panel says why, from the planner's own report: never "nothing written down"."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.support_rollout import CHANGE, OWNER, SmallFleet, quick_policy

from brakeline.console import present_rollout
from brakeline.core.clock import ManualClock
from brakeline.platform.database import Database
from brakeline.rollout.brief import brief

Act = Callable[[SmallFleet, str], Awaitable[None]]


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> SmallFleet:
    found = SmallFleet(database, clock, tmp_path)
    await found.enrol(6)
    return found


async def nothing(fleet: SmallFleet, rollout: str) -> None:
    """It stays a draft."""


async def run(fleet: SmallFleet, rollout: str) -> None:
    await fleet.service.start(OWNER, rollout)
    await fleet.rounds(2)


async def paused(fleet: SmallFleet, rollout: str) -> None:
    await run(fleet, rollout)
    await fleet.service.pause(OWNER, rollout, "lunch")


async def waiting_for_proof(fleet: SmallFleet, rollout: str) -> None:
    """The canary never says what came of it."""
    for twin in fleet.twins:
        twin.fate = "network"
    await fleet.service.start(OWNER, rollout)
    await fleet.rounds(12)


async def braked(fleet: SmallFleet, rollout: str) -> None:
    await run(fleet, rollout)
    await fleet.service.brake(OWNER, rollout)


async def failed(fleet: SmallFleet, rollout: str) -> None:
    for twin in fleet.twins:
        twin.fate = "postinst"
    await fleet.service.start(OWNER, rollout)
    await fleet.rounds(12)


async def completed(fleet: SmallFleet, rollout: str) -> None:
    await fleet.service.start(OWNER, rollout)
    await fleet.rounds(90)


async def withdrawn(fleet: SmallFleet, rollout: str) -> None:
    await run(fleet, rollout)
    await fleet.service.withdraw(OWNER, rollout, "another one is better")


@pytest.mark.parametrize(
    ("act", "state", "says"),
    [
        (nothing, "draft", "waits to be started"), (run, "rolling", "ring"), (paused, "holding", "lunch"),
        (waiting_for_proof, "holding", "ring"), (braked, "halted", "Olga"), (failed, "halted", "failed"),
        (completed, "completed", ""), (withdrawn, "withdrawn", "another one is better"),
    ],
)  # fmt: skip
async def test_the_panel_says_why(fleet: SmallFleet, act: Act, state: str, says: str) -> None:
    await fleet.hear()
    ids = [t.identity.endpoint_id for t in fleet.twins]
    policy = quick_policy(2, 3) if act is failed else quick_policy(1, 3)
    rollout = await fleet.service.create(OWNER, "libssl3", CHANGE, policy, ids)
    await act(fleet, rollout)
    found = await fleet.service.show(OWNER, rollout)
    assert found.state == state, found.lines
    assert found.lines, "the planner has said why"
    panel = present_rollout.rollout_view(brief(found), fleet.clock.now_ms(), None, may_resume=True)
    assert panel.why_title.startswith("Why it ")
    texts = [line.text for line in panel.why]
    assert all(texts)
    assert says in " ".join(texts)
    assert "No decision has been written down yet." not in texts
