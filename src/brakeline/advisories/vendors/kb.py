"""Which CVEs stand open for a Windows of a build, with these KBs installed; pure.

Invariants: a row is closed by its build, by its KB, or by an installed KB that takes the place of it, through however
many others: updates of Windows are cumulative, and who installed the newest never installs the one of an old CVE. A
circle of KBs that replace each other ends where it began. What is not known to be closed is open. The chain is as long
as the months that are loaded. A build of another line (of a browser's update, "1.001") is not compared with a Windows'.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from brakeline.advisories.osv.model import Span
from brakeline.advisories.versions.winget import winget_key

LINES: Final = (["6", "0"], ["6", "1"], ["6", "2"], ["6", "3"], ["10", "0"])  # of every Windows since Vista


@dataclass(frozen=True, slots=True)
class Verdict:
    """One CVE. `because` says in words what closes it, or what would."""

    cve: str
    open: bool
    because: str
    fixed: str  # build from which on it is closed; "" = none is known
    kbs: tuple[str, ...]


def judge(rows: Sequence[Span], build: str, installed: Iterable[str]) -> list[Verdict]:
    """A verdict on each CVE of one product, by its name; `build` "" = not known. Raises `BadVersion`."""
    there = frozenset(kb.upper() for kb in installed)
    replaced = _replaced(rows, there)
    key = winget_key(build) if build else None
    found: dict[str, Verdict] = {}
    for row in rows:
        if row.state in ("not_affected", "withdrawn"):
            continue
        verdict = _verdict(row, key, build, there, replaced)
        known = found.get(row.id)
        if known is None or (verdict.open and not known.open):  # a CVE of two months is closed when both are
            found[row.id] = verdict
    return [found[cve] for cve in sorted(found)]


def _verdict(row: Span, key: bytes | None, build: str, there: frozenset[str], replaced: dict[str, str]) -> Verdict:
    def said(because: str, *, is_open: bool = False) -> Verdict:
        return Verdict(row.id, is_open, because, row.fixed, row.aliases)

    if key is not None and row.fixed and _one_line(row.fixed, build) and winget_key(row.fixed) <= key:
        return said(f"the build {build} has it")
    for kb in row.aliases:
        if kb in there:
            return said(f"{kb} is installed")
    for kb in row.aliases:
        if kb in replaced:
            return said(f"{replaced[kb]} is installed, which takes the place of {kb}")
    needed = f"needs {' or '.join(row.aliases)}" if row.aliases else "no update closes it"
    return said(f"{needed} (build {row.fixed})" if row.fixed else needed, is_open=True)


def _one_line(fixed: str, build: str) -> bool:
    """Whether two builds may be compared: that of a Windows only with another of its major and minor version."""
    line = build.split(".")[:2]
    return line not in LINES or fixed.split(".")[:2] == line


def _replaced(rows: Iterable[Span], there: frozenset[str]) -> dict[str, str]:
    """KB -> the installed one that takes its place, directly or through others."""
    older: dict[str, set[str]] = {}
    for row in rows:
        for kb in row.aliases:
            older.setdefault(kb, set()).update(row.related)
    found: dict[str, str] = {}
    for first in sorted(there):
        left = sorted(older.get(first, ()))
        while left:
            kb = left.pop()
            if kb not in found and kb != first:
                found[kb] = first
                left += sorted(older.get(kb, ()))
    return found
