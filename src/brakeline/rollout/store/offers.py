"""Offers as they left, and results as they came, as rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from brakeline.platform.database import Connection
from brakeline.protocol.codec import decode, encode
from brakeline.protocol.messages import Offer, SignedOrder, TransactionResult
from brakeline.rollout.store.rollouts import at, ms
from brakeline.rollout.told import Told


@dataclass(frozen=True, slots=True)
class OfferRow:
    """An offer that left."""

    offer_id: str
    rollout_id: str
    endpoint_id: str
    attempt: int
    order: SignedOrder
    expires_ms: int
    closed_ms: int
    outcome: str


def _offer(r: Any) -> OfferRow:
    order = SignedOrder(r["payload"], r["signature"])
    return OfferRow(r["offer_id"], r["rollout_id"], r["endpoint_id"], r["attempt"], order, ms(r["expires_at"]),
                    ms(r["closed_at"]), r["outcome"])  # fmt: skip


async def insert(conn: Connection, tenant_id: str, offer: Offer, order: SignedOrder, attempt: int) -> bool:
    """Commit before the order leaves. False when the endpoint has an open offer already."""
    status: str = await conn.execute(
        """INSERT INTO brakeline.rollout_offer (tenant_id, offer_id, rollout_id, endpoint_id, attempt, payload,
             signature, issued_at, expires_at) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9) ON CONFLICT DO NOTHING""",
        tenant_id, offer.offer_id, offer.rollout_id, offer.endpoint_id, attempt, order.payload, order.signature,
        at(offer.issued_ms), at(offer.expires_ms),
    )  # fmt: skip
    return status.endswith(" 1")


async def open_for(conn: Connection, endpoint_id: str) -> OfferRow | None:
    """The open offer of an endpoint, over all rollouts."""
    row = await conn.fetchrow(
        "SELECT * FROM brakeline.rollout_offer WHERE endpoint_id = $1 AND closed_at IS NULL", endpoint_id
    )
    return _offer(row) if row else None


async def of_rollout(conn: Connection, rollout_id: str, *, open_only: bool = False) -> list[OfferRow]:
    """Offers of a rollout in the order in which they left."""
    rows = await conn.fetch(
        """SELECT * FROM brakeline.rollout_offer WHERE rollout_id = $1 AND (NOT $2 OR closed_at IS NULL)
           ORDER BY issued_at, offer_id""",
        rollout_id, open_only,
    )  # fmt: skip
    return [_offer(r) for r in rows]


async def overdue(conn: Connection, rollout_id: str, before_ms: int) -> list[OfferRow]:
    """Open offers that were over before this moment and whose endpoint does not say that it runs them."""
    rows = await conn.fetch(
        """SELECT o.* FROM brakeline.rollout_offer o
           WHERE o.rollout_id = $1 AND o.closed_at IS NULL AND o.expires_at < $2 AND NOT EXISTS (
             SELECT FROM brakeline.rollout_subject s
             WHERE s.rollout_id = o.rollout_id AND s.endpoint_id = o.endpoint_id AND s.progress = 'started')
           ORDER BY o.issued_at, o.offer_id""",
        rollout_id, at(before_ms),
    )  # fmt: skip
    return [_offer(r) for r in rows]


async def attempts(conn: Connection, rollout_id: str, endpoint_id: str) -> tuple[int, int]:
    """How many offers of this rollout the endpoint got, and how many of them count: what a stop cancelled before it was
    started (a freeze, a halt that was resumed) does not."""
    row = await conn.fetchrow(
        """SELECT count(*) AS made, count(*) FILTER (WHERE NOT EXISTS (
             SELECT FROM brakeline.rollout_result r WHERE r.offer_id = o.offer_id AND r.endpoint_id = o.endpoint_id
               AND r.outcome = 'refused' AND r.code = 'halted')) AS counted
           FROM brakeline.rollout_offer o WHERE o.rollout_id = $1 AND o.endpoint_id = $2""",
        rollout_id, endpoint_id,
    )  # fmt: skip
    assert row is not None
    return row["made"], row["counted"]


async def close(conn: Connection, offer_ids: Sequence[str], outcome: str, now_ms: int) -> None:
    """An offer is over; what it came to first stays, but a true result replaces a mere expiry."""
    await conn.execute(
        """UPDATE brakeline.rollout_offer SET closed_at = coalesce(closed_at, $3), outcome = $2
           WHERE offer_id = ANY($1) AND (closed_at IS NULL OR outcome = 'expired')""",
        list(offer_ids), outcome, at(now_ms),
    )  # fmt: skip


async def by_id(conn: Connection, offer_id: str, endpoint_id: str) -> OfferRow | None:
    """An offer of this very endpoint."""
    row = await conn.fetchrow(
        "SELECT * FROM brakeline.rollout_offer WHERE offer_id = $1 AND endpoint_id = $2", offer_id, endpoint_id
    )
    return _offer(row) if row else None


async def add_result(conn: Connection, tenant_id: str, endpoint_id: str, r: TransactionResult, now_ms: int) -> bool:
    """Store a result once; False when it was here before."""
    status: str = await conn.execute(
        """INSERT INTO brakeline.rollout_result (tenant_id, transaction_id, offer_id, rollout_id, endpoint_id, outcome,
             code, received_at, body) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9) ON CONFLICT DO NOTHING""",
        tenant_id, r.transaction_id, r.offer_id, r.rollout_id, endpoint_id, r.outcome.value, r.code, at(now_ms),
        encode(r).decode().replace("\\u0000", ""),
    )  # fmt: skip
    return status.endswith(" 1")


async def results(conn: Connection, rollout_id: str, endpoint_id: str | None = None) -> list[TransactionResult]:
    """Results of a rollout, oldest first."""
    rows = await conn.fetch(
        """SELECT body FROM brakeline.rollout_result WHERE rollout_id = $1 AND ($2::text IS NULL OR endpoint_id = $2)
           ORDER BY received_at, transaction_id""",
        rollout_id, endpoint_id,
    )  # fmt: skip
    return [decode(TransactionResult, r["body"].encode()) for r in rows]


async def told_of(conn: Connection, endpoint_id: str, limit: int) -> tuple[Told, ...]:
    """The newest results of an endpoint, newest first."""
    rows = await conn.fetch(
        """SELECT r.rollout_id, coalesce(o.title, '') AS title, r.received_at, r.body FROM brakeline.rollout_result r
           LEFT JOIN brakeline.rollout o ON o.tenant_id = r.tenant_id AND o.rollout_id = r.rollout_id
           WHERE r.endpoint_id = $1 ORDER BY r.received_at DESC, r.transaction_id LIMIT $2""",
        endpoint_id, limit,
    )  # fmt: skip
    return tuple(
        Told(r["rollout_id"], r["title"], ms(r["received_at"]), decode(TransactionResult, r["body"].encode()))
        for r in rows
    )
