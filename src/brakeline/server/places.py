"""So many at once and no more, and nobody keeps a place by being slow: for what anybody may open without an identity.

Where all places are taken, a newcomer gets that of whoever has not moved for longest, if that is longer than the
patience given; else nobody gives way and the newcomer is told to come again. Whoever gives way sees a `TimeoutError`.
Used by `trust_plane` (downloads) and `cell_plane` (bodies that are being read).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

Moved = Callable[[], None]


class Full(Exception):
    """All places are taken by whoever moves."""


class Places:
    """`most` at once; `patience_s`: how long a place is kept without moving when somebody else wants it."""

    def __init__(self, most: int, patience_s: float) -> None:
        self._most: Final = most
        self._patience_s: Final = patience_s
        self._since: dict[asyncio.Timeout, float] = {}  # when it moved last, by the loop's time

    @asynccontextmanager
    async def place(self, within_s: float) -> AsyncIterator[Moved]:
        """A place for `within_s` at most, and what is called whenever its holder has moved. Raises `Full` at once,
        `TimeoutError` when the time is over or the place was given to another."""
        now = asyncio.get_running_loop().time
        if len(self._since) >= self._most:
            self._give_way(now())
        async with asyncio.timeout(within_s) as mine:
            self._since[mine] = now()

            def moved() -> None:
                if mine in self._since:
                    self._since[mine] = now()

            try:
                yield moved
            finally:
                self._since.pop(mine, None)

    def _give_way(self, now_s: float) -> None:
        still, since_s = min(self._since.items(), key=lambda held: held[1], default=(None, now_s))
        if still is None or now_s - since_s <= self._patience_s:
            raise Full
        del self._since[still]
        if not still.expired():  # else it goes by itself this very moment, and cannot be told again
            still.reschedule(now_s)
