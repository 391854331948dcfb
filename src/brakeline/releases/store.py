"""Rows of releases to model and back; nothing else. Installation-wide, so reached through SECURITY DEFINER functions.

Every function runs inside the caller's transaction, with or without a tenant.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from brakeline.core.errors import Conflict
from brakeline.platform.database import Connection
from brakeline.releases.model import Release

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(ms: int) -> datetime:
    """Unix milliseconds as a timestamptz, exactly."""
    return EPOCH + timedelta(milliseconds=ms)


def ms(moment: datetime | None) -> int:
    """A timestamptz as Unix milliseconds, exactly; 0 for none."""
    return 0 if moment is None else (moment - EPOCH) // timedelta(milliseconds=1)


async def releases(conn: Connection) -> tuple[Release, ...]:
    """All, newest first."""
    return tuple(map(_release, await conn.fetch("SELECT * FROM brakeline.releases()")))


async def add(conn: Connection, r: Release) -> None:
    """Raises `Conflict` when somebody else has published the same in this moment."""
    try:
        await conn.execute(
            "SELECT brakeline.release_add($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            r.release_id, r.product, r.version, r.sequence, r.platform, r.path, r.sha256, r.length,
            at(r.published_ms), r.published_by, r.notes,
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise Conflict(f"{r.product} {r.version} for {r.platform} was published just now by somebody else") from None


async def withdraw(conn: Connection, release_id: str, now_ms: int, reason: str) -> None:
    await conn.execute("SELECT brakeline.release_withdraw($1, $2, $3)", release_id, at(now_ms), reason)


async def recall(conn: Connection, release_id: str, now_ms: int, reason: str) -> None:
    await conn.execute("SELECT brakeline.release_recall($1, $2, $3)", release_id, at(now_ms), reason)


async def pardon(conn: Connection, release_id: str, version: int) -> None:
    await conn.execute("SELECT brakeline.release_pardon($1, $2)", release_id, version)


def _release(row: Any) -> Release:
    return Release(
        row["product"], row["version"], row["sequence"], row["platform"], row["path"], row["sha256"], row["length"],
        ms(row["published_at"]), row["published_by"], row["tenant_id"], row["notes"], ms(row["withdrawn_at"]),
        row["withdrawn_reason"], ms(row["recalled_at"]), row["recalled_reason"], ms(row["pardon_asked_at"]),
        row["pardon_asked_by"], tuple(row["pardon_line"]), row["pardoned_version"],
    )  # fmt: skip
