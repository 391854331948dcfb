"""When a cell calls its conductor: at once when it has news; else it waits there for the conductor's.

One task for each organisation that has a conductor. Invariants: at most one call in `FLOOR_S` and `CALLS_MAX` under
way, whatever happens and whoever does not answer; a call every `EXCHANGE_S` where the conductor does not hold answers
open, or is not believed; while one is held open, figures that have changed go out with a call of their own, which ends
the waiting of the older. A lost message of the bus costs `EXCHANGE_S`. Conductors that were left are told so beside
it, and hold nobody up. What is told and what comes of it: `linked`.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import Final

from brakeline.cells.model import HELD_S_MAX, CellReport
from brakeline.core.errors import BrakelineError
from brakeline.platform.bus import RESYNC, Bus, Subscription
from brakeline.platform.observe import logger
from brakeline.rollout.linked import EXCHANGE_S, Came, Linked, Tells

FLOOR_S: Final = 0.25  # between two calls of one organisation
CALLS_MAX: Final = 4  # of one organisation, under way at once
NEWS: Final = "rollout:"


class Calling:
    """See the module."""

    def __init__(self, linked: Linked, bus: Bus) -> None:
        self._linked, self._bus = linked, bus
        self._lines: dict[str, Line] = {}

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with self._bus.subscribe(NEWS + "*") as messages, asyncio.TaskGroup() as all_of_them:
                all_of_them.create_task(self._hear(messages))
                all_of_them.create_task(self._keep())
                all_of_them.create_task(self._take_leave())
        finally:
            await asyncio.gather(*(line.stop() for line in self._lines.values()))
            self._lines.clear()

    async def _hear(self, messages: Subscription) -> None:
        async for topic, _ in messages:
            for tenant_id, line in self._lines.items():
                if topic in (RESYNC, NEWS + tenant_id):
                    line.news.set()

    async def _keep(self) -> None:
        """A line for whoever has a conductor by now."""
        while True:
            try:
                for tenant_id in await self._linked.tenants():
                    if tenant_id not in self._lines and await self._linked.believed(tenant_id) is not None:
                        self._lines[tenant_id] = Line(self._linked, tenant_id)
            except BrakelineError as e:
                logger.warning("links-not-read", reason=e.detail or e.title)
            for tenant_id in [t for t, line in self._lines.items() if line.task.done()]:
                del self._lines[tenant_id]
            await asyncio.sleep(EXCHANGE_S)

    async def _take_leave(self) -> None:
        """Conductors that were left are told so, and may take as long as they like to answer."""
        while True:
            for tenant_id in list(self._lines):
                try:
                    link = await self._linked.believed(tenant_id)
                    if link is not None:
                        await self._linked.take_leave(tenant_id, link)
                except BrakelineError as e:
                    logger.warning("leave-not-taken", tenant=tenant_id, reason=e.detail or e.title)
            await asyncio.sleep(EXCHANGE_S)


class Line:
    """The calls of one organisation, while it has a conductor that it believes."""

    def __init__(self, linked: Linked, tenant_id: str) -> None:
        self._linked, self._tenant_id = linked, tenant_id
        self.news = asyncio.Event()
        self._call: asyncio.Task[Came] | None = None
        self._told: tuple[str, Tells] = ("", Tells())  # by which link, and what
        self._under_way: set[asyncio.Task[Came]] = set()
        self.task = asyncio.create_task(self._run(), name=f"link of {tenant_id}")

    async def stop(self) -> None:
        """End it, with what is under way."""
        for task in (self.task, *self._under_way):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task

    async def _run(self) -> None:
        while True:
            begun_s = asyncio.get_running_loop().time()
            self.news.clear()
            try:
                if not await self._look():
                    return
            except Exception as e:  # noqa: BLE001 - outermost loop: one bad look must not end the link
                logger.warning("link-not-told", tenant=self._tenant_id, reason=str(e), error=type(e).__name__)
            await self._pause(begun_s)

    async def _look(self) -> bool:
        """Call where there is news, or nobody is being waited for; False = there is no conductor any more."""
        link = await self._linked.believed(self._tenant_id)
        if link is None:
            return False
        tells = await self._linked.tells(self._tenant_id, link)
        said = (link.link_id, replace(tells, reports=tuple(map(ageless, tells.reports))))
        idle = self._call is None or self._call.done()
        if (idle or said != self._told) and len(self._under_way) < CALLS_MAX:
            self._told = said
            call = self._linked.exchange(self._tenant_id, link, tells, HELD_S_MAX)
            self._call = asyncio.create_task(call, name=f"exchange of {self._tenant_id}")
            self._under_way.add(self._call)
            self._call.add_done_callback(self._under_way.discard)
        return True

    async def _pause(self, begun_s: float) -> None:
        """Until something happens here or there; not shorter than the floor."""
        loop = asyncio.get_running_loop()
        news = asyncio.create_task(self.news.wait())
        try:
            waiting = {news} if self._call is None or self._call.done() else {news, self._call}
            while waiting and (left := begun_s + EXCHANGE_S - loop.time()) > 0:
                done, waiting = await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                if news in done or self._at_once():
                    break
        finally:
            news.cancel()
        await asyncio.sleep(max(0.0, begun_s + FLOOR_S - loop.time()))

    def _at_once(self) -> bool:
        """The last call is over, and the next will be held open."""
        call = self._call
        return call is not None and call.done() and call.exception() is None and call.result().again


def ageless(report: CellReport) -> CellReport:
    """What changes only by time passing is no news."""
    return replace(report, data_age_s=0, parts=tuple(replace(p, youngest_age_s=0) for p in report.parts))
