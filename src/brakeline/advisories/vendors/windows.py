"""Which of Microsoft's names mean one Windows: its own, as it was written over the years, and its parts'. Pure.

Microsoft names a product in slightly different words from month to month ("for 64-based Systems", two spaces before a
bracket, "installation" with a capital), the first Windows 10 and 11 without their version, and browsers that are a part
of Windows by themselves ("Internet Explorer 11 on Windows 10 Version 1703 for x64-based Systems"). Invariants: two
products never come to one name; what may be missing or of another version there (.NET Framework, Flash) is no part. Of
several versions of Internet Explorer for one Windows one is there: an older one is left out where an installed update
says which newer one it has become, and with a reason; where none says so, each counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

PART: Final = re.compile(
    r"(?:internet explorer (?P<explorer>9|10|11)|microsoft edge(?: \(edgehtml-based\))?) on (?P<product>.+)"
)
BRINGS: Final[Mapping[str, int]] = MappingProxyType({  # update -> the Internet Explorer that it brings
    "KB982861": 9, "KB2718695": 10, "KB2841134": 11, "KB4492872": 11,
})  # fmt: skip
SYSTEM: Final = re.compile(r"windows (?:[78]|10|11|server|vista|rt)\b")
SPACES: Final = re.compile(r"\s+")
WITHOUT_X: Final = re.compile(r"\bfor 64-based\b")
FIRST: Final = re.compile(r"\bwindows (?:10(?= version 1507\b)|11(?= version 21h2\b)) version [0-9a-z]{4}\b")


def folded(name: str) -> str:
    """A product's name in one spelling."""
    plain = SPACES.sub(" ", name.casefold()).strip()
    return FIRST.sub(lambda found: found[0][:10], WITHOUT_X.sub("for x64-based", plain))


def system_of(name: str) -> str:
    """The Windows that a product's name is of, or is a part of, in one spelling; "" = it is of another product."""
    one = folded(name)
    part = PART.fullmatch(one)
    system = part["product"] if part else one
    return system if SYSTEM.match(system) else ""


class Names(NamedTuple):
    """`left_out`: those of a part that is not there any more, each with the reason."""

    judged: list[str]
    left_out: list[str]


def names_of(product: str, names: Iterable[str], installed: Iterable[str] = ()) -> Names:
    """Those of `names` that speak of `product` or of a part of it, in their order. `installed`: its updates."""
    wanted = folded(product)
    brought, by = max(((BRINGS[kb], kb) for kb in installed if kb in BRINGS), default=(0, ""))
    found = Names([], [])
    for name in names:
        part = PART.fullmatch(folded(name))
        if (part["product"] if part else folded(name)) != wanted:
            continue
        if part and part["explorer"] and int(part["explorer"]) < brought:
            found.left_out.append(f"{name}: {by} has put Internet Explorer {brought} in its place")
        else:
            found.judged.append(name)
    return found
