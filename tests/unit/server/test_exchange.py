"""Replies and their ETags: when one is composed anew, and that only what matters changes it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from brakeline.core.clock import ManualClock
from brakeline.fleet.decide import Held
from brakeline.fleet.model import CounterState, EndpointIdentity
from brakeline.fleet.sessions import Session
from brakeline.platform.bus import MemoryBus
from brakeline.protocol.messages import (
    Candidate,
    CheckIn,
    CheckInReply,
    Health,
    LauncherReport,
    LocalLimits,
    Mode,
    NotReady,
    Settings,
    SignedOrder,
    UpdateRef,
)
from brakeline.server.exchange import RECOMPOSE_S, Exchange, etag_of
from brakeline.server.followers import listen_for_wakes

CHECK_IN = CheckIn("0.1.0", 0, "", Health())
CANDIDATE = Candidate("ro_1", 1, (UpdateRef("openssl", "3.0.1"),))


@dataclass
class Source:
    """Orders and settings that count how often they are asked."""

    candidates: tuple[Candidate, ...] = ()
    settings: Settings = field(default_factory=Settings)
    asked: int = 0

    async def candidates_for(
        self, identity: EndpointIdentity, *, launched: bool, settled: bool, bounded: bool, drills: bool
    ) -> tuple[Candidate, ...]:
        return self.candidates

    async def on_check_in(
        self, identity: EndpointIdentity, check_in: CheckIn, boot_id: str = ""
    ) -> tuple[tuple[SignedOrder, ...], tuple[str, ...]]:
        self.asked += 1
        return (), ()

    async def effective(self, identity: EndpointIdentity, reported: str) -> Settings:
        return self.settings


def made() -> tuple[Exchange, Source, Session, ManualClock]:
    source, clock = Source(), ManualClock()
    session = Session(EndpointIdentity("te_1", "ep_1", b"k" * 32), CounterState(), Held())
    return Exchange(clock, source.effective, source), source, session, clock


async def test_an_unchanged_reply_is_composed_once() -> None:
    exchange, source, session, _ = made()
    first = await exchange.reply(session, CHECK_IN)
    assert await exchange.reply(session, CHECK_IN) is first
    assert source.asked == 1


async def test_what_is_said_of_releases_depends_on_the_launcher_at_the_other_end() -> None:
    source, clock = Source(), ManualClock()
    session = Session(EndpointIdentity("te_1", "ep_1", b"k" * 32), CounterState(), Held())

    class Recalls:
        def recalled(self) -> frozenset[str]:
            return frozenset({"2.0.0-" + "a" * 12, "3.0.0-" + "b" * 12})

    async def follow(identity: EndpointIdentity) -> str:
        return f"order for {identity.endpoint_id}"

    exchange = Exchange(clock, source.effective, source, Recalls(), follow)
    without = await exchange.reply(session, CHECK_IN)
    assert (without.reply.recalled, without.reply.follow) == ((), "")
    for running, recalled in (("1.0.0-" + "0" * 12, ()), ("2.0.0-" + "a" * 12, ("2.0.0-" + "a" * 12,))):
        report = LauncherReport(running=running)
        reply = (await exchange.reply(session, replace(CHECK_IN, launcher=report))).reply
        assert (reply.recalled, reply.follow) == (recalled, "order for ep_1")


async def test_who_speaks_of_a_rollout_is_always_heard() -> None:
    exchange, source, session, _ = made()
    await exchange.reply(session, CHECK_IN)
    said = replace(CHECK_IN, not_ready=(NotReady("ro_1", 1, "locked", "apt is busy"),))
    await exchange.reply(session, said)
    await exchange.reply(session, said)
    assert source.asked == 3


async def test_what_nobody_told_of_arrives_after_a_while() -> None:
    exchange, source, session, clock = made()
    first = await exchange.reply(session, CHECK_IN)
    source.settings = Settings(check_in_interval_s=5)
    clock.advance(RECOMPOSE_S - 1)
    assert (await exchange.reply(session, CHECK_IN)).etag == first.etag
    clock.advance(1)
    assert (await exchange.reply(session, CHECK_IN)).reply.settings.check_in_interval_s == 5


async def test_resync_scan_and_wakes_compose_anew_and_equal_replies_keep_their_etag() -> None:
    exchange, source, session, _ = made()
    first = await exchange.reply(session, CHECK_IN)
    exchange.wake("ep_1")
    assert (await exchange.reply(session, CHECK_IN)).etag == first.etag
    assert source.asked == 2
    session.resync = True
    second = await exchange.reply(session, CHECK_IN)
    session.scan = 4
    third = await exchange.reply(session, CHECK_IN)
    assert len({first.etag, second.etag, third.etag}) == 3
    source.candidates = (CANDIDATE,)
    await exchange.wake_tenant("te_2")
    assert (await exchange.reply(session, CHECK_IN)).etag == third.etag
    await exchange.wake_tenant("te_1")
    assert (await exchange.reply(session, CHECK_IN)).reply.candidates == (CANDIDATE,)


async def test_a_stop_lets_no_reply_leave_that_was_composed_before_and_wakes_everybody_without_a_bus() -> None:
    exchange, source, session, _ = made()
    first = await exchange.reply(session, CHECK_IN)
    poll = asyncio.create_task(exchange.wait(session, 50))
    await asyncio.sleep(0)
    source.candidates = (CANDIDATE,)
    exchange.stop_tenant("te_1")
    assert await poll is True
    assert (await exchange.reply(session, CHECK_IN)).etag != first.etag


async def test_a_stop_in_the_middle_of_a_reply_composes_it_anew() -> None:
    source, clock = Source(), ManualClock()
    session = Session(EndpointIdentity("te_1", "ep_1", b"k" * 32), CounterState(), Held())

    async def settings(identity: EndpointIdentity, _: str) -> Settings:
        if source.asked == 1:
            exchange.stop_tenant("te_1")
        return source.settings

    exchange = Exchange(clock, settings, source)
    await exchange.reply(session, CHECK_IN)
    assert source.asked == 2


async def test_a_newer_poll_of_an_endpoint_ends_the_older_one() -> None:
    exchange, _, session, _ = made()
    older = asyncio.create_task(exchange.wait(session, 50))
    await asyncio.sleep(0)
    newer = asyncio.create_task(exchange.wait(session, 50))
    await asyncio.sleep(0)
    assert await older is False
    assert exchange.waiting == 1
    exchange.wake("ep_1")
    assert await newer is True
    assert exchange.waiting == 0


async def test_the_end_of_the_server_ends_every_poll() -> None:
    exchange, _, session, _ = made()
    poll = asyncio.create_task(exchange.wait(session, 50))
    await asyncio.sleep(0)
    exchange.end_all()
    assert await poll is False


async def test_rollouts_are_read_again_before_anybody_is_woken() -> None:
    """Else a reply composed from the older ones would be kept."""
    exchange, source, session, _ = made()
    await exchange.reply(session, CHECK_IN)
    bus = MemoryBus()

    async def refresh(_: str) -> None:
        source.candidates = (CANDIDATE,)

    listening = asyncio.create_task(listen_for_wakes(bus, exchange, refresh))
    poll = asyncio.create_task(exchange.wait(session, 50))
    await asyncio.sleep(0)
    await bus.publish("rollout:te_1", "ro_1")
    assert await poll is True
    assert (await exchange.reply(session, CHECK_IN)).reply.candidates == (CANDIDATE,)
    poll = asyncio.create_task(exchange.wait(session, 50))
    await asyncio.sleep(0)
    await bus.close()  # subscribers are told that they missed something
    assert await poll is True
    listening.cancel()


@given(st.integers(0, 2**50), st.integers(0, 2**50), st.booleans(), st.integers(0, 9))
def test_the_time_is_not_part_of_the_etag_and_everything_else_is(a: int, b: int, resync: bool, scan: int) -> None:
    one = CheckInReply(a, Settings(), resync=resync, scan=scan)
    assert etag_of(one) == etag_of(replace(one, server_ms=b))
    assert etag_of(one) != etag_of(replace(one, resync=not resync))
    assert etag_of(one) != etag_of(replace(one, candidates=(CANDIDATE,)))


async def test_an_agent_that_keeps_to_no_windows_is_told_to_assess_and_is_restarted_by_nobody() -> None:
    source, clock = Source(settings=Settings(Mode.PATCH, windows=("sat 00:00/sun 24:00",))), ManualClock()
    session = Session(EndpointIdentity("te_1", "ep_1", b"k" * 32), CounterState(), Held())
    order = SignedOrder("{}", "00")

    class Restarts:
        async def restart_for(self, identity: EndpointIdentity, check_in: CheckIn) -> SignedOrder | None:
            return order

    async def granted(identity: EndpointIdentity) -> SignedOrder:
        return order

    exchange = Exchange(clock, source.effective, source, restarts=Restarts(), grants=granted)
    older = (await exchange.reply(session, CHECK_IN)).reply
    assert (older.settings.mode, older.restart, older.granted) == (Mode.ASSESS, None, None)
    clock.advance(RECOMPOSE_S + 1)
    newer = (await exchange.reply(session, replace(CHECK_IN, local=LocalLimits()))).reply
    assert (newer.settings, newer.restart, newer.granted) == (source.settings, order, order)
    source.settings = Settings(Mode.PATCH)
    clock.advance(RECOMPOSE_S + 1)
    assert (await exchange.reply(session, CHECK_IN)).reply.settings.mode is Mode.PATCH
