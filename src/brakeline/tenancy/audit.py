"""The audit log: who did what to which object, in a chain of hashes per tenant that only grows.

`append` runs inside the caller's tenant transaction, so an act and its entry stand or fall together. Call it last:
it holds the tenant's end of the chain until the commit, and so orders concurrent acts. The database refuses UPDATE,
DELETE and TRUNCATE even to the tables' owner; whoever gets around that (a superuser with the files) breaks the
chain, and `verify` says where. What it cannot show: that a whole chain was replaced with the end; keep the hash of
the end (`brakeline audit verify` prints it) somewhere else from time to time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from brakeline.core.clock import Clock
from brakeline.platform.database import Connection
from brakeline.tenancy.model import Principal

PAGE_MAX: Final = 200  # entries shown at once


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log. `before` and `after` are canonical JSON texts; "" = nothing."""

    sequence: int
    at_ms: int
    actor_kind: str
    actor_id: str
    actor_name: str
    action: str  # "rollout.brake", "token.create": noun, dot, verb
    object_id: str
    before: str
    after: str
    previous_hash: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Verified:
    """What checking a chain found. `problem` is "" when every entry is as it was written."""

    entries: int
    end: str  # hex hash of the last good entry
    problem: str = ""

    @property
    def intact(self) -> bool:
        return not self.problem


def canonical(value: Mapping[str, Any] | None) -> str:
    """Canonical JSON of a state of an object; "" for None."""
    return "" if value is None else json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


async def append(
    conn: Connection,
    clock: Clock,
    principal: Principal,
    action: str,
    object_id: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> int:
    """Add one entry in the transaction of `conn`; its sequence number. Never put secrets into `before` or `after`."""
    sequence: int = await conn.fetchval(
        "SELECT brakeline.audit_append($1, $2, $3, $4, $5, $6, $7, $8)",
        clock.now_ms(), principal.kind, principal.id, principal.name, action, object_id,
        canonical(before), canonical(after),
    )  # fmt: skip
    return sequence


def entry_hash(tenant_id: str, entry: Entry) -> bytes:
    """The hash that `entry` must have: over the previous hash and every field as netstrings. Pure."""
    fields = (
        tenant_id, str(entry.sequence), str(entry.at_ms), entry.actor_kind, entry.actor_id, entry.actor_name,
        entry.action, entry.object_id, entry.before, entry.after,
    )  # fmt: skip
    text = "".join(f"{len(f.encode())}:{f}" for f in fields)
    return hashlib.sha256(entry.previous_hash + text.encode()).digest()


def check_chain(tenant_id: str, entries: Iterable[Entry], head: tuple[int, bytes]) -> Verified:
    """Whether `entries` (all, in order) form the chain that ends at `head` (sequence, hash). Pure."""
    sequence, end = 0, b""
    for entry in entries:
        if entry.sequence != sequence + 1:
            return Verified(sequence, end.hex(), f"entry {sequence + 1} is missing (next is {entry.sequence})")
        if entry.previous_hash != end:
            return Verified(sequence, end.hex(), f"entry {entry.sequence} does not follow from the one before it")
        if entry.hash != entry_hash(tenant_id, entry):
            return Verified(sequence, end.hex(), f"entry {entry.sequence} was changed after it was written")
        sequence, end = entry.sequence, entry.hash
    if (sequence, end) != head:
        return Verified(sequence, end.hex(), f"the chain ends at {sequence}, but {head[0]} entries were written")
    return Verified(sequence, end.hex())


async def verify(conn: Connection, tenant_id: str) -> Verified:
    """Check the whole chain of the transaction's tenant, a batch at a time."""
    row = await conn.fetchrow("SELECT sequence, hash FROM brakeline.audit_head")
    head = (row["sequence"], row["hash"]) if row else (0, b"")
    rows = [r async for r in conn.cursor("SELECT * FROM brakeline.audit_entry ORDER BY sequence", prefetch=1000)]
    return check_chain(tenant_id, map(_entry, rows), head)


async def entries_before(conn: Connection, sequence: int | None, limit: int) -> tuple[Entry, ...]:
    """Up to `limit` entries older than `sequence` (None = from the newest), newest first."""
    rows = await conn.fetch(
        "SELECT * FROM brakeline.audit_entry WHERE $1::bigint IS NULL OR sequence < $1 ORDER BY sequence DESC LIMIT $2",
        sequence, min(limit, PAGE_MAX),
    )  # fmt: skip
    return tuple(map(_entry, rows))


async def entries_after(conn: Connection, sequence: int, limit: int) -> tuple[Entry, ...]:
    """Up to `limit` entries newer than `sequence`, oldest first: for whoever follows the log."""
    rows = await conn.fetch(
        "SELECT * FROM brakeline.audit_entry WHERE sequence > $1 ORDER BY sequence LIMIT $2", sequence, limit
    )
    return tuple(map(_entry, rows))


def _entry(row: Any) -> Entry:
    since = row["at"] - datetime(1970, 1, 1, tzinfo=UTC)
    at_ms = (since.days * 86_400_000) + since.seconds * 1000 + since.microseconds // 1000
    return Entry(
        row["sequence"], at_ms, row["actor_kind"], row["actor_id"], row["actor_name"], row["action"],
        row["object_id"], row["before"], row["after"], row["previous_hash"], row["hash"],
    )  # fmt: skip
