"""Days as text (`2026-11-20`) and as numbers since 1970, for ages and terms. Pure; UTC, the Gregorian calendar."""

from __future__ import annotations

from typing import Final

DAY_MS: Final = 86_400_000
_ERA: Final = 146_097  # days in 400 years
_BEFORE_1970: Final = 719_468  # days from 0000-03-01, where this count begins, because a leap day then ends a year


def number(day: str) -> int:
    """Days since 1970-01-01 of a text that begins with a day. Raises `ValueError` for any other."""
    year, month, date = int(day[:4]), int(day[5:7]), int(day[8:10])
    if not 1 <= month <= 12 or day[4:5] != "-" or day[7:8] != "-":
        raise ValueError(f"no day: {day[:20]}")
    year -= month <= 2
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + date - 1
    in_era = year % 400
    return year // 400 * _ERA + in_era * 365 + in_era // 4 - in_era // 100 + of_year - _BEFORE_1970


def day_of(ms: int) -> str:
    """The day of a Unix time in milliseconds."""
    days = ms // DAY_MS + _BEFORE_1970
    era, of_era = divmod(days, _ERA)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * of_year + 2) // 153
    date, month = of_year - (153 * shifted + 2) // 5 + 1, shifted + (3 if shifted < 10 else -9)
    return f"{year + era * 400 + (month <= 2):04}-{month:02}-{date:02}"


def days_since(day: str, now_ms: int) -> int:
    """Whole days from the beginning of `day` until now."""
    return now_ms // DAY_MS - number(day)
