"""The reply to a check-in: composed from settings and rollouts, cached with its ETag, long-polled.

A check-in that says nothing about a rollout, while nothing changed for it, is answered from memory. What can change
a reply arrives on the bus: `wake:<endpoint>` for one, `rollout:<tenant>` for all of a tenant; replies are composed
anew after RECOMPOSE_S in any case, so that a lost event heals. `server.wiring` says where the parts come from.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from brakeline.core.clock import Clock
from brakeline.fleet.model import EndpointIdentity
from brakeline.fleet.sessions import Session
from brakeline.protocol.codec import encode
from brakeline.protocol.messages import (
    Candidate,
    CheckIn,
    CheckInReply,
    ResultsAck,
    Settings,
    SignedOrder,
    TransactionResult,
)
from brakeline.protocol.settings import for_older, newer_words

RECOMPOSE_S: Final = 20.0  # a reply is looked at anew after this long: what no message told of arrives by then
RECOMPOSE_TRIES: Final = 3  # in one request; a tenant whose news never end must be answered some time
WAKE_CHUNK: Final = 100  # endpoints woken at once when a whole tenant is: the loop must stay free
WAKE_PAUSE_S: Final = 0.05

SettingsSource = Callable[[EndpointIdentity, str], Awaitable[Settings]]  # the second: digest of what it runs by
GrantSource = Callable[[EndpointIdentity], Awaitable[SignedOrder | None]]
FollowSource = Callable[[EndpointIdentity], Awaitable[str]]


class RecallSource(Protocol):
    """What `releases.service.ReleasesService` is to a check-in."""

    def recalled(self) -> frozenset[str]: ...


class RestartSource(Protocol):
    """What `rollout.restarting.Restarting` is to a check-in."""

    async def restart_for(self, identity: EndpointIdentity, check_in: CheckIn) -> SignedOrder | None: ...


class OrderSource(Protocol):
    """What `rollout.service.RolloutService` is to a check-in."""

    async def candidates_for(
        self, identity: EndpointIdentity, *, launched: bool, settled: bool, bounded: bool, drills: bool
    ) -> tuple[Candidate, ...]: ...
    async def on_check_in(
        self, identity: EndpointIdentity, check_in: CheckIn, boot_id: str = ""
    ) -> tuple[tuple[SignedOrder, ...], tuple[str, ...]]: ...


@dataclass(slots=True, eq=False)
class Composed:
    """A reply with its ETag, and what it was made from. `server_ms` is filled in when it is sent."""

    reply: CheckInReply
    etag: bytes
    epoch: int
    made_s: float
    running: str  # release_id that the launcher reported; "" = no launcher
    settings: str  # digest of what the agent said it runs by
    stale: bool = False


class Exchange:
    """Replies of all endpoints, and the long-polls that wait for news."""

    def __init__(self, clock: Clock, settings: SettingsSource, orders: OrderSource,
                 recalls: RecallSource | None = None, follow: FollowSource | None = None,
                 restarts: RestartSource | None = None, grants: GrantSource | None = None) -> None:  # fmt: skip
        """Without `recalls` and `follow` (a cell without releases) replies say nothing about releases; without
        `restarts` nobody is restarted.
        """
        self._restarts, self._grants = restarts, grants
        self._clock, self._settings, self._orders = clock, settings, orders
        self._recalls, self._follow = recalls, follow
        self._replies: dict[str, Composed] = {}
        self._epochs: dict[str, int] = {}
        self._waiters: dict[str, asyncio.Future[None]] = {}
        self._tenants: dict[str, str] = {}  # endpoint id of each waiter -> tenant
        self._waking: set[asyncio.Task[None]] = set()
        self._ended = False

    @property
    def waiting(self) -> int:
        """Long-polls held now."""
        return len(self._waiters)

    @property
    def ended(self) -> bool:
        """The server stops."""
        return self._ended

    async def reply(self, session: Session, check_in: CheckIn) -> Composed:
        """The present reply. Only composed anew if something may have changed it."""
        identity = session.identity
        known = self._replies.get(identity.endpoint_id)
        if (
            known is not None
            and not known.stale
            and known.epoch == self._epochs.get(identity.tenant_id, 0)
            and known.reply.resync is session.resync
            and known.reply.scan == session.scan
            and known.running == running_of(check_in)
            and known.settings == check_in.settings
            and not (check_in.ready or check_in.not_ready or check_in.in_progress)
            and self._clock.monotonic_s() - known.made_s < RECOMPOSE_S
        ):
            return known
        made = await self._compose(session, check_in)
        for _ in range(RECOMPOSE_TRIES):
            if made.epoch == self._epochs.get(identity.tenant_id, 0):
                break
            made = await self._compose(session, check_in)  # stopped meanwhile: what it offered may not leave
        if known is not None and made.reply == known.reply:
            made.etag = known.etag
        else:
            made.etag = etag_of(made.reply)
        self._replies[identity.endpoint_id] = made
        return made

    async def _compose(self, session: Session, check_in: CheckIn) -> Composed:
        identity = session.identity
        epoch, made_s = self._epochs.get(identity.tenant_id, 0), self._clock.monotonic_s()
        offers, halted = await self._orders.on_check_in(identity, check_in, session.counter.boot_id)
        running = running_of(check_in)
        settled, bounded = bool(check_in.settings), check_in.local is not None
        candidates = await self._orders.candidates_for(
            identity, launched=bool(running), settled=settled, bounded=bounded, drills=check_in.drills
        )
        settings = await self._settings(identity, check_in.settings)
        granted = await self._grants(identity) if bounded and self._grants else None
        recalled = (running,) if running and self._recalls and running in self._recalls.recalled() else ()
        follow = await self._follow(identity) if running and self._follow else ""
        restart = await self._restarts.restart_for(identity, check_in) if self._restarts else None
        if not bounded:  # it would not keep to windows and limits, so it is told to change nothing at all
            restart = None if newer_words(settings) else restart
            settings = for_older(settings)
        reply = CheckInReply(
            0, settings, candidates, offers, halted, session.resync, session.scan, recalled, follow, restart, granted
        )  # fmt: skip
        return Composed(reply, b"", epoch, made_s, running, check_in.settings)

    def body(self, composed: Composed) -> bytes:
        """The bytes to send now."""
        return encode(dataclasses.replace(composed.reply, server_ms=self._clock.now_ms()))

    async def wait(self, session: Session, seconds: float) -> bool:
        """Wait until something may have changed for this endpoint; False when the time ran out or the server stops.

        One poll an endpoint: a newer one ends the older one, whose connection is probably dead.
        """
        if self._ended:
            return False
        endpoint_id = session.identity.endpoint_id
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        older = self._waiters.get(endpoint_id)
        if older is not None and not older.done():
            older.cancel()
        self._waiters[endpoint_id] = waiter
        self._tenants[endpoint_id] = session.identity.tenant_id
        timer = loop.call_later(seconds, waiter.cancel)
        try:
            await waiter
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise  # the server stops
            return False
        else:
            return not self._ended  # woken and then stopped: there is no time to compose anything
        finally:
            timer.cancel()
            if self._waiters.get(endpoint_id) is waiter:
                del self._waiters[endpoint_id], self._tenants[endpoint_id]

    def wake(self, endpoint_id: str) -> None:
        """Something changed for one endpoint."""
        known = self._replies.get(endpoint_id)
        if known is not None:
            known.stale = True
        waiter = self._waiters.get(endpoint_id)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def forget(self, endpoint_ids: Iterable[str]) -> None:
        """These endpoints are no more."""
        for endpoint_id in endpoint_ids:
            self._replies.pop(endpoint_id, None)

    async def wake_tenant(self, tenant_id: str) -> None:
        """Something changed for a whole tenant: every reply is composed anew, the waiting ones bit by bit."""
        self._epochs[tenant_id] = self._epochs.get(tenant_id, 0) + 1
        await self._wake_waiting(tenant_id, WAKE_PAUSE_S)

    def stop_tenant(self, tenant_id: str) -> None:
        """Something of a tenant was stopped: from now on no reply leaves that was composed before, and whoever waits is
        told as fast as this process can, without any bus."""
        self._epochs[tenant_id] = self._epochs.get(tenant_id, 0) + 1
        waking = asyncio.ensure_future(self._wake_waiting(tenant_id, 0))
        self._waking.add(waking)
        waking.add_done_callback(self._waking.discard)

    async def _wake_waiting(self, tenant_id: str, pause_s: float) -> None:
        waiting = [endpoint_id for endpoint_id, tenant in self._tenants.items() if tenant == tenant_id]
        for start in range(0, len(waiting), WAKE_CHUNK):
            for endpoint_id in waiting[start : start + WAKE_CHUNK]:
                waiter = self._waiters.get(endpoint_id)
                if waiter is not None and not waiter.done():
                    waiter.set_result(None)
            if start + WAKE_CHUNK < len(waiting):
                await asyncio.sleep(pause_s)

    async def wake_all(self) -> None:
        """Messages were lost: whatever is cached may be out of date."""
        for tenant_id in {*self._epochs, *self._tenants.values()}:
            await self.wake_tenant(tenant_id)
        for known in self._replies.values():
            known.stale = True

    def end_all(self) -> None:
        """Answer every long-poll now and hold none from now on: the server stops."""
        self._ended = True
        for waiter in self._waiters.values():
            if not waiter.done():
                waiter.cancel()


def running_of(check_in: CheckIn) -> str:
    """The release that a launcher runs at the other end; "" = no launcher, or none of its releases runs."""
    report = check_in.launcher
    return (report.running or report.confirmed) if report is not None else ""


def etag_of(reply: CheckInReply) -> bytes:
    """Strong ETag of a reply, whatever the time in it."""
    return b'"' + hashlib.sha256(encode(dataclasses.replace(reply, server_ms=0))).hexdigest()[:24].encode() + b'"'


class NoOrders:
    """A cell without rollouts: nothing to offer, and no offer can have a result. For measurements of the plane."""

    async def candidates_for(
        self,
        identity: EndpointIdentity,  # noqa: ARG002
        *,
        launched: bool,  # noqa: ARG002
        settled: bool,  # noqa: ARG002
        bounded: bool,  # noqa: ARG002
        drills: bool,  # noqa: ARG002
    ) -> tuple[Candidate, ...]:
        return ()

    async def on_check_in(
        self,
        identity: EndpointIdentity,  # noqa: ARG002
        check_in: CheckIn,  # noqa: ARG002
        boot_id: str = "",  # noqa: ARG002
    ) -> tuple[tuple[SignedOrder, ...], tuple[str, ...]]:
        return (), ()

    async def record_results(
        self,
        identity: EndpointIdentity,  # noqa: ARG002
        results: tuple[TransactionResult, ...],  # noqa: ARG002
    ) -> ResultsAck:
        return ResultsAck(())
