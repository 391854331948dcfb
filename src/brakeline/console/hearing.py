"""What happens to findings wakes the pages that show them: the bus on one side, open streams on the other.

A message says only that there is news and whose; what a page shows is read from the database and the index by its own
channel, with its own visitor's rights. A message that is lost costs a page at most its pace.
"""

from __future__ import annotations

from typing import Final

from brakeline.console.feed import Feed
from brakeline.platform.bus import RESYNC, Bus

FINDING: Final = "finding:"


async def hear(bus: Bus, feed: Feed) -> None:
    """Until cancelled. A payload names the endpoint whose findings moved; without one advisories have."""
    async with bus.subscribe(FINDING + "*") as messages:
        async for topic, endpoint_id in messages:
            if topic == RESYNC:
                feed.wake()
            else:
                feed.wake(topic.removeprefix(FINDING), endpoint_id)
