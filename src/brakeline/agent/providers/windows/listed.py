"""The packages that an endpoint's owner lets be installed: `programs.json`, which administrators alone may write. Pure.

Windows has no repository. So the owner names each package: what it is called, which product it installs, where its file
comes from and the digest of that file. An order names one of them by name and version; nothing else is ever started.
Invariants: an unknown key is an error; an EXE is listed only with the tool that made it, because that says which words
keep it from asking a person; a line that makes no sense is told, and keeps the others.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from brakeline.agent.providers.windows.programs import GUID, SILENT

FORMAT: Final = 1
LIST_BYTES_MAX: Final = 1024 * 1024
PACKAGES_MAX: Final = 2_000
FILE_BYTES_MAX: Final = 8 * 1024**3
NAME: Final = re.compile(r"[a-z0-9][a-z0-9.\-]{0,62}")
VERSION: Final = re.compile(r"[0-9][0-9A-Za-z.\-]{0,63}")
DIGEST: Final = re.compile(r"[0-9a-f]{64}")
PROPERTY: Final = re.compile(r"[A-Z][A-Z0-9_.]{0,63}")
WORD: Final = re.compile(r"[^\"\x00-\x1f%]{0,200}")  # no quote, no control character, no %VARIABLE%
KEY: Final = re.compile(r"[^\\/\"\x00-\x1f]{1,255}")
FROM: Final = re.compile(r"https?://[^\s\"]{1,1000}|[^\"\x00-\x1f]{1,1000}")
VIEWS: Final = {"x64": 64, "x86": 32}
QUIET: Final = {name: words for name, _, words in SILENT}  # by what made an installer


@dataclass(frozen=True, slots=True)
class Listed:
    """One version of one program. MSI: `product`, `upgrade`; EXE: `key` below Uninstall, `made_by`."""

    name: str
    version: str
    kind: str  # msi | exe
    source: str  # a path, a share or an address
    sha256: str
    bytes: int
    architecture: str = "x64"
    product: str = ""
    upgrade: str = ""
    key: str = ""
    made_by: str = ""
    properties: dict[str, str] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """What it is called where root keeps it: the ending is what tells Windows how to open it."""
        return f"{self.sha256}.{self.kind}"

    @property
    def unreasonable(self) -> str:
        """What makes no sense about it, "" = nothing."""
        for what, grammar, value in (("name", NAME, self.name), ("version", VERSION, self.version),
                                     ("sha256", DIGEST, self.sha256), ("from", FROM, self.source)):  # fmt: skip
            if not grammar.fullmatch(value):
                return f"{what} {value[:40]!r} is none"
        if self.architecture not in VIEWS or not 0 < self.bytes <= FILE_BYTES_MAX:
            return f"architecture is {' or '.join(VIEWS)}, bytes is the size of the file"
        if not all(PROPERTY.fullmatch(k) and WORD.fullmatch(v) for k, v in self.properties.items()):
            return "properties are NAME and a value without quotes or %"
        return self._unreasonable_msi() if self.kind == "msi" else self._unreasonable_exe()

    def _unreasonable_msi(self) -> str:
        if not GUID.fullmatch(self.product) or not GUID.fullmatch(self.upgrade) or self.key or self.made_by:
            return "an msi has product and upgrade, each {GUID}, and neither key nor made_by"
        return ""

    def _unreasonable_exe(self) -> str:
        if self.kind != "exe" or not KEY.fullmatch(self.key) or self.product or self.upgrade or self.properties:
            return "kind is msi or exe; an exe has the key below Uninstall that it makes, and no properties"
        if self.made_by not in QUIET:
            return f"made_by is {', '.join(QUIET)}; an installer whose silent words are not known is never started"
        return ""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every package that makes sense, and what makes none. `absent`: there is no list at all."""

    packages: tuple[Listed, ...] = ()
    problems: tuple[str, ...] = ()
    absent: bool = False

    def of(self, name: str) -> tuple[Listed, ...]:
        """Its versions."""
        return tuple(p for p in self.packages if p.name == name)

    def find(self, name: str, version: str) -> Listed | None:
        return next((p for p in self.packages if (p.name, p.version) == (name, version)), None)


def read(data: bytes | None) -> Catalogue:
    """The list in a file's bytes; None = there is no file."""
    if data is None:
        return Catalogue(absent=True)
    try:
        plain: Any = json.loads(data) if len(data) <= LIST_BYTES_MAX else None
    except (ValueError, RecursionError):
        plain = None
    if not isinstance(plain, dict) or plain.keys() - {"format", "packages"} or plain.get("format") != FORMAT:
        return Catalogue(problems=('programs.json is no list that can be read: {"format": 1, "packages": […]}',))
    rows = plain.get("packages")
    found, problems, seen = [], [], set()
    for i, row in enumerate(rows[:PACKAGES_MAX] if isinstance(rows, list) else ()):
        made = entry(row)
        if isinstance(made, str) or (made.name, made.version) in seen:
            problems.append(f"programs.json, package {i + 1}: {made if isinstance(made, str) else 'is there twice'}")
            continue
        seen.add((made.name, made.version))
        found.append(made)
    return Catalogue(tuple(found), tuple(problems))


_KEYS: Final = {
    "name": str, "version": str, "kind": str, "from": str, "sha256": str, "bytes": int, "architecture": str,
    "product": str, "upgrade": str, "key": str, "made_by": str, "properties": dict,
}  # fmt: skip


def entry(row: object) -> Listed | str:
    """One package, or what is wrong with it."""
    if not isinstance(row, dict):
        return "is no object"
    for key, value in row.items():
        if key not in _KEYS:
            return f"unknown key {str(key)[:40]!r}"
        if type(value) is not _KEYS[key]:
            return f"{key} has the wrong kind of value"
    if missing := [k for k in ("name", "version", "kind", "from", "sha256", "bytes") if k not in row]:
        return f"{', '.join(missing)} missing"
    if not all(isinstance(v, str) for v in row.get("properties", {}).values()):
        return "properties are texts"
    fields = {("source" if k == "from" else k): v for k, v in row.items()}
    for name in ("product", "upgrade"):
        fields[name] = fields.get(name, "").upper()
    made = Listed(**fields)
    return made.unreasonable or made


def plain_of(p: Listed) -> dict[str, object]:
    """As `entry` reads it, for what root keeps."""
    row = {key: getattr(p, "source" if key == "from" else key) for key in _KEYS}
    return {key: value for key, value in row.items() if value or key == "bytes"}
