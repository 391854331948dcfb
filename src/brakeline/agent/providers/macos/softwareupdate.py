"""The lists of `softwareupdate --list`, in the form of 10.14 and in the one since 10.15, and of `pkgutil`. Pure.

An answer without any update says so in words of the system's language; what tells it from trouble is that it has no
label and the program has said nothing of an error. So a list counts as one only with labels, or with the heading alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

HEADING: Final = "Software Update Tool"  # not translated
_NEW: Final = re.compile(r"^\s*(?P<mark>[*\-]) Label: (?P<label>.*\S)\s*$")
_OLD: Final = re.compile(r"^\s*(?P<mark>[*\-]) (?P<label>\S.*?)\s*$")
_OLD_LINE: Final = re.compile(r"^\s+(?P<title>.*?),? ?\((?P<version>[^()]*)\), (?P<size>\d+)K\b(?P<rest>.*)$")
_FIELD: Final = re.compile(r"(?:^|, )(Title|Version|Size|Recommended|Action|Deferred): ")
TROUBLE: Final = (
    "Can't connect",
    "Can’t connect",
    "couldn’t be completed",
    "could not be completed",
    "NSURLErrorDomain",
)


@dataclass(frozen=True, slots=True)
class Update:
    """One update; `label` is what `softwareupdate --install` takes, kept to the letter."""

    label: str
    title: str
    version: str
    size_kib: int = 0
    recommended: bool = False
    action: str = ""  # restart, shut down, or "" = nothing
    deferred: bool = False  # by the organisation's device management

    @property
    def restarts(self) -> bool:
        return self.action in ("restart", "shut down")


def updates(text: str) -> tuple[Update, ...] | None:
    """What waits; () = nothing does; None = that is no answer, so nothing is known."""
    if HEADING not in text or any(mark in text for mark in TROUBLE):
        return None
    lines = text.splitlines()
    new = any(_NEW.match(line) for line in lines)
    found = []
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        match = (_NEW if new else _OLD).match(line)
        if match is not None:
            made = _fields(match["label"], after) if new else _old(match["label"], after)
            if made is not None:
                found.append(made)
    return tuple(found)


def _fields(label: str, line: str) -> Update | None:
    """`Title: …, Version: …, Size: …K, Recommended: YES, Action: restart,`: a title may have commas in it."""
    parts = _FIELD.split(line.strip().rstrip(","))
    values = dict(zip(parts[1::2], parts[2::2], strict=True))
    if "Title" not in values:
        return None
    size = re.match(r"(\d+)K", values.get("Size", ""))
    return Update(label, values["Title"], values.get("Version", ""), int(size[1]) if size else 0,
                  values.get("Recommended", "") == "YES", values.get("Action", "").lower(),
                  values.get("Deferred", "") == "YES")  # fmt: skip


def _old(label: str, line: str) -> Update | None:
    match = _OLD_LINE.match(line)
    if match is None:
        return None
    rest = match["rest"]
    action = next((a for a in ("restart", "shut down") if f"[{a}]" in rest), "")
    size = int(match["size"])
    return Update(label, match["title"].strip(), match["version"].strip(), size, "[recommended]" in rest, action)


def history(text: str) -> tuple[tuple[str, str], ...]:
    """Name and version of what `softwareupdate --history` has, the last installed last; a name may have spaces in it.

    The line of dashes says where the columns begin, whatever language their headings are in.
    """
    lines = text.splitlines()
    rule = next((i for i, line in enumerate(lines) if re.fullmatch(r"-+ +-+ +-+\s*", line)), len(lines))
    if rule == len(lines):
        return ()
    starts = [m.start() for m in re.finditer(r"-+", lines[rule])]
    found = ((line[: starts[1]].strip(), line[starts[1] : starts[2]].strip()) for line in lines[rule + 1 :])
    return tuple((name, version) for name, version in found if name and version)


def receipts(text: str) -> dict[str, str]:
    """Version by package, of `pkgutil --pkg-info` of several packages one after another."""
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        key, _, value = line.partition(": ")
        if key == "package-id":
            name = value.strip()
        elif key == "version" and name:
            found[name] = value.strip()
    return found
