"""Answers that are held open: when they go out, and what keeps them from being too many."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from brakeline.cells.decide import essence, held_s
from brakeline.cells.model import HELD_S_MAX, Grant, GrantedRing, Sent, Signed, Stand
from brakeline.rollout import waiting
from brakeline.rollout.waiting import BURST, CALLS_PER_S, Waiting

GRANT = Grant("ld_1", "li_1", "dallas", 3, Stand.GO, "ring 1", "t", "", "{}", "{}", (GrantedRing("1", 60, 1),), 10, 20)
HAS = essence((GRANT,))
SOON = 0.01


def test_time_and_words_are_no_news_and_all_that_a_cell_acts_on_is() -> None:
    assert essence((replace(GRANT, issued_ms=11, expires_ms=21, why="ring 1, for 3 min more"),)) == HAS
    other = (
        replace(GRANT, stand=Stand.HALT), replace(GRANT, revision=4), replace(GRANT, lead_id="ld_2"),
        replace(GRANT, rings=(GrantedRing("1", 60, 2),)), replace(GRANT, rings=()),
        replace(GRANT, link_id="li_2"), replace(GRANT, generation=1), replace(GRANT, salt="ab"),
        replace(GRANT, draw_below=1), replace(GRANT, change="[]"), replace(GRANT, policy="[]"),
        replace(GRANT, filter="x"),
    )  # fmt: skip
    assert essence((replace(GRANT, lease="signed anew"),)) == HAS
    assert len({HAS, essence(()), *(essence((g,)) for g in other)}) == len(other) + 2
    two = (GRANT, replace(GRANT, lead_id="ld_2"))
    assert essence(two) == essence(reversed(two))


def test_nobody_is_held_longer_than_it_asked_for_or_before_it_was_told_anything() -> None:
    sent = Sent("te_1", "li_1", Signed("{}", ""))
    assert held_s(sent) == 0
    assert held_s(replace(sent, wait_s=3, has=HAS)) == 3
    assert held_s(replace(sent, wait_s=3600, has=HAS)) == HELD_S_MAX
    assert held_s(replace(sent, wait_s=-1, has=HAS)) == 0
    assert held_s(replace(sent, wait_s=3)) == 0


async def test_a_halt_goes_out_in_the_moment_in_which_it_is_decided() -> None:
    all_ = Waiting()
    place = all_.take("te_1", "dallas")
    assert place is not None
    place.given = {"ld_1": GRANT}
    told = asyncio.create_task(place.until_news(HAS, 60))
    await asyncio.sleep(0)
    all_.tell("te_1", "ld_1", {"dallas": replace(GRANT, why="later"), "berlin": replace(GRANT, stand=Stand.HALT)})
    all_.tell("te_2", "ld_1", {"dallas": replace(GRANT, stand=Stand.HALT)})
    for _ in range(3):
        await asyncio.sleep(0)
    assert not told.done()
    all_.tell("te_1", "ld_1", {"dallas": replace(GRANT, stand=Stand.HALT)})
    assert await asyncio.wait_for(told, 5)
    assert place.given["ld_1"].stand is Stand.HALT


async def test_what_was_decided_before_it_waited_is_not_missed() -> None:
    all_ = Waiting()
    place = all_.take("te_1", "dallas")
    assert place is not None
    all_.tell("te_1", "ld_1", {"dallas": replace(GRANT, stand=Stand.HALT)})
    place.given = {"ld_1": GRANT} | place.given
    assert await asyncio.wait_for(place.until_news(HAS, 60), 5)


async def test_without_news_it_ends_by_itself_and_a_grant_taken_away_is_news() -> None:
    all_ = Waiting()
    place = all_.take("te_1", "dallas")
    assert place is not None
    place.given = {"ld_1": GRANT}
    assert not await place.until_news(HAS, SOON)
    all_.tell("te_1", "ld_1", {})
    assert await place.until_news(HAS, 60)


async def test_a_newer_message_of_a_cell_ends_the_waiting_of_the_older_and_so_does_the_end_of_the_server() -> None:
    all_ = Waiting()
    first = all_.take("te_1", "dallas")
    assert first is not None
    first.given = {"ld_1": GRANT}
    old = asyncio.create_task(first.until_news(HAS, 60))
    await asyncio.sleep(0)
    second = all_.take("te_1", "dallas")
    assert second is not None
    assert await asyncio.wait_for(old, 5)
    all_.leave("te_1", "dallas", first)  # which is not its any more
    second.given = {"ld_1": GRANT}
    new = asyncio.create_task(second.until_news(HAS, 60))
    await asyncio.sleep(0)
    all_.end_all()
    assert await asyncio.wait_for(new, 5)


def test_there_are_so_many_places_and_no_more() -> None:
    all_ = Waiting()
    assert all(all_.take("te_1", str(n)) for n in range(waiting.PLACES_MAX))
    assert all_.take("te_1", "one more") is None
    assert all_.take("te_1", "0") is not None


def test_a_cell_that_storms_is_refused_and_one_at_the_floor_never_is() -> None:
    all_ = Waiting()
    assert sum(all_.too_often("te_1", "dallas", 0.0) for _ in range(100)) == 100 - BURST
    assert all_.too_often("te_1", "dallas", 0.0)
    assert not all_.too_often("te_1", "berlin", 0.0)
    assert not any(all_.too_often("te_1", "dallas", 10 + n / CALLS_PER_S) for n in range(1000))
