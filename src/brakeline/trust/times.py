"""ISO 8601 instants of signed documents, and which time may be believed. Pure; no clock is read here.

A machine's clock may be years off. Believed is, in this order: the cell's signed answer to our nonce; else the wall
clock, never below the newest signed time ever seen (a clock set back cannot thaw an old document); a clock far ahead
of the last signed time is not believed, and then nothing new is installed. Recalls need no time at all.
"""

from __future__ import annotations

import re
from typing import Final

from brakeline.trust.errors import Distrust
from brakeline.trust.model import ClockReading, Floors

_INSTANT = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z")
AHEAD_MS_MAX: Final = 7 * 86_400_000  # a wall clock further ahead of signed time is a wrong clock
DAY_MS: Final = 86_400_000


def parse_ms(text: str) -> int:
    """Unix milliseconds of "2026-11-23T00:00:00Z". Raises `Distrust`."""
    match = _INSTANT.fullmatch(text)
    if not match:
        raise Distrust("malformed", f"{text[:30]!r} is not an instant like 2026-11-23T00:00:00Z")
    year, month, day, hour, minute, second = (int(part) for part in match.groups())
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61):
        raise Distrust("malformed", f"{text!r} is no date")
    ms = ((days_from_civil(year, month, day) * 24 + hour) * 60 + minute) * 60_000 + second * 1000
    if year < 1 or instant(ms) != text:  # the 31st of February, a 61st second, digits of other scripts
        raise Distrust("malformed", f"{text!r} is no date")
    return ms


def days_from_civil(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the Gregorian calendar (Howard Hinnant, "chrono-compatible date algorithms")."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def instant(ms: int) -> str:
    """The reverse of `parse_ms`, whole seconds."""
    days, rest = divmod(ms // 1000, 86_400)
    days += 719_468
    era, of_era = divmod(days, 146_097)
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * of_year + 2) // 153
    day = of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    year = year_of_era + era * 400 + (month <= 2)
    return f"{year:04}-{month:02}-{day:02}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}Z"


def believable_ms(clock: ClockReading, floors: Floors, signed_ms: int) -> int:
    """The time to judge expiry by; 0 = unknown. `signed_ms`: the cell's answer to our nonce, 0 = none."""
    if signed_ms:  # wins over the floor too, or one lie of a stolen key would outlive the key
        return signed_ms
    if floors.time_ms and clock.wall_ms > floors.time_ms + AHEAD_MS_MAX:
        return 0
    return max(clock.wall_ms, floors.time_ms)
