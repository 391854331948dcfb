"""Telling that something happened, inside the transaction that does it: both stand or fall together.

For every other slice. It takes no lock, so it may stand anywhere in a transaction; the event gets its number later
(`delivering`). What the audit log has is an event already: do not tell it twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from brakeline.platform.database import Connection

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


async def emit(conn: Connection, tenant_id: str, kind: str, subject: str, data: Mapping[str, Any], now_ms: int) -> None:
    """`kind` is noun, dot, verb ("finding.closed"); `data` is plain, small and without secrets."""
    await conn.execute(
        "INSERT INTO brakeline.event_outbox (tenant_id, at, kind, subject, data) VALUES ($1, $2, $3, $4, $5)",
        tenant_id, _EPOCH + timedelta(milliseconds=now_ms), kind, subject,
        json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False),
    )  # fmt: skip
