"""Small conversions that every module of the store needs."""

from __future__ import annotations

from datetime import UTC, datetime

from brakeline.platform.database import Connection
from brakeline.protocol.codec import decode
from brakeline.protocol.messages import LauncherReport

__all__ = ["Connection", "millis", "said", "stamp"]


def stamp(ms: int) -> datetime:
    """Unix milliseconds as timestamptz."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def millis(at: datetime | None) -> int:
    """timestamptz as Unix milliseconds; 0 for NULL."""
    return 0 if at is None else round(at.timestamp() * 1000)


def said(text: str | None) -> LauncherReport | None:
    """What a launcher said; None where none runs the agent."""
    return decode(LauncherReport, text.encode()) if text else None
