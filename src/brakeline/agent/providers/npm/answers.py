"""What npm prints and resolves, read: what is newer, the tree that a version needs, why it failed. Pure.

npm's exit code says little (`outdated` ends with 1 when all is well and something is newer), so answers are looked at.
A tree is a set of (name, version): one name may stand in it more than once; each version then has a label of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from brakeline.agent.providers.model import Refused
from brakeline.protocol.managers import slug
from brakeline.protocol.messages import Action, ActionKind

CAUSES: Final = (
    ("hash_mismatch", "What was sent does not fit its checksum", ("EINTEGRITY",)),
    ("no_space", "The disk was full", ("ENOSPC",)),
    ("hash_mismatch", "What was sent is damaged", ("Z_DATA_ERROR", "zlib: ", "TAR_BAD_ARCHIVE")),  # npm 9 says it so
    ("network", "The registry could not be reached",
     ("ECONNREFUSED", "ECONNRESET", "ENOTFOUND", "EAI_AGAIN", "ETIMEDOUT", "ERR_SOCKET_TIMEOUT", "ENETUNREACH",
      "EIDLETIMEOUT", "UNABLE_TO_VERIFY", "SELF_SIGNED", "CERT_HAS_EXPIRED", "E500", "E502", "E503")),
    ("refused", "The registry wants credentials that this endpoint does not give", ("E401", "E403", "ENEEDAUTH")),
    ("lists_stale", "The registry does not have it", ("ETARGET", "E404")),
    ("refused", "It needs another version of Node.js or npm", ("EBADENGINE", "EBADPLATFORM")),
    ("refused", "npm finds no way to do this: what it needs is in conflict", ("ERESOLVE",)),
    ("maintainer_script_failed", "A script of the package failed",
     ("npm error command failed", "npm ERR! command failed", "ELIFECYCLE")),
)  # fmt: skip
SAID_CHARS: Final = 160
CPUS: Final = {"x86_64": "x64", "aarch64": "arm64", "i686": "ia32", "armv7l": "arm", "ppc64le": "ppc64"}
_ERROR = re.compile(r"^npm (?:error|ERR!) ?(?:(?:code|errno|syscall|path|cwd|A complete log|Note that)\b.*)?")
_TELLING = ("required:", "no matching version", "reason:", "not found", "while resolving", "conflict")
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.\-]+))?(?:\+[0-9A-Za-z.\-]+)?")


@dataclass(frozen=True, slots=True)
class Piece:
    """One package of a tree. `integrity` as the registry gives it, "" = it gives none."""

    name: str
    version: str
    integrity: str = ""


def why(text: str) -> Refused:
    """The cause in npm's words, with the line of them that says most."""
    for code, sentence, marks in CAUSES:
        if any(mark in text for mark in marks):
            return Refused(code, f"{sentence}{_line(text)}.")
    return Refused("npm_failed", f"npm failed{_line(text)}.")


def _line(text: str) -> str:
    lines = [_ERROR.sub("", line).strip() for line in text.splitlines() if _ERROR.match(line)]
    lines = [line for line in lines if line and not line.startswith("at ")]
    telling = [line for line in lines if any(word in line.lower() for word in _TELLING)] or lines
    return f": {telling[0][:SAID_CHARS].rstrip('.')}" if telling else ""


def newer(text: str, have: Mapping[str, str]) -> tuple[tuple[str, str], ...] | Refused:
    """(name, latest version) of `npm outdated -g --json`, of what is installed and older. `have`: by name."""
    found = document(text)
    if found is None:
        return Refused("npm_failed", f"npm gave no list of what is newer{_line(text)}.")
    if isinstance(error := found.get("error"), dict):
        told = why(f"{error.get('code', '')}\nnpm error {error.get('summary', '')}")
        return Refused("no_network", told.reason) if told.code == "network" else told
    rows = [(name, row) for name, rows in found.items() for row in (rows if isinstance(rows, list) else [rows])]
    pairs = {(str(name), str(row["latest"])) for name, row in rows if isinstance(row, dict) and "latest" in row}
    return tuple(sorted((n, v) for n, v in pairs if n in have and older(have[n], v)))


