"""Which of Microsoft's names mean one Windows: its own, as it was written over the years, and its parts'. Pure.

Microsoft names a product in slightly different words from month to month ("for 64-based Systems", two spaces before a
bracket, "installation" with a capital), the first Windows 10 without its version, and browsers that are a part of
Windows by themselves ("Internet Explorer 11 on Windows 10 Version 1703 for x64-based Systems"). Invariants: two
products never come to one name; what may be missing or of another version there (.NET Framework, Flash) is no part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

PART: Final = re.compile(r"(?:internet explorer (?:9|10|11)|microsoft edge(?: \(edgehtml-based\))?) on (?P<product>.+)")
SPACES: Final = re.compile(r"\s+")
WITHOUT_X: Final = re.compile(r"\bfor 64-based\b")
FIRST: Final = re.compile(r"\bwindows 10 version 1507\b")


def folded(name: str) -> str:
    """A product's name in one spelling."""
    plain = SPACES.sub(" ", name.casefold()).strip()
    return FIRST.sub("windows 10", WITHOUT_X.sub("for x64-based", plain))


def names_of(product: str, names: Iterable[str]) -> list[str]:
    """Those of `names` that speak of `product` or of a part of it, in their order."""
    wanted = folded(product)
    return [name for name in names if _means(folded(name)) == wanted]


def _means(name: str) -> str:
    part = PART.fullmatch(name)
    return part["product"] if part else name
