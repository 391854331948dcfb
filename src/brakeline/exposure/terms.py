"""The words and `key:value` terms of a filter, told apart; an error says what was probably meant. Pure.

What keys mean stands with each list: `listing` (vulnerabilities), `updates_listing` (updates).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from typing import Final

from brakeline.core.errors import Invalid

QUERY_CHARS_MAX: Final = 500


def split(
    query: str, keys: Collection[str], values: Mapping[str, tuple[str, ...]],
    is_name: Callable[[str], bool] = lambda _: False,
) -> tuple[tuple[str, ...], dict[str, str]]:  # fmt: skip
    """(words in lower case, values by key). `is_name`: of a word whose key is none, whether it is a name all the same.
    Raises `Invalid`."""
    if len(query) > QUERY_CHARS_MAX:
        raise Invalid(f"a query has at most {QUERY_CHARS_MAX} characters")
    words, terms = [], {}
    for word in query.split():
        key, colon, value = word.partition(":")
        if not colon or (key not in keys and is_name(word)):
            words.append(word.lower())
        elif key not in keys:
            raise Invalid(f"unknown key {key!r}{_meant(key, keys)}")
        elif key in values and value not in values[key]:
            raise Invalid(f"{key}: cannot be {value!r}{_meant(value, values[key])}")
        else:
            terms[key] = value
    return tuple(words), terms


def _meant(word: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"
