"""From the bus to the long-polls: who is woken by which message."""

from __future__ import annotations

from typing import Final

from brakeline.platform.bus import RESYNC, Bus
from brakeline.server.exchange import Exchange

WAKE: Final = "wake:"
ROLLOUT: Final = "rollout:"
POLICY: Final = "policy:"


async def listen_for_wakes(bus: Bus, exchange: Exchange) -> None:
    """Run until cancelled. A message that was lost costs at most `exchange.RECOMPOSE_S`."""
    async with bus.subscribe(WAKE + "*", ROLLOUT + "*", POLICY + "*") as messages:
        async for topic, _ in messages:
            if topic.startswith(WAKE):
                exchange.wake(topic.removeprefix(WAKE))
            elif topic == RESYNC:
                await exchange.wake_all()
            else:
                await exchange.wake_tenant(topic.partition(":")[2])
