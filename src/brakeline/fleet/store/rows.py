"""Small conversions that every module of the store needs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeAlias

import asyncpg

Connection: TypeAlias = "asyncpg.Connection[Any] | asyncpg.pool.PoolConnectionProxy[Any]"


def stamp(ms: int) -> datetime:
    """Unix milliseconds as timestamptz."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def millis(at: datetime | None) -> int:
    """timestamptz as Unix milliseconds; 0 for NULL."""
    return 0 if at is None else round(at.timestamp() * 1000)
