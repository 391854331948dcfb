"""The hold-out on a real PostgreSQL: who faces the internet is not in it, it ends when due, and it is offered then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support_rollout import CHANGE, OWNER, PIN, SmallFleet, quick_policy

from brakeline.core.clock import ManualClock
from brakeline.core.draw import draw
from brakeline.platform.database import Database
from brakeline.rollout.model import INTERNET_TAG, Policy

SIZE, FACING = 8, (0, 1, 2)


def policy() -> Policy:
    """One, then everybody, then two of five: bakes a minute; its last checkpoint comes after two."""
    plain = quick_policy(1)
    return replace(plain, guard=replace(plain.guard, holdout=0.4))


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> SmallFleet:
    made = SmallFleet(database, clock, tmp_path)
    await made.enrol(SIZE, regions=("eu",))
    await made.hear()
    for i in FACING:
        await made.fleet.set_tags(OWNER, made.twins[i].identity.endpoint_id, (INTERNET_TAG,))
    return made


def unlucky(fleet: SmallFleet) -> bytes:
    """A salt that would put those who face the internet last."""
    ids = [t.identity.endpoint_id for t in fleet.twins]
    last = {ids[i] for i in FACING}
    for n in range(10_000):
        salt = n.to_bytes(32)
        if set(sorted(ids, key=lambda i: draw(salt, i))[-len(FACING) :]) == last:
            return salt
    raise AssertionError("none of ten thousand salts")


async def begin(fleet: SmallFleet, due_ms: int = 0) -> str:
    ids = [t.identity.endpoint_id for t in fleet.twins]
    rollout = await fleet.service.create(
        OWNER, "libssl3", replace(CHANGE, due_ms=due_ms), policy(), ids, salt=unlucky(fleet)
    )
    await fleet.service.start(OWNER, rollout)
    return rollout


async def until(fleet: SmallFleet, rollout: str, updated: int) -> None:
    """Rounds, each decided on twice, as a server does many times between two check-ins."""
    for _ in range(100):
        if len(fleet.updated()) >= updated or (await fleet.service.show(OWNER, rollout)).state == "completed":
            return
        await fleet.round()
        await fleet.service.reconcile()
    raise AssertionError((await fleet.service.show(OWNER, rollout)).why)


async def said(fleet: SmallFleet, rollout: str) -> str:
    lines = await fleet.service.explain(OWNER, rollout)
    return next(x.text for x in lines if x.gate == "hold-out")


async def test_who_faces_the_internet_has_it_before_the_hold_out_and_everybody_has_it_in_the_end(
    fleet: SmallFleet,
) -> None:
    rollout = await begin(fleet)
    await until(fleet, rollout, 1)
    assert "3 tagged internet-facing" in await said(fleet, rollout)
    tagged, plain = fleet.twins[0].identity.endpoint_id, fleet.twins[5].identity.endpoint_id
    await fleet.fleet.set_tags(OWNER, tagged, ())  # once drawn, always drawn
    await fleet.fleet.set_tags(OWNER, plain, (INTERNET_TAG,))
    await until(fleet, rollout, SIZE - 2)
    fleet.new_service()
    await fleet.rounds(3)
    assert len(fleet.updated()) == SIZE - 2
    assert {f"host-{i}" for i in FACING} <= set(fleet.updated())
    assert "2 held out" in await said(fleet, rollout)
    await until(fleet, rollout, SIZE + 1)
    view = await fleet.service.show(OWNER, rollout)
    assert (view.state, len(fleet.updated())) == ("completed", SIZE)
    assert all(t.version == PIN.version for t in fleet.twins)
    assert "no control" in await said(fleet, rollout)


@pytest.mark.parametrize("due", [True, pytest.param(False, marks=pytest.mark.long)])
async def test_it_ends_when_what_is_closed_is_due(fleet: SmallFleet, clock: ManualClock, *, due: bool) -> None:
    begun_ms = clock.now_ms()
    rollout = await begin(fleet, due_ms=begun_ms + 1 if due else 0)
    await until(fleet, rollout, SIZE - 2)
    opened_ms = clock.now_ms()
    await until(fleet, rollout, SIZE - 1)
    waited_s = (clock.now_ms() - opened_ms) // 1000
    assert waited_s >= 60, "the ring bakes, due or not"
    assert (waited_s < 120) is due


async def test_a_pause_keeps_what_is_due(fleet: SmallFleet, clock: ManualClock) -> None:
    rollout = await begin(fleet, due_ms=clock.now_ms() + 1)
    await until(fleet, rollout, SIZE - 2)
    await fleet.service.pause(OWNER, rollout, "wait for Monday")
    await fleet.rounds(20)
    assert len(fleet.updated()) == SIZE - 2
    assert "never overrides the brake" in await said(fleet, rollout)