def lock(text: str, machine: str, libc: str = "glibc") -> tuple[Piece, ...] | Refused:
    """The tree of a lock file, as far as it is for this machine. Refused without digests: it could be anything."""
    found = document(text)
    packages = found.get("packages") if found is not None else None
    if not isinstance(packages, dict):
        return Refused("npm_failed", "npm wrote no lock file that could be read.")
    pieces = [_piece(path, p) for path, p in packages.items() if path and _fits(p, CPUS.get(machine, machine), libc)]
    if bare := sorted({p.name for p in pieces if not p.integrity or not p.version}):
        return Refused("hash_mismatch", f"The registry gives no digest of {', '.join(bare[:5])}.")
    return tuple(sorted(set(pieces), key=lambda p: (p.name, key(p.version))))


def _piece(path: str, entry: Mapping[str, Any]) -> Piece:
    name = str(entry.get("name") or path.rpartition("node_modules/")[2])
    return Piece(name, str(entry.get("version", "")), str(entry.get("integrity", "")))


def _fits(entry: Mapping[str, Any], cpu: str, libc: str) -> bool:
    """Whether npm would put it on this machine: only what is optional may be left out."""
    if not entry.get("optional"):
        return True
    return all(_allows(entry.get(k), mine) for k, mine in (("os", "linux"), ("cpu", cpu), ("libc", libc)))


def _allows(listed: Any, mine: str) -> bool:
    words = [str(w) for w in listed] if isinstance(listed, list) else []
    wanted = [w for w in words if not w.startswith("!")]
    return f"!{mine}" not in words and (not wanted or mine in wanted or "any" in wanted)


def document(text: str) -> dict[str, Any] | None:
    """The JSON object of an answer; npm may print notices before and after it. `{}` of an empty answer."""
    for match in re.finditer(r"^\{", text, re.MULTILINE):
        try:
            found = json.JSONDecoder().raw_decode(text, match.start())[0]
        except ValueError:
            continue
        return found if isinstance(found, dict) else None
    return {} if not text.strip() else None


def own_registries(text: str) -> tuple[str, ...]:
    """Of `npm config list`, which names only what was set: scopes with a registry of their own, "" = all packages."""
    return tuple(sorted({m[1] or "" for m in re.finditer(r"^(?:(@[^:\s]+):)?registry = ", text, re.MULTILINE)}))


def origin(name: str, owned: Iterable[str] | None) -> str:
    """Where a package comes from: `npm` is the public registry, whose advisories speak of it. None = not known yet."""
    if owned is None:
        return "registry not known yet"
    own = frozenset(owned)
    return "registry of your own" if "" in own or name.partition("/")[0] in own else "npm"


def labelled(app: str, label: str, pieces: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Versions by (name, label) of one application's tree. Of several versions of one name the lowest comes first."""
    versions: dict[str, set[str]] = {}
    tops: list[str] = []
    for name, version in pieces:
        if name == app and not tops:
            tops.append(version)
        else:
            versions.setdefault(name, set()).add(version)
    found = {(app, label): tops[0]} if tops else {}
    inside = f"{label}-in-{slug(app)}"
    for name, several in versions.items():
        for k, version in enumerate(sorted(several, key=key), start=1):
            found[(name, inside if k == 1 else f"{inside}~{k}")] = version
    return found


def actions(before: Mapping[tuple[str, str], str], after: Mapping[tuple[str, str], str]) -> tuple[Action, ...]:
    """What makes one tree the other."""
    made = []
    for name, label in sorted(before.keys() | after.keys()):
        was, becomes = before.get((name, label), ""), after.get((name, label), "")
        if was == becomes:
            continue
        kind = ActionKind.UPGRADE if was and becomes else ActionKind.INSTALL if becomes else ActionKind.REMOVE
        if kind is ActionKind.UPGRADE and older(becomes, was):
            kind = ActionKind.DOWNGRADE
        made.append(Action(kind, name, label, was, becomes))
    return tuple(made)


def key(version: str) -> tuple[tuple[int, int, int], bool, tuple[tuple[int, int, str], ...], str]:
    """npm's order (Semantic Versioning 2.0.0); what is no version comes before all that are."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return (-1, -1, -1), False, (), version
    numbers = (int(match[1]), int(match[2]), int(match[3]))
    words = [w for w in (match[4] or "").split(".") if w]
    return numbers, not words, tuple((0, int(w), "") if w.isdigit() else (1, 0, w) for w in words), ""


def older(left: str, right: str) -> bool:
    """`left` < `right`."""
    return key(left) < key(right)
