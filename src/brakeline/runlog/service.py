"""Use cases of the run log: take what an endpoint sends, show a run while it goes on, tell what changed, forget.

Invariants: `take` commits before it answers, and answers the same however often it is asked; what cannot be kept is
said in the answer, so that no endpoint sends it for ever; reading needs the right to read rollouts, since a log says
what a deployment did.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from brakeline.core.clock import Clock
from brakeline.core.errors import Invalid, NotFound
from brakeline.fleet.history import Changed
from brakeline.fleet.model import EndpointIdentity
from brakeline.fleet.service import FleetService
from brakeline.platform.database import Connection, Database
from brakeline.protocol.codec import Malformed
from brakeline.protocol.messages import RunAck, RunPart
from brakeline.rollout.service import RolloutService
from brakeline.rollout.told import Told
from brakeline.runlog import decide, store
from brakeline.runlog.model import Done, Outcome, Run, RunView, Story
from brakeline.tenancy.model import Principal

NUMBER_MAX: Final = 1 << 30
DAY_MS: Final = 86_400_000
STEPS_MAX: Final = 1000
ROUNDS_MAX: Final = 50
RUNS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Kept:
    """For how long and how much, by organisation."""

    run_days: int
    run_mib: int
    history_days: int


class RunLog:
    """See the module."""

    def __init__(self, db: Database, clock: Clock, fleet: FleetService, rollout: RolloutService, kept: Kept) -> None:
        self._db, self._clock, self._fleet, self._rollout, self._kept = db, clock, fleet, rollout, kept

    # --- from endpoints ----------------------------------------------------------------------------------------------

    async def take(self, identity: EndpointIdentity, part: RunPart) -> RunAck:
        """Keep what is new of a run and say which entry is next. `Malformed`, `Unavailable`."""
        _checked(part)
        async with self._db.tenant(identity.tenant_id) as conn:
            rollout_id = await self._rollout.offered_in(conn, part.offer_id, identity.endpoint_id)
            if not rollout_id:  # nothing of ours: there is nothing to show it with
                return RunAck(1, closed=True)
            return await self._take(conn, identity, part, rollout_id)

    async def _take(self, conn: Connection, identity: EndpointIdentity, part: RunPart, rollout_id: str) -> RunAck:
        now_ms = self._clock.now_ms()
        new = Run(part.transaction_id, identity.endpoint_id, part.offer_id, rollout_id, now_ms, now_ms)
        run = await store.lock(conn, identity.tenant_id, new)
        taken = decide.take(run, part, now_ms)
        body = store.body(taken.entries)
        size = run.bytes + len(body.encode())
        if run.refused or (taken.entries and size > decide.SIZE_MAX):
            await store.save(conn, replace(run, heard_ms=now_ms, refused=True, ended_ms=now_ms if part.ended else 0))
            return RunAck(run.next, closed=True)
        if taken.entries:
            await store.add_part(conn, identity.tenant_id, run, body, taken.entries[0].n, taken.next)
        ended_ms = run.ended_ms or (now_ms if part.ended else 0)
        await store.save(conn, replace(
            run, heard_ms=now_ms, next=taken.next, bytes=size if taken.entries else run.bytes,
            missing=run.missing + taken.missing, ended_ms=ended_ms,
        ))  # fmt: skip
        return RunAck(taken.next)

    # --- for people --------------------------------------------------------------------------------------------------

    async def runs(
        self, principal: Principal, endpoint_id: str, rollout_id: str = "", limit: int = 50
    ) -> tuple[RunView, ...]:
        """Transactions of an endpoint, newest first, without their entries."""
        principal.require("rollout.read")
        if not 1 <= limit <= RUNS_MAX:
            raise Invalid(f"limit is 1 to {RUNS_MAX}", got=limit)
        await self._fleet.require_endpoint(principal, endpoint_id)
        async with self._db.tenant(principal.tenant_id) as conn:
            found = await store.runs(conn, endpoint_id, rollout_id, limit)
            results = await self._rollout.told_of(conn, endpoint_id)
        now_ms = self._clock.now_ms()
        return tuple(_view(run, _outcome(run.transaction_id, results), now_ms) for run in found)

    async def run(self, principal: Principal, endpoint_id: str, transaction_id: str = "", begin: int = 1) -> RunView:
        """One run with its entries from number `begin` on; "" = the newest of the endpoint."""
        principal.require("rollout.read")
        await self._fleet.require_endpoint(principal, endpoint_id)
        async with self._db.tenant(principal.tenant_id) as conn:
            run = await self._find(conn, endpoint_id, transaction_id)
            entries = await store.entries(conn, run, 1)
            results = await self._rollout.told_of(conn, endpoint_id)
        seen = _view(run, _outcome(run.transaction_id, results), self._clock.now_ms(), decide.dropped(entries))
        wanted = tuple(e for e in entries if e.n >= begin)
        return replace(seen, commands=decide.commands(entries), entries=wanted, following=run.next)

    async def _find(self, conn: Connection, endpoint_id: str, transaction_id: str) -> Run:
        if transaction_id:
            run = await store.run(conn, endpoint_id, transaction_id)
        else:
            run = next(iter(await store.runs(conn, endpoint_id, "", 1)), None)
        if run is None:
            raise NotFound(
                "no log of such a run is kept: it has not begun, its agent sends none, or it was too long ago",
                endpoint=endpoint_id[:40], run=transaction_id[:40],
            )  # fmt: skip
        return run

    async def last_lines(self, principal: Principal, rollout_id: str, endpoint_ids: Sequence[str]) -> dict[str, str]:
        """Endpoint -> what its run in this rollout printed last."""
        principal.require("rollout.read")
        if not endpoint_ids:
            return {}
        async with self._db.tenant(principal.tenant_id) as conn:
            found = await store.newest_parts(conn, rollout_id, endpoint_ids)
        return {endpoint_id: decide.last_line(entries) for endpoint_id, entries in found.items()}

    async def story(
        self, principal: Principal, endpoint_id: str, since_ms: int = 0, until_ms: int = 0, *, net: bool = False
    ) -> Story:
        """What changed after `since_ms` until `until_ms` (0 = now), each change with its author; `net`: only how these
        two moments differ."""
        principal.require("rollout.read")
        until_ms = until_ms or self._clock.now_ms()
        found = await self._fleet.history(principal, endpoint_id, since_ms, until_ms, STEPS_MAX)
        async with self._db.tenant(principal.tenant_id) as conn:
            results = await self._rollout.told_of(conn, endpoint_id)
        changes = decide.attributed(found.steps[::-1], map(_done, results))
        told = decide.told(since_ms, found.begins_ms, found.steps, more=found.more)
        return Story(
            endpoint_id, since_ms, until_ms, decide.net(changes) if net else changes, told, found.begins_ms
        )  # fmt: skip

    # --- retention ---------------------------------------------------------------------------------------------------

    async def forget(self, tenant_ids: Iterable[str]) -> str:
        """What is older or larger than is kept. For a reconciler; a line for its report."""
        now_ms, runs, steps = self._clock.now_ms(), 0, 0
        for tenant_id in tenant_ids:
            for _ in range(ROUNDS_MAX):
                async with self._db.tenant(tenant_id) as conn:
                    before_ms, size = now_ms - self._kept.run_days * DAY_MS, self._kept.run_mib << 20
                    gone = await store.prune(conn, before_ms, size)
                runs += gone
                if not gone:
                    break
            steps += await self._fleet.forget_history(tenant_id, now_ms - self._kept.history_days * DAY_MS)
        return f"{runs} run logs and {steps} steps of installed software forgotten"


def forgetting(log: RunLog, tenants: Callable[[], Awaitable[Iterable[str]]]) -> Callable[[], Awaitable[str]]:
    """For `platform.driver.Reconciler`."""

    async def forget() -> str:
        return await log.forget(await tenants())

    return forget


def _checked(part: RunPart) -> None:
    numbers = [e.n for e in part.entries]
    if numbers != sorted(set(numbers)) or (numbers and not 0 < numbers[0] <= numbers[-1] < NUMBER_MAX):
        raise Malformed("entries have rising numbers from 1 on")
    if not part.transaction_id.startswith("tx_") or len(part.transaction_id) > 64 or len(part.offer_id) > 64:
        raise Malformed("a part names its transaction and offer")
    if any(abs(e.at_ms) > 1 << 53 or abs(part.sent_ms) > 1 << 53 for e in part.entries):
        raise Malformed("a time is in Unix milliseconds")


def _view(run: Run, outcome: Outcome, now_ms: int, dropped: int = 0) -> RunView:
    state = decide.state(run, bool(outcome.outcome), now_ms)
    return RunView(run, outcome, state, decide.note(run, state, now_ms, dropped), following=run.next)


def _outcome(transaction_id: str, results: Iterable[Told]) -> Outcome:
    for told in results:
        r = told.result
        if r.transaction_id == transaction_id:
            return Outcome(r.outcome.value, r.code, r.detail, told.at_ms, told.title, r.log_tail)
    return Outcome()


def _done(told: Told) -> Done:
    changes = tuple(Changed(c.name, c.architecture, c.before, c.after) for c in told.result.changes)
    return Done(told.rollout_id, told.title, told.at_ms, changes)
