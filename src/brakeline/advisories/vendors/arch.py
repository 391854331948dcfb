"""Arch Linux's security tracker (its JSON: groups of packages with one flaw or several) -> rows of arch; pure.

Invariants: `affected` is the version in which the flaw was seen, not the first that has it, so nothing begins there;
what is only in testing is told as fixed there, and its version is the one to wait for; an unknown status counts as
open; where a version with the fix is told, it closes the row, whatever the status is (nobody looked, or no repository
has it yet).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from brakeline.advisories.ecosystems import key_of
from brakeline.advisories.osv.model import Span
from brakeline.advisories.vendors.csaf import INVESTIGATED
from brakeline.advisories.vendors.parts import listed, mapped, text

ID: Final = re.compile(r"AVG-[0-9]{1,6}")
ALIAS: Final = re.compile(r"(CVE-[0-9]{4}-[0-9]{1,19}|ASA-[0-9]{6}-[0-9]{1,4})")
NAME: Final = re.compile(r"[A-Za-z0-9@._+][A-Za-z0-9@._+-]{0,200}")
STATES: Final[Mapping[str, str]] = MappingProxyType({
    "Fixed": "fixed", "Testing": "fixed", "Vulnerable": "open", "Unknown": "open", "Not affected": "not_affected",
})  # fmt: skip
GROUP_MAX: Final = 2_000


def group(document: Any, at: str) -> Iterator[Span]:
    """The rows of one group; `at` is the time of the file. Raises `ValueError`."""
    said = mapped(document, "a group")
    id_, status = text(said.get("name"), "name"), text(said.get("status"), "status")
    if not ID.fullmatch(id_) or status not in STATES:
        raise ValueError(f"no group or no status: {id_[:40]!r}, {status[:40]!r}")
    state, fixed = STATES[status], said.get("fixed")
    names = [*listed(said.get("issues"), "issues", GROUP_MAX), *listed(said.get("advisories"), "asa", GROUP_MAX)]
    aliases = tuple(sorted({name for name in names if ALIAS.fullmatch(text(name, "an alias"))}))
    head = Span("arch", "", id_, aliases=aliases, state=state, modified=at,
                summary=text(said.get("type"), "type"), reason=INVESTIGATED if status == "Unknown" else "")  # fmt: skip
    if state == "fixed" or (state == "open" and fixed is not None):
        head = head._replace(state="fixed", fixed=text(fixed, f"the version with the fix of {id_}"))
        (key_of("arch") or str)(head.fixed)
    packages = listed(said.get("packages"), "packages", GROUP_MAX)
    if not packages:
        raise ValueError(f"{id_} is of no package")
    for name in dict.fromkeys(text(package, "a package") for package in packages):
        if not NAME.fullmatch(name):
            raise ValueError(f"no package: {name[:60]!r}")
        yield head._replace(name=name)
