"""Versions of Maven (Java) compared as Maven 3.8 does it: `compare(a, b)` is below, at or above 0.

A version is a list of numbers and words; a hyphen, and each change between digits and letters, opens a list within.
Words with a meaning have their order (alpha, beta, milestone, rc, snapshot, release, sp), others come after them by the
alphabet. Zeros and words for "release" at the end of a list do not count. Maven's own order is not transitive for every
three odd versions ("a" before "-a0" before "0" before "a"), so there can be no key for it, and sorting by
it is not unambiguous. For versions as people write them it is; what the vectors say, it does.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, TypeAlias

from brakeline.advisories.versions.parts import bounded

Item: TypeAlias = "int | str | list[Item]"
_ORDER: Final = ("alpha", "beta", "milestone", "rc", "snapshot", "", "sp")
_SAME: Final = {"ga": "", "final": "", "release": "", "cr": "rc"}
_SHORT: Final = {"a": "alpha", "b": "beta", "m": "milestone"}  # with a number behind it
_RELEASE: Final = str(_ORDER.index(""))


def compare(a: str, b: str) -> int:
    """Below 0 where `a` is older. Raises `BadVersion` for what is empty or too long."""
    return _compare(parse(a), parse(b))


@lru_cache(maxsize=65536)
def parse(version: str) -> Item:
    """The list of a version, normalised; remembered, and never changed afterwards."""
    out: list[Item] = []
    lists, here, start, digits = [out], out, 0, False
    text = bounded(version).lower()

    def opened() -> list[Item]:
        made: list[Item] = []
        here.append(made)
        lists.append(made)
        return made

    for i, char in enumerate(text):
        if char in ".-":
            here.append(0 if i == start else _item(text[start:i], digits))
            start = i + 1
            if char == "-":
                here = opened()
        elif char.isascii() and char.isdigit():
            if not digits and i > start:
                here.append(_word(text[start:i], number_follows=True))
                start, here = i, opened()
            digits = True
        else:
            if digits and i > start:
                here.append(int(text[start:i]))
                start, here = i, opened()
            digits = False
    if len(text) > start:
        here.append(_item(text[start:], digits))
    for each in reversed(lists):
        _normalise(each)
    return out


def _item(text: str, digits: bool) -> Item:
    return int(text) if digits else _word(text, number_follows=False)


def _word(text: str, *, number_follows: bool) -> str:
    word = _SHORT.get(text, text) if number_follows else text
    return _SAME.get(word, word)


def _normalise(items: list[Item]) -> None:
    """Take away what says nothing at the end, and zeros that a word follows: 2.0.a is 2.a."""
    for i in range(len(items) - 1, -1, -1):
        if items[i] in (0, "", []) and (i == len(items) - 1 or _begins_with_a_word(items[i + 1])):
            del items[i]


def _begins_with_a_word(item: Item) -> bool:
    return isinstance(item, str) or (isinstance(item, list) and bool(item) and isinstance(item[0], str))


def _compare(a: Item | None, b: Item | None) -> int:
    if a is None:
        return 0 if b is None else -_compare(b, None)
    if isinstance(a, int):
        return _number(a, b)
    return _text(a, b) if isinstance(a, str) else _list(a, b)


def _number(a: int, b: Item | None) -> int:
    if b is None:
        return min(a, 1)
    return (a > b) - (a < b) if isinstance(b, int) else 1  # 1.1 is after 1-sp and after 1-1


def _text(a: str, b: Item | None) -> int:
    if b is None or isinstance(b, str):
        left, right = _rank(a), _RELEASE if b is None else _rank(b)
        return (left > right) - (left < right)
    return -1


def _rank(word: str) -> str:
    return str(_ORDER.index(word)) if word in _ORDER else f"{len(_ORDER)}-{word}"


def _list(a: list[Item], b: Item | None) -> int:
    if isinstance(b, int):
        return -1
    if isinstance(b, str):
        return 1
    other = b or []
    for i in range(max(len(a), len(other))):
        found = _compare(a[i] if i < len(a) else None, other[i] if i < len(other) else None)
        if found:
            return found
    return 0
