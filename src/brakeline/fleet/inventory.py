"""Use case: take an inventory, full or as a delta, and acknowledge it after commit.

One transaction locks the endpoint, compares sequences, writes the difference and proves the digest; what does not
fit is answered with `resync`, never guessed. `on_inventory` listeners run after the commit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import asyncpg

from brakeline.core.limits import PACKAGES_PER_INVENTORY_MAX
from brakeline.fleet.decide import COUNTER_MAX, AlreadyHeld, Held, Resync, fits, merge
from brakeline.fleet.faults import TooManyPackages
from brakeline.fleet.histories import note
from brakeline.fleet.history import step
from brakeline.fleet.parts import FleetParts
from brakeline.fleet.sessions import Session
from brakeline.fleet.store import identities, inventories
from brakeline.fleet.store.rows import Connection
from brakeline.protocol.codec import Malformed
from brakeline.protocol.digests import inventory_digest, package_key
from brakeline.protocol.messages import KEPT_FIELDS, Inventory, InventoryAck

OnInventory = Callable[[str, str], Awaitable[None]]  # tenant id, endpoint id


def _checked(sent: Inventory) -> Inventory:
    """Refuse what cannot be an inventory before the database sees it."""
    if len(sent.changed) > PACKAGES_PER_INVENTORY_MAX or len(sent.removed) > PACKAGES_PER_INVENTORY_MAX:
        raise TooManyPackages(f"at most {PACKAGES_PER_INVENTORY_MAX}", got=len(sent.changed))
    if not 0 <= sent.base_sequence < sent.sequence <= COUNTER_MAX:
        raise Malformed("sequence must be above base_sequence", base=sent.base_sequence, sequence=sent.sequence)
    if len(sent.digest) != 64:
        raise Malformed("digest is 64 hex digits")
    if sent.base_sequence == 0 and sent.removed:
        raise Malformed("a full inventory removes nothing")
    keys = {package_key(p.name, p.architecture) for p in sent.changed}
    if len(keys) != len(sent.changed):
        raise Malformed("a package is listed twice")
    if sent.status and len({(u.name, u.architecture) for u in sent.status.pending}) != len(sent.status.pending):
        raise Malformed("a pending update is listed twice")
    return sent


class InventoryUse(FleetParts):
    """See the module."""

    on_inventory: OnInventory | None = None  # set by server.wiring: exposure wants to know

    async def apply_inventory(self, session: Session, sent: Inventory) -> InventoryAck:
        """Write `sent` and acknowledge, or ask for all of it. Raises Malformed, TooManyPackages, Unavailable."""
        sent = _checked(sent)
        identity = session.identity
        try:
            async with self.db.tenant(identity.tenant_id) as conn:
                await identities.save_counter(conn, identity.endpoint_id, session.counter)
                held = await self._apply(conn, session, sent)
        except (asyncpg.DataError, asyncpg.ProgramLimitExceededError) as e:
            raise Malformed("the database cannot hold a value of this inventory", reason=str(e)[:120]) from e
        if isinstance(held, Resync):
            session.resync = True
            return InventoryAck(session.held.sequence, session.held.digest, resync=True)
        session.held, session.resync = held, False
        await self.announce(identity.tenant_id, identity.endpoint_id)
        if self.on_inventory is not None:
            await self.on_inventory(identity.tenant_id, identity.endpoint_id)
        return InventoryAck(held.sequence, held.digest, keeps=KEPT_FIELDS)

    async def _apply(self, conn: Connection, session: Session, sent: Inventory) -> Held | Resync:
        tenant_id, endpoint_id = session.identity.tenant_id, session.identity.endpoint_id
        held = await inventories.lock_held(conn, endpoint_id)
        verdict = fits(held, sent)
        if isinstance(verdict, Resync):
            return verdict
        before = await inventories.packages(conn, endpoint_id)
        if isinstance(verdict, AlreadyHeld):
            total = len(before)
        else:
            change = merge(before, sent)
            if isinstance(change, Resync):
                return change
            after = before | {package_key(p.name, p.architecture): p for p in change.upserts}
            for key in change.removals:
                del after[key]
            if inventory_digest(after.values()) != sent.digest:
                return Resync("the digest does not match")
            await inventories.write_packages(conn, tenant_id, endpoint_id, change)
            await note(
                conn, tenant_id, endpoint_id, step(held, before, change, sent.sequence, self.clock.now_ms())
            )  # fmt: skip
            total = change.total
        now = Held(sent.sequence, sent.digest)
        await inventories.write_status(conn, tenant_id, endpoint_id, now, total, sent.status, self.clock.now_ms())
        return now
