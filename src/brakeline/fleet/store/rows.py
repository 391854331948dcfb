"""Small conversions that every module of the store needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from brakeline.platform.database import Connection
from brakeline.protocol.codec import decode, encode
from brakeline.protocol.messages import LauncherReport, LocalLimits

__all__ = ["Connection", "limits_said", "limits_text", "millis", "said", "stamp"]
LIMITS_CHARS_MAX: Final = 4096
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND: Final = timedelta(milliseconds=1)


def stamp(ms: int) -> datetime:
    """Unix milliseconds as timestamptz."""
    return EPOCH + timedelta(milliseconds=ms)


def millis(at: datetime | None) -> int:
    """timestamptz as Unix milliseconds, those that are over; 0 for NULL."""
    return 0 if at is None else (at - EPOCH) // MILLISECOND


def limits_said(text: str | None) -> LocalLimits | None:
    """What an endpoint said of limits of its own; None where its agent knows none."""
    return decode(LocalLimits, text.encode()) if text else None


def limits_text(local: LocalLimits | None) -> str:
    """For storage. Few are distinct. More than an honest agent can say is not kept."""
    return _limits_text(local) if local is not None else ""


@lru_cache(maxsize=4096)
def _limits_text(local: LocalLimits) -> str:
    text = encode(local).decode()
    return text if len(text) <= LIMITS_CHARS_MAX else encode(LocalLimits(problem="it says too much")).decode()


def said(text: str | None) -> LauncherReport | None:
    """What a launcher said; None where none runs the agent."""
    return decode(LauncherReport, text.encode()) if text else None
