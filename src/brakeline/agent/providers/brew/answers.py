"""Pure: what brew prints as JSON (`outdated --json=v2`, `info --json=v2`) and what its errors mean.

A version of a formula is its stable version with its revision: `1.13.0_1`. What else an upgrade takes follows from the
dependencies that `info` names: of those what is outdated is upgraded, and what is missing installed, before it. All of
it is the word of the prefix's owner: what could be no name or version of Homebrew's is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from brakeline.agent.providers.model import Refused

FORMULA: Final = "brew"
CASK: Final = "brew-cask"
SAID_CHARS: Final = 200
PLAIN: Final = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.@+,:~ \-]{0,199}")  # a name or a version, as Homebrew has them
TAP: Final = re.compile(r"[0-9A-Za-z_.\-]{1,100}/[0-9A-Za-z_.\-]{1,100}")
CAUSES: Final = (
    ("locked", "Another brew is at work", ("has already locked", "Another active Homebrew", "already in progress")),
    ("network", "Homebrew's sources cannot be reached", (
        "Could not resolve host", "Failed to connect", "unable to access", "Connection refused", "curl: (6)",
        "curl: (7)", "curl: (28)", "Network is unreachable")),
    ("hash_mismatch", "What was sent does not fit its digest", ("SHA256 mismatch", "SHA-256 mismatch")),
    ("no_space", "The disk was full", ("No space left on device",)),
    ("refused", "It needs a password that nobody can type here", (
        "a terminal is required to read the password", "a password is required")),
    ("refused", "Homebrew does not run as root", ("Running Homebrew as root is extremely dangerous",)),
    ("refused", "Homebrew has disabled it", ("has been disabled",)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Waits:
    """One formula or cask that is older than what Homebrew has."""

    name: str
    label: str
    current: str
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What Homebrew says of one formula or cask. `needs`: names of formulae."""

    name: str
    label: str
    version: str
    needs: tuple[str, ...] = ()
    tap: str = ""


def outdated(text: str) -> tuple[Waits, ...] | None:
    """None = that is no answer, so nothing is known."""
    found = _object(text)
    if not isinstance(found.get("formulae"), list) or not isinstance(found.get("casks"), list):
        return None
    made = []
    for label, kind in ((FORMULA, "formulae"), (CASK, "casks")):
        for row in found[kind]:
            if not isinstance(row, dict):
                continue
            name = str(row.get("name", "")).rpartition("/")[2]  # of a tap of one's own: `user/tap/name`
            version = str(row.get("current_version", ""))
            if PLAIN.fullmatch(name) and PLAIN.fullmatch(version):
                made.append(Waits(name, label, version, row.get("pinned") is True))
    return tuple(made)


def info(text: str) -> dict[tuple[str, str], Known]:
    """By (label, name)."""
    found, made = _object(text), dict[tuple[str, str], Known]()
    for row in _rows(found, "formulae"):
        versions = row.get("versions")
        stable = str(versions.get("stable") or "") if isinstance(versions, dict) else ""
        revision = row.get("revision", 0)
        version = f"{stable}_{revision}" if revision and stable else stable
        needs = tuple(str(n).rpartition("/")[2] for n in row.get("dependencies") or ())
        made |= _known(str(row.get("name")), FORMULA, version, needs, row)
    for row in _rows(found, "casks"):
        depends = row.get("depends_on")
        formulae = depends.get("formula", ()) if isinstance(depends, dict) else ()
        needs = tuple(map(str, formulae))
        made |= _known(str(row.get("token")), CASK, str(row.get("version") or ""), needs, row)
    return made


def _known(
    name: str, label: str, version: str, needs: Iterable[str], row: Mapping[str, Any]
) -> dict[tuple[str, str], Known]:
    if not PLAIN.fullmatch(name) or (version and not PLAIN.fullmatch(version)):
        return {}
    tap = str(row.get("tap"))
    needs = tuple(filter(PLAIN.fullmatch, needs))
    return {(label, name): Known(name, label, version, needs, tap if TAP.fullmatch(tap) else "")}


def closure(
    wanted: Iterable[tuple[str, str]], known: Mapping[tuple[str, str], Known], installed: Mapping[tuple[str, str], str],
    waits: Mapping[tuple[str, str], str],
) -> dict[tuple[str, str], str] | str:  # fmt: skip
    """Everything that an upgrade of `wanted` takes, with the versions it comes to; a text = what is not known."""
    found, todo = dict[tuple[str, str], str](), list(wanted)
    while todo:
        key = todo.pop()
        if key in found:
            continue
        if key not in known:
            return key[1]
        version = waits.get(key, "") if key in installed else known[key].version
        if key not in installed and not version:
            return key[1]
        if version:
            found[key] = version
        elif key in installed:
            continue  # as new as it gets: nothing below it is touched
        todo += [(FORMULA, n) for n in known[key].needs]
    return found


def why(text: str) -> Refused:
    """The cause in brew's words."""
    lines = [line for line in text.splitlines() if line.startswith(("Error:", "fatal:", "curl:"))]
    said = f": {lines[0].partition(':')[2].strip()[:SAID_CHARS].rstrip('.')}" if lines else ""
    for code, sentence, marks in CAUSES:
        if any(mark in text for mark in marks):
            return Refused(code, f"{sentence}{said}.")
    return Refused("brew_failed", f"brew failed{said}.")


def _object(text: str) -> dict[str, Any]:
    """The object in what brew printed, which may warn before it."""
    start = text.find("{")
    try:
        found, _ = json.JSONDecoder().raw_decode(text[start:]) if start >= 0 else ({}, 0)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _rows(found: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    rows = found.get(name, [])
    return [r for r in rows if isinstance(r, dict)] if isinstance(rows, list) else []
