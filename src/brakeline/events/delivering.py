"""Numbers what is in the outbox and in the audit log, and delivers it: a reconciler, in any number of processes.

Invariants: numbered once, in one transaction with leaving the outbox; a receiver's place moves on only after it has
answered, so what a crash cuts off is delivered again, under the same id; of several processes one delivers to a
receiver at a time (a lease that ends by itself); a receiver that is away holds up nobody but itself; what is given up
is a dead letter. Without the database nothing is delivered and nothing is lost.
"""

from __future__ import annotations

import asyncio
import functools
import json
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from brakeline.core.clock import Clock
from brakeline.core.errors import Fault, Unavailable
from brakeline.events import decide, formats, store
from brakeline.events.decide import Network
from brakeline.events.model import DeadLetter, Event, Sink
from brakeline.platform import sending
from brakeline.platform.database import Database
from brakeline.platform.observe import logger
from brakeline.tenancy import audit
from brakeline.tenancy.audit import Entry

BATCH: Final = 500  # numbered in one transaction
BATCHES_MAX: Final = 20  # in one run: others have a turn too
TURN: Final = 50  # events to one receiver in one run
TURN_S: Final = 40.0  # a receiver that answers slowly has had its turn
LEASE_MS: Final = 60_000
AT_ONCE: Final = 8  # receivers of one organisation that are spoken to at the same time
AT_ONCE_ALL: Final = 64  # of all
WAIT_S: Final = 1.0  # a run waits so long for the turns that it began; slower ones go on beside the next
KEPT_MS: Final = 30 * 86_400_000
LOOK_MS: Final = 3_600_000  # how often what is too old is looked for
PROBLEM_CHARS_MAX: Final = 300


