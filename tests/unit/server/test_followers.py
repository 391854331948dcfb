"""Who follows new content: every fleet is told first, figures are counted then, and a fault ends nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from brakeline.core.errors import Unavailable
from brakeline.platform.bus import MemoryBus
from brakeline.server import followers
from brakeline.server.followers import CONTENT, listen_for_content


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
