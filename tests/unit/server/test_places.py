"""Who keeps a place and who gives way, by the loop's own time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from brakeline.server.places import Full, Moved, Places

LONG_S = 30.0


async def held(
    places: Places, within_s: float = LONG_S, during: Callable[[Moved], Awaitable[None]] | None = None
) -> str:
    """ "over" = its time was over, or it gave way."""
    try:
        async with places.place(within_s) as moved:
            await (during(moved) if during else asyncio.Event().wait())
    except TimeoutError:
        return "over"
    return "done"


async def test_nobody_gives_way_before_his_patience_is_over() -> None:
    places = Places(1, LONG_S)
    first = asyncio.create_task(held(places))
    await asyncio.sleep(0)
    with pytest.raises(Full):
        await held(places)
    assert not first.done()
    first.cancel()


async def test_whoever_has_not_moved_for_longest_gives_way_and_it_alone() -> None:
    places = Places(2, 0.02)
    go_on = asyncio.Event()

    async def moves(moved: Moved) -> None:
        await asyncio.sleep(0.05)
        moved()
        await go_on.wait()

    older, newer = asyncio.create_task(held(places, during=moves)), asyncio.create_task(held(places))
    await asyncio.sleep(0.06)
    third = asyncio.create_task(held(places))
    async with asyncio.timeout(LONG_S):
        assert await newer == "over"  # begun later, and still since
    go_on.set()
    assert await older == "done"
    third.cancel()


async def test_a_place_is_free_again_however_its_holder_ended() -> None:
    places = Places(1, LONG_S)

    async def fails(_: Moved) -> None:
        raise KeyError("its own")

    assert await held(places, 0.01) == "over"
    with pytest.raises(KeyError, match="its own"):
        await held(places, during=fails)
    cancelled = asyncio.create_task(held(places))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    assert await held(places, during=lambda _: asyncio.sleep(0)) == "done"


async def test_a_newcomer_at_the_very_moment_at_which_the_time_of_another_ends_gets_its_place() -> None:
    places, loop = Places(1, 0.0), asyncio.get_running_loop()
    arrived: list[asyncio.Task[str]] = []

    def come() -> None:  # between the end of the first one's time and its next step
        arrived.append(asyncio.create_task(held(places, during=lambda _: asyncio.sleep(0))))

    async def first(_: Moved) -> None:
        loop.call_at(until_s, come)
        await asyncio.Event().wait()

    until_s = loop.time() + 0.05
    async with asyncio.timeout(LONG_S):
        assert await held(places, 0.05, first) == "over"
        assert await arrived[0] == "done"
