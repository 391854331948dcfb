"""Names, versions and answers of flatpak, read. Pure.

A ref is `app/ID/ARCH/BRANCH` or `runtime/ID/ARCH/BRANCH`. A version is the time of its commit and half of the commit's
digest: `20261126193227.be271811abf5dc3e6e842295a066c04b`, so that versions sort as they were made.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from brakeline.agent.providers.model import Refused

CAUSES: Final = (
    ("no_space", "The disk was full",
     ("No space left on device", "min-free-space", "not enough space", "would be exceeded")),
    ("hash_mismatch", "What was sent does not fit its digest", ("checksum expected", "Corrupted", "corrupted")),
    ("signature", "The remote's signature could not be verified",
     ("GPG", "signature", "no signatures found")),
    ("network", "The remote could not be reached",
     ("Couldn't connect", "Could not connect", "resolve host", "timed out", "Timeout", "Failed to connect",
      "Unable to load summary")),
    ("lists_stale", "The remote does not have it any more", ("status 404", "HTTP 404", "No such ref", "not found")),
)  # fmt: skip
SAID_CHARS: Final = 160
PREFIX_HEX: Final = 32  # half of a digest: nobody makes a second commit that begins like this one
UNITS: Final = {"bytes": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3}
_REF = re.compile(r"(app|runtime)/([A-Za-z_][\w\-]*(?:\.[\w\-]+)+)/([a-z0-9_]+)/([\w.\-]+)")
_VERSION = re.compile(r"(\d{14})\.([0-9a-f]{32})")


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """One application or runtime, of one architecture and branch."""

    kind: str
    id: str
    arch: str
    branch: str

    @property
    def label(self) -> str:
        """What stands for the architecture of the package."""
        return f"flatpak-{self.arch}-{self.branch}"

    def __str__(self) -> str:
        return f"{self.kind}/{self.id}/{self.arch}/{self.branch}"


@dataclass(frozen=True, slots=True)
class Head:
    """One commit of one ref that a remote had when it was asked; `runtime` is what it needs, "" = nothing."""

    ref: str
    commit: str
    version: str
    remote: str
    runtime: str = ""
    installed_bytes: int = 0
    download_bytes: int = 0


def parse_ref(text: str) -> Ref | None:
    match = _REF.fullmatch(text.strip())
    return Ref(*match.groups()) if match else None


def version_of(commit: str, made: str) -> str:
    """`made`: year to second, digits only."""
    return f"{made}.{commit[:PREFIX_HEX]}"


def is_of(version: str, commit: str) -> bool:
    """Whether a version names this commit."""
    match = _VERSION.fullmatch(version)
    return match is not None and commit.startswith(match[2])


def older(left: str, right: str) -> bool:
    """`left` was made before `right`."""
    return left.partition(".")[0] < right.partition(".")[0]


def made_s(commit_object: bytes) -> int:
    """Unix time in a commit object of OSTree, a GVariant `(a{sv}aya(say)sstayay)`; 0 = it cannot be read.

    The ends of its members of changing size stand at the end, the last one first; the time is big-endian and begins at
    the next multiple of eight after the body, the fifth of them.
    """
    size = len(commit_object)
    width = 1 if size <= 0xFF else 2 if size <= 0xFFFF else 4
    place = size - 5 * width
    end = int.from_bytes(commit_object[place : place + width], "little") if place >= 0 else size
    start = -(-end // 8) * 8
    return int.from_bytes(commit_object[start : start + 8], "big") if start + 8 <= size else 0


def listing(text: str) -> dict[str, str]:
    """Short commit by ref, of `remote-ls --columns=ref,commit`."""
    found = {}
    for line in text.splitlines():
        ref, _, commit = line.partition("\t")
        if parse_ref(ref) and re.fullmatch(r"[0-9a-f]{8,64}", commit.strip()):
            found[ref.strip()] = commit.strip()
    return found


def info(text: str) -> Mapping[str, str]:
    """The lines `Name: value` of `remote-info`; its words are English, because the language is fixed."""
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def head(ref: str, remote: str, said: Mapping[str, str], metadata: str) -> Head | None:
    """What `remote-info` and the metadata say of a commit; None = they do not say enough."""
    commit, made = said.get("Commit", ""), re.sub(r"\D", "", said.get("Date", "")[:19])
    if not re.fullmatch(r"[0-9a-f]{64}", commit) or len(made) != 14:
        return None
    sizes = amount(said.get("Installed", "")), amount(said.get("Download", ""))
    return Head(ref, commit, version_of(commit, made), remote, runtime_of(metadata), *sizes)


def amount(text: str) -> int:
    """`1.5 kB` as bytes; what cannot be read is 0. A space that does not break may stand between the two."""
    number, _, unit = text.replace("\xa0", " ").partition(" ")
    try:
        return int(float(number) * UNITS.get(unit, 0))
    except ValueError:
        return 0


def runtime_of(metadata: str) -> str:
    """The ref of the runtime that an application needs; "" = it needs none."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(metadata)
    except configparser.Error:
        return ""
    named = parser.get("Application", "runtime", fallback="")
    return f"runtime/{named}" if named else ""


def masked(ref: Ref, patterns: Iterable[str]) -> bool:
    """Whether the owner's masks (`flatpak mask`) keep this ref as it is. What a pattern leaves out means any."""
    for pattern in patterns:
        kind, rest = "*", pattern
        for named in ("app/", "runtime/"):
            if pattern.startswith(named):
                kind, rest = named[:-1], pattern[len(named) :]
        parts = [*(part or "*" for part in rest.split("/")), "*", "*"][:3]
        if fnmatchcase(ref.kind, kind) and all(map(fnmatchcase, (ref.id, ref.arch, ref.branch), parts)):
            return True
    return False


def why(text: str) -> Refused:
    """The cause in flatpak's words."""
    lines = [line for line in text.splitlines() if line.lower().startswith(("error:", "warning:"))]
    said = f": {lines[0].partition(':')[2].strip()[:SAID_CHARS].rstrip('.')}" if lines else ""
    for code, sentence, marks in CAUSES:
        if any(mark in text for mark in marks):
            return Refused(code, f"{sentence}{said}.")
    return Refused("flatpak_failed", f"flatpak failed{said}.")
