"""Small conversions that every module of the store needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from brakeline.platform.database import Connection
from brakeline.protocol.codec import decode
from brakeline.protocol.messages import LauncherReport

__all__ = ["Connection", "millis", "said", "stamp"]
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND: Final = timedelta(milliseconds=1)


def stamp(ms: int) -> datetime:
    """Unix milliseconds as timestamptz."""
    return EPOCH + timedelta(milliseconds=ms)


def millis(at: datetime | None) -> int:
    """timestamptz as Unix milliseconds, those that are over; 0 for NULL."""
    return 0 if at is None else (at - EPOCH) // MILLISECOND


def said(text: str | None) -> LauncherReport | None:
    """What a launcher said; None where none runs the agent."""
    return decode(LauncherReport, text.encode()) if text else None