class Delivering:
    """See the module. `server_key`: what keys of webhooks are made from; `host`: who syslog messages are from."""

    def __init__(
        self, db: Database, clock: Clock, tenants: Callable[[], Awaitable[Sequence[str]]], server_key: bytes, host: str,
        networks: Sequence[Network] = (), trust: ssl.SSLContext | None = None, patience_s: float = sending.SEND_S,
    ) -> None:  # fmt: skip
        self._db, self._clock, self._tenants = db, clock, tenants
        self._server_key, self._host = server_key, host
        self._networks, self._trust, self._patience_s = tuple(networks), trust, patience_s
        self._at_once = asyncio.Semaphore(AT_ONCE_ALL)
        self._of_one = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(AT_ONCE))
        self._going: dict[str, asyncio.Task[int]] = {}  # by receiver
        self._forgot: dict[str, int] = {}

    async def reconcile(self) -> str:
        """For `platform.driver.Reconciler`. A receiver that takes its time has its turn beside the runs that follow."""
        tenants, numbered = await self._tenants(), 0
        for tenant_id in tenants:
            numbered += await self.number(tenant_id)
        begun = [turn for tenant_id in tenants for turn in await self._begin(tenant_id)]
        done = (await asyncio.wait(begun, timeout=WAIT_S))[0] if begun else set()
        for tenant_id in tenants:
            await self._forget(tenant_id)
        delivered = sum(turn.result() for turn in done)
        return f"{numbered} events numbered, {delivered} delivered, {len(self._going)} receivers take their time"

    async def close(self) -> None:
        """End what is being delivered; it is delivered again, under the same id."""
        going = tuple(self._going.values())
        for turn in going:
            turn.cancel()
        await asyncio.gather(*going, return_exceptions=True)

    # --- numbering ---------------------------------------------------------------------------------------------------

    async def number(self, tenant_id: str) -> int:
        """Bring outbox and audit log into the stream."""
        done = 0
        for _ in range(BATCHES_MAX):
            more = await self._batch(tenant_id)
            done += more
            if more < BATCH:
                break
        return done

    async def _batch(self, tenant_id: str) -> int:
        async with self._db.tenant(tenant_id) as conn:
            end, audited = await store.head(conn, tenant_id)
            entries = await audit.entries_after(conn, audited, BATCH)
            found = [_of_audit(entry) for entry in entries] + await store.take_out(conn, BATCH)
            if not found:
                return 0
            found.sort(key=lambda one: one[0])
            await store.append(conn, tenant_id, end, found, entries[-1].sequence if entries else audited)
        return len(found)

    # --- delivering --------------------------------------------------------------------------------------------------

    async def deliver(self, tenant_id: str) -> int:
        """Give every receiver of one organisation a turn, to its end."""
        return sum(await asyncio.gather(*await self._begin(tenant_id)))

    async def _begin(self, tenant_id: str) -> list[asyncio.Task[int]]:
        """A turn for each receiver that has something to get and is not having one."""
        async with self._db.tenant(tenant_id) as conn:
            (_, last), sinks = await store.ends(conn), await store.sinks(conn)
        begun = []
        for sink in sinks:
            if sink.delivered < last and sink.id not in self._going:
                turn = asyncio.create_task(self._turn(tenant_id, sink.id), name=f"events to {sink.id}")
                self._going[sink.id] = turn
                turn.add_done_callback(functools.partial(self._over, sink.id))
                begun.append(turn)
        return begun

    def _over(self, sink_id: str, turn: asyncio.Task[int]) -> None:
        self._going.pop(sink_id, None)
        if not turn.cancelled() and (wrong := turn.exception()) is not None:
            logger.error("events-turn-failed", sink=sink_id, reason=f"{type(wrong).__name__}: {wrong}")

    async def _turn(self, tenant_id: str, sink_id: str) -> int:
        async with self._of_one[tenant_id], self._at_once:
            now_ms = self._clock.now_ms()
            async with self._db.tenant(tenant_id) as conn:
                sink = await store.lease(conn, sink_id, now_ms, now_ms + LEASE_MS)
            if sink is None:
                return 0
            try:
                return await self._deliver(tenant_id, sink)
            except Fault as e:
                logger.warning("events-not-delivered", sink=sink_id, reason=str(e))
                return 0
            finally:
                async with self._db.tenant(tenant_id) as conn:
                    await store.release(conn, sink_id)

    async def _deliver(self, tenant_id: str, sink: Sink) -> int:
        sink, events = await self._due(tenant_id, sink)
        began_s, done = self._clock.monotonic_s(), 0
        for event in events:
            if self._clock.monotonic_s() - began_s > TURN_S:
                break
            if not decide.wants(sink.kinds, event.kind):
                await self._passed(tenant_id, sink, event, sent=False)
                continue
            try:
                await self.send(sink, event)
            except Unavailable as e:
                if not await self._failed(tenant_id, sink, event, e.detail[:PROBLEM_CHARS_MAX]):
                    break
            else:
                await self._passed(tenant_id, sink, event, sent=True)
                done += 1
            sink = replace(sink, tries=0)
        return done

    async def _due(self, tenant_id: str, sink: Sink) -> tuple[Sink, tuple[Event, ...]]:
        """What comes next for it; what is not kept any more becomes one dead letter, told as such."""
        async with self._db.tenant(tenant_id) as conn:
            first, last = await store.ends(conn)
            if sink.delivered < min(first - 1, last):
                gone = first - 1 - sink.delivered
                text = f"{gone} events from here on are older than {KEPT_MS // 86_400_000} days and are not kept"
                letter = DeadLetter(sink.id, sink.delivered + 1, self._clock.now_ms(), text, sink.tries)
                await store.bury(conn, tenant_id, letter)
                await store.taken(conn, sink.id, first - 1, self._clock.now_ms(), sent=False)
                sink = replace(sink, delivered=first - 1, tries=0)
            return sink, await store.events_after(conn, sink.delivered, TURN)

    async def _passed(self, tenant_id: str, sink: Sink, event: Event, *, sent: bool) -> None:
        async with self._db.tenant(tenant_id) as conn:
            await store.taken(conn, sink.id, event.sequence, self._clock.now_ms(), sent=sent)

    async def _failed(self, tenant_id: str, sink: Sink, event: Event, problem: str) -> bool:
        """Later, or never again; gives whether to go on with the next one."""
        now_ms, tries = self._clock.now_ms(), sink.tries + 1
        async with self._db.tenant(tenant_id) as conn:
            if not decide.gives_up(tries):
                wait_s = decide.delay_s(tries, sink.id)
                await store.failed(conn, sink.id, tries, problem, now_ms + round(wait_s * 1000))
                return False
            await store.bury(conn, tenant_id, DeadLetter(sink.id, event.sequence, now_ms, problem, tries))
            await store.taken(conn, sink.id, event.sequence, now_ms, sent=False)
        logger.error("event-given-up", sink=sink.id, event_id=event.id, tries=tries, reason=problem)
        return True

    async def send(self, sink: Sink, event: Event) -> None:
        """Once, now. Raises `Unavailable` unless it was taken."""
        scheme, host, port = decide.checked_address(sink.address)
        target = sending.Target(host, port, scheme in ("https", "syslog+tls"), self._patience_s)

        def allowed(address: str) -> str:
            return decide.refused(address, self._networks, plain=not target.tls)

        if not sink.is_webhook:
            await sending.write(target, formats.syslog(event, self._host), allowed, self._trust)
            return
        sent, key = formats.body(event), decide.key_of(self._server_key, sink.id, sink.generation)
        headers = formats.headers(event, sent, key, self._clock.now_ms())
        parts = urlsplit(sink.address)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        status = await sending.post(target, path, sent, headers, allowed, self._trust)
        if not 200 <= status < 300:
            moved = "; redirects are not followed" if 300 <= status < 400 else ""
            raise Unavailable(f"{host} answers {status}{moved}")

    async def _forget(self, tenant_id: str) -> None:
        now_ms = self._clock.now_ms()
        if now_ms - self._forgot.get(tenant_id, 0) >= LOOK_MS:
            async with self._db.tenant(tenant_id) as conn:
                await store.forget_before(conn, now_ms - KEPT_MS)
            self._forgot[tenant_id] = now_ms


def _of_audit(entry: Entry) -> tuple[int, str, str, str]:
    def loaded(text: str) -> Any:
        return json.loads(text) if text else None

    data = {
        "who": entry.actor_name, "actor": entry.actor_id, "actor_kind": entry.actor_kind,
        "before": loaded(entry.before), "after": loaded(entry.after), "audit_sequence": entry.sequence,
        "audit_hash": entry.hash.hex(),
    }  # fmt: skip
    return entry.at_ms, entry.action, entry.object_id, audit.canonical(data)
