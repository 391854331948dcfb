"""What follows a committed change, beside the request that made it: exposure after inventories and after new content,
wakes after news.

Followers may lose work in a crash: each has a reconciler or a period behind it that comes to the same end. A fault
is logged and the follower goes on; what no code foresaw ends what it was at, not the follower (`kept`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from brakeline.core.errors import Fault
from brakeline.platform.bus import RESYNC, Bus
from brakeline.platform.observe import logger
from brakeline.server.exchange import Exchange

WAKE: Final = "wake:"
ROLLOUT: Final = "rollout:"
COUNT_AFTER_S: Final = 1.0  # pages that are open are rendered first
AGAIN_S: Final = 1.0  # after an error that no code foresaw
CONTENT: Final = "content"  # every process hears it: each has an index of its own
INVENTORIES_WAITING_MAX: Final = 10_000  # beyond it the exposure reconciler finds them by itself


async def kept(name: str, follow: Callable[[], Awaitable[None]], again_s: float = AGAIN_S) -> None:
    """Follow until cancelled; whatever it ends by is logged whole, and a second later it begins anew.

    A server whose followers have ended one by one, unseen, answers and is deaf.
    """
    while True:
        try:
            await follow()
        except Exception:  # noqa: BLE001 - outermost loop, as a reconciler's
            logger.exception("follower-begins-anew", follower=name)
        await asyncio.sleep(again_s)


class InventoryFollower:
    """Assesses endpoints one after another, soon after their inventory was acknowledged."""

    def __init__(self, assess: Callable[[str, str], Awaitable[None]]) -> None:
        self._assess = assess
        self._waiting: dict[tuple[str, str], None] = {}  # in order of arrival, each once
        self._news = asyncio.Event()

    async def put(self, tenant_id: str, endpoint_id: str) -> None:
        """For `FleetService.on_inventory`: only remembers."""
        if len(self._waiting) < INVENTORIES_WAITING_MAX:
            self._waiting[tenant_id, endpoint_id] = None
            self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                tenant_id, endpoint_id = next(iter(self._waiting))
                del self._waiting[tenant_id, endpoint_id]
                try:
                    await self._assess(tenant_id, endpoint_id)
                except Fault as e:
                    logger.warning("assess-after-inventory-failed", endpoint_id=endpoint_id, reason=str(e))


async def nothing(_: str) -> None:
    """No rollouts to read again."""


async def listen_for_wakes(bus: Bus, exchange: Exchange, refresh: Callable[[str], Awaitable[object]] = nothing) -> None:
    """Wake long-polls by what the bus says, until cancelled. `refresh` reads a tenant's rollouts again first: a reply
    composed from older ones would be cached. A message that was lost costs at most `exchange.RECOMPOSE_S`.
    """
    async with bus.subscribe(WAKE + "*", ROLLOUT + "*") as messages:
        async for topic, _ in messages:
            if topic.startswith(WAKE):
                exchange.wake(topic.removeprefix(WAKE))
            elif topic == RESYNC:
                await exchange.wake_all()
            else:
                tenant_id = topic.removeprefix(ROLLOUT)
                try:
                    await refresh(tenant_id)
                except Fault as e:
                    logger.warning("rollouts-not-read", tenant_id=tenant_id, reason=str(e))
                await exchange.wake_tenant(tenant_id)


async def listen_for_content(
    bus: Bus, tenants: Callable[[], Awaitable[Sequence[str]]], hear: Callable[[Sequence[str]], Awaitable[object]],
    count: Callable[[], None],
) -> None:  # fmt: skip
    """Until cancelled. New content is told in every fleet at once (`hear`); figures of endpoints follow (`count`).

    A message that was lost costs at most the period of the reconciler that `count` kicks.
    """
    async with bus.subscribe(CONTENT) as messages:
        async for _ in messages:
            try:
                await hear(await tenants())
            except Fault as e:
                logger.warning("content-not-told", reason=str(e))
            asyncio.get_running_loop().call_later(COUNT_AFTER_S, count)
