"""Evidence of several organisations together, carried: consent, what is told, what is heard, what it comes to.

Invariants: without consent nothing leaves an organisation and nothing reaches it; six numbers a signal, ring and class
cross, no endpoint, name or rollout; a pool can stop and never opens anything; a halt that comes of it says so, and is
taken back like any other: two people resume, and from then on the rollout neither hears nor tells. To consent takes two
people, because what was told stays told; to withdraw takes one. The sums themselves: `pooling`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from brakeline import __version__
from brakeline.cells.model import Signed
from brakeline.core.errors import Conflict, Invalid, NotFound
from brakeline.platform.database import Connection
from brakeline.protocol.codec import encode
from brakeline.rollout import pooling
from brakeline.rollout.lanes import REHEARSAL_MAX
from brakeline.rollout.model import Phase
from brakeline.rollout.pool_sheet import AGE_MAX_MS, CONTEXT, Read, Sheet, read, told_to, version_of
from brakeline.rollout.pooled import Pooled
from brakeline.rollout.pooling import Told
from brakeline.rollout.service import RolloutService
from brakeline.rollout.situation import Situation
from brakeline.rollout.store import pools as store
from brakeline.rollout.store import rollouts
from brakeline.rollout.store.pools import Partner
from brakeline.rollout.store.rollouts import RolloutRow
from brakeline.rollout.summary import Summary
from brakeline.tenancy import audit
from brakeline.tenancy.approvals import Agreed, Approvals
from brakeline.tenancy.model import Principal
from brakeline.tenancy.two_people import Act, Request

OBJECT: Final = "pool"
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
KEY: Final = re.compile(r"[0-9a-f]{64}")
SAYS: Final = (
    "Share the evidence of this organisation's rollouts with the other organisations of this installation that consent "
    "too: six sums for each signal, ring and class of machines, and nothing of any endpoint. What was told stays told.",
    "Let their evidence halt this organisation's rollouts of the same change. It can only stop them.",
)
ENDED: Final = (Phase.DRAFT, Phase.WITHDRAWN)


@dataclass(frozen=True, slots=True)
class PooledRollout:
    """One live rollout, and with how many other organisations it is compared together."""

    id: str
    title: str
    state: str
    others: int
    alone: str


@dataclass(frozen=True, slots=True)
class PoolView:
    """What people see of it. `given_ms` 0 = no consent; `key`: what partners in other installations pin."""

    given_ms: int
    given_by: str
    rollouts: tuple[PooledRollout, ...]
    partners: tuple[Partner, ...]
    key: str


class Pools:
    """See the module. Puts itself into the executor."""

    def __init__(self, rollouts: RolloutService, approvals: Approvals) -> None:
        self._rollouts, self._approvals = rollouts, approvals
        self._told: dict[str, object] = {}  # by rollout: what was told last, so that only news is written
        rollouts.executor.pools = self
        approvals.register(Act.POOL, self)

    # --- people -------------------------------------------------------------------------------------------------------

    async def view(self, principal: Principal) -> PoolView:
        """Whether this organisation shares, and what it hears."""
        principal.require("rollout.read")
        async with self._rollouts.db.tenant(principal.tenant_id) as conn:
            given = await store.consent(conn)
            rows = await rollouts.live(conn, self._rollouts.clock.now_ms()) if given else []
            found = [await self._of(conn, row) for row in rows]
            partners = await store.partners(conn)
        return PoolView(
            given.given_ms if given else 0, given.given_by if given else "", tuple(found), partners,
            self._rollouts.cell.public_hex,
        )  # fmt: skip

    async def _of(self, conn: Connection, row: RolloutRow) -> PooledRollout:
        subject = pooling.subject_of(row.change, row.policy)
        alone, others = _alone(row, subject), 0
        if not alone:
            others = (await self._heard(conn, subject, self._rollouts.clock.now_ms()))[1]
        return PooledRollout(row.rollout_id, row.title, row.blueprint.phase.value, others, alone)

    async def consent(self, principal: Principal) -> Request | None:
        """Share and listen; the request that a second person agrees to first."""
        principal.require("limits.write")
        if await self._few(principal) and await self._approvals.in_first_week(principal.tenant_id):
            await self._give(principal, principal.name, 1)
            return None
        situation = await self._situation(principal.tenant_id)
        return await self._approvals.ask(principal, Act.POOL, OBJECT, {}, SAYS, situation)

    # --- other installations ------------------------------------------------------------------------------------------

    async def add_partner(self, principal: Principal, name: str, key: str) -> Request | None:
        """Believe the sheets of an organisation elsewhere; the request that a second person agrees to first."""
        principal.require("limits.write")
        if not NAME.fullmatch(name) or not KEY.fullmatch(key):
            raise Invalid("a partner has a name of small letters, digits and -, and a key of 64 hex digits; "
                          "`brakeline pool show` prints the key there", got=name[:60])  # fmt: skip
        if key == self._rollouts.cell.public_hex:
            raise Invalid("that is this installation's own key: its organisations pool by consent alone")
        if await self._few(principal) and await self._approvals.in_first_week(principal.tenant_id):
            await self._add_partner(principal, name, key, principal.name, 1)
            return None
        says = (f"Let the evidence of {name} (key {key[:16]}…) halt this organisation's rollouts of the same change. "
                "It can only stop them.",)  # fmt: skip
        situation = await self._situation(principal.tenant_id)
        parameters = {"name": name, "key": key}
        return await self._approvals.ask(principal, Act.POOL, f"{OBJECT}:{name}", parameters, says, situation)

    async def _add_partner(self, principal: Principal, name: str, key: str, names: str, persons: int) -> None:
        async with self._rollouts.db.tenant(principal.tenant_id) as conn:
            if not await store.add_partner(conn, principal.tenant_id, name, key, names, self._rollouts.clock.now_ms()):
                raise Conflict("there is a partner of that name; remove it first", name=name)
            facts = {"key": key[:16], "by": names, "persons": persons}
            await audit.append(conn, self._rollouts.clock, principal, "pool.partner", name, None, facts)

    async def remove_partner(self, principal: Principal, name: str) -> None:
        """Believe it no more; what it told counts no more either."""
        principal.require("limits.write")
        async with self._rollouts.db.tenant(principal.tenant_id) as conn:
            if not await store.remove_partner(conn, name):
                raise NotFound("no such partner; `brakeline pool show` has them", name=name[:60])
            await audit.append(conn, self._rollouts.clock, principal, "pool.part", name, None, {})

    async def sheet(self, principal: Principal, partner: str = "") -> tuple[Signed, tuple[str, ...]]:
        """What this organisation tells, signed, for partners to take in: in words that `partner` knows, or, where it
        is for nobody by name, that every version knows; and the signals that are left out for that."""
        principal.require("rollout.read")
        async with self._rollouts.db.tenant(principal.tenant_id) as conn:
            if await store.consent(conn) is None:
                raise Conflict("this organisation shares nothing; `brakeline pool join` first")
            known = await _known(conn, partner) if partner else None
            rows, left_out = told_to(known.knows if known is not None else 1, await store.mine(conn))
        payload = encode(Sheet(self._rollouts.clock.now_ms(), version_of(__version__), rows))
        return Signed(payload.decode(), self._rollouts.cell.sign(CONTEXT + payload).hex()), left_out

    async def take_in(self, principal: Principal, name: str, signed: Signed) -> Read:
        """A partner's newest sheet, instead of the one before. `Doubt` for what is not believed."""
        principal.require("limits.write")
        now_ms = self._rollouts.clock.now_ms()
        async with self._rollouts.db.tenant(principal.tenant_id) as conn:
            known = await _known(conn, name)
            found = read(signed, known.public_key, known.made_ms, now_ms)
            await store.take_in(conn, principal.tenant_id, name, found, now_ms)
            facts = {"rows": len(found.sheet.rows), "made_ms": found.sheet.made_ms, "left_out": dict(found.left_out)}
            await audit.append(conn, self._rollouts.clock, principal, "pool.take-in", name, None, facts)
        return found

    async def _few(self, principal: Principal) -> bool:
        return await self._rollouts.fleet.count_matching(principal, "state:active") <= REHEARSAL_MAX

    async def withdraw(self, principal: Principal) -> None:
        """Neither share nor listen any more. A rollout that is halted stays so."""
        principal.require("limits.write")
        async with self._rollouts.db.tenant(principal.tenant_id) as conn:
            if await store.withdraw(conn):
                await audit.append(conn, self._rollouts.clock, principal, "pool.withdraw", OBJECT, None, {})
        self._told.clear()

    async def situation(self, tenant_id: str, request: Request) -> str:  # noqa: ARG002 - there is one object only
        """For `approvals.Performer`."""
        return await self._situation(tenant_id)

    async def _situation(self, tenant_id: str) -> str:
        async with self._rollouts.db.tenant(tenant_id) as conn:
            given = await store.consent(conn)
        return f"consents since {given.given_ms}" if given else "does not consent"

    async def perform(self, agreed: Agreed, request: Request) -> None:
        """For `approvals.Performer`."""
        if request.object_id == OBJECT:
            await self._give(agreed.principal, agreed.names, agreed.persons)
            return
        name, key = str(request.parameters["name"]), str(request.parameters["key"])
        await self._add_partner(agreed.principal, name, key, agreed.names, agreed.persons)

    async def _give(self, principal: Principal, names: str, persons: int) -> None:
        async with self._rollouts.db.tenant(principal.tenant_id) as conn:
            await store.give(conn, principal.tenant_id, names, self._rollouts.clock.now_ms())
            facts = {"by": names, "persons": persons}
            await audit.append(conn, self._rollouts.clock, principal, "pool.consent", OBJECT, None, facts)

    # --- each step of a rollout ---------------------------------------------------------------------------------------

    async def judged_by(self, conn: Connection, situation: Situation, now_ms: int) -> Pooled:
        """Tell what this rollout knows, hear what others do; what it is judged by now."""
        row, own = situation.row, situation.summary
        if row.blueprint.phase in ENDED or await store.consent(conn) is None:
            return Pooled(own, own)
        subject = pooling.subject_of(row.change, row.policy)
        if alone := _alone(row, subject):
            return Pooled(own, own, alone=alone)
        await self._tell(conn, subject, row.rollout_id, own, now_ms)
        fleets, others = await self._heard(conn, subject, now_ms)
        if not others:
            return Pooled(own, replace(own))
        table = pooling.heard(own.table, pooling.pooled(fleets), own.linked)
        return Pooled(own, replace(own, table=table, linked=frozenset()), others)

    async def _heard(self, conn: Connection, subject: str, now_ms: int) -> tuple[list[Told], int]:
        """What others say of one change, here and in other installations, and how many they are."""
        here, others = await store.hear(conn, subject)
        elsewhere = await store.hear_partners(conn, subject, now_ms - AGE_MAX_MS)
        fleets = [_table(here)]
        names = sorted({name for name, _ in elsewhere})
        fleets += [_table(x for name, x in elsewhere if name == wanted) for wanted in names]
        return fleets, others + len(names)

    async def _tell(self, conn: Connection, subject: str, rollout_id: str, own: Summary, now_ms: int) -> None:
        mine: Told = pooling.tellable(own.table)
        if self._told.get(rollout_id) == mine:
            return
        rows = [store.Told(row, ring, bets) for row, rings in mine.items() for ring, bets in rings.items()
                if pooling.sound(row, ring, bets)]  # fmt: skip
        if rows:
            await store.tell(conn, subject, rollout_id, rows, now_ms)
        self._told[rollout_id] = mine


def _table(said: Iterable[store.Told]) -> Told:
    table: dict[tuple[str, int, str], dict[int, tuple[float, ...]]] = {}
    for x in said:
        if pooling.sound(x.row, x.ring, x.bets):
            table.setdefault(x.row, {})[x.ring] = x.bets
    return table


def _alone(row: RolloutRow, subject: str) -> str:
    if not subject:
        return "nobody else rolls out the same (a way back, settings, or led over cells)"
    if row.resumed_ms:
        return "it was resumed after a halt"
    return ""


async def _known(conn: Connection, name: str) -> Partner:
    found = next((p for p in await store.partners(conn) if p.name == name), None)
    if found is None:
        raise NotFound("no such partner; `brakeline pool show` has them", name=name[:60])
    return found
