"""Who follows new content: every fleet is told first, figures are counted then, and a fault ends nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from brakeline.core.errors import Unavailable
from brakeline.platform.bus import MemoryBus
from brakeline.server import followers
from brakeline.server.followers import CONTENT, kept, listen_for_content


async def test_new_content_is_told_in_every_fleet_and_then_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followers, "COUNT_AFTER_S", 0.0)
    bus, done, counted, away = MemoryBus(), list[str](), asyncio.Event(), True

    async def tenants() -> Sequence[str]:
        return ["te_1", "te_2"]

    async def hear(of: Sequence[str]) -> None:
        done.append(f"told {len(of)}")
        if away:
            raise Unavailable("the database is away")

    def count() -> None:
        done.append("counted")
        counted.set()

    listening = asyncio.create_task(listen_for_content(bus, tenants, hear, count))
    await asyncio.sleep(0)
    for feed in ("osv-debian", "cisa-kev"):
        await bus.publish(CONTENT, feed)
        await counted.wait()
        counted.clear()
        away = False
    await bus.close()  # what was missed meanwhile is looked for
    await counted.wait()
    assert done == ["told 2", "counted"] * 3
    listening.cancel()


async def test_a_follower_that_ends_by_what_nobody_foresaw_begins_anew() -> None:
    begun, follows = list[int](), asyncio.Event()

    async def follow() -> None:
        begun.append(len(begun))
        if len(begun) == 1:
            raise ZeroDivisionError
        if len(begun) == 3:
            follows.set()
            await asyncio.Event().wait()

    following = asyncio.create_task(kept("test", follow, again_s=0))
    await follows.wait()
    assert begun == [0, 1, 2], "also one that simply ended"
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
