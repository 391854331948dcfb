"""What endpoints told of their transactions, for whoever shows them: results with their rollout's title."""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.protocol.messages import TransactionResult


@dataclass(frozen=True, slots=True)
class Told:
    """One result, and when it arrived."""

    rollout_id: str
    title: str
    at_ms: int
    result: TransactionResult
