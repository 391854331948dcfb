"""Installed programs as the registry has them: both views and every user's, each program once. Pure.

An entry of `…\\CurrentVersion\\Uninstall` is a program if it has a name and is neither a part of Windows nor an update
of another entry. A 32-bit view shows some entries of the 64-bit one again. MSI packages are told by `WindowsInstaller`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

Values = Mapping[str, object]
GUID: Final = re.compile(r"\{[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}\}", re.IGNORECASE)
_ORDER: Final = (8, 7, 6, 5, 4, 3, 2, 1, 13, 12, 11, 10, 18, 17, 16, 15, 21, 20, 23, 22, 26, 25, 28, 27, 30, 29, 32, 31,
                 34, 33, 36, 35)  # fmt: skip
# Words of installers that ask nobody, by what made them; told by a mark in the command that takes the program away.
SILENT: Final = (
    ("inno", re.compile(r"\\unins\d{3}\.exe", re.IGNORECASE), "/VERYSILENT /SUPPRESSMSGBOXES /NORESTART /SP-"),
    ("nsis", re.compile(r"\\(uninst|uninstall)\.exe", re.IGNORECASE), "/S"),
    ("burn", re.compile(r"\\Package Cache\\\{[0-9a-f\-]{36}\}\\", re.IGNORECASE), "/quiet /norestart"),
    ("installshield", re.compile(r"InstallShield Installation Information", re.IGNORECASE), "/s"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One key below `Uninstall`. `view`: 64 or 32; `user`: a security identifier, "" = the machine's."""

    key: str
    values: Values
    view: int = 64
    user: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """One installed program. `product`: the product code of an MSI package, "" = it is none."""

    name: str
    version: str
    publisher: str
    key: str
    user: str = ""
    view: int = 64
    product: str = ""
    upgrade: str = ""  # its upgrade code: the same in all versions of a product
    made_by: str = ""  # msi, inno, nsis, burn, installshield or "" = not known
    silent: str = ""  # what makes its installer ask nobody; "" = not known, then it is never started


def programs(entries: Iterable[Entry], upgrades: Mapping[str, str] | None = None) -> tuple[Program, ...]:
    """Every program once. `upgrades`: upgrade code by product code."""
    found: dict[tuple[str, str, str, str], Program] = {}
    for e in sorted(entries, key=lambda e: (-e.view, e.user, e.key)):
        name, version = _text(e.values, "DisplayName"), _text(e.values, "DisplayVersion")
        if name and not e.values.get("SystemComponent") and not _text(e.values, "ParentKeyName"):
            found.setdefault((e.key.lower(), name, version, e.user), _program(e, name, version, upgrades or {}))
    return tuple(sorted(found.values(), key=lambda p: (p.name.lower(), p.version, p.user, p.view)))


def _program(e: Entry, name: str, version: str, upgrades: Mapping[str, str]) -> Program:
    product = e.key.upper() if GUID.fullmatch(e.key) and e.values.get("WindowsInstaller") == 1 else ""
    made_by, silent = ("msi", "/qn /norestart") if product else _installer(_text(e.values, "UninstallString"))
    publisher = _text(e.values, "Publisher")
    return Program(name, version, publisher, e.key, e.user, e.view, product, upgrades.get(product, ""), made_by, silent)


def _installer(command: str) -> tuple[str, str]:
    return next(((name, words) for name, mark, words in SILENT if mark.search(command)), ("", ""))


def _text(values: Values, name: str) -> str:
    """A value as text without what surrounds it; the registry lets programs write anything there."""
    found = values.get(name, "")
    return found.strip(" \0\t\r\n") if isinstance(found, str) else ""


def packed(guid: str) -> str:
    """A GUID as Windows Installer writes it in names of keys: each group backwards, the last two by pairs."""
    return "".join(guid[i] for i in _ORDER)


def unpacked(text: str) -> str:
    """The GUID of such a name; "" = it is none."""
    if not re.fullmatch(r"[0-9A-Fa-f]{32}", text):
        return ""
    letters = list("{00000000-0000-0000-0000-000000000000}")
    for place, letter in zip(_ORDER, text, strict=True):
        letters[place] = letter
    return "".join(letters).upper()


def upgrade_codes(keys: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Upgrade code by product code, of the names below `Installer\\UpgradeCodes` and the names of their values."""
    pairs = ((unpacked(product), unpacked(code)) for code, products in keys.items() for product in products)
    return {product: code for product, code in pairs if product and code}
