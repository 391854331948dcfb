"""TUF's four roles and the content delegation, verified one by one. Pure functions over text.

Rules beyond the TUF specification 1.0.31, each for a gap that was met: versions may not jump by more than a million
(a stolen online key could else lock every later release out), floors come from the launcher's own record (lost or
torn files cannot lower them), and expiry is judged apart from authenticity, because an expired document still forbids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from brakeline.core.frozen import dataclass
from brakeline.trust import shape
from brakeline.trust.envelope import (
    TARGETS_BYTES_MAX,
    Envelope,
    Signers,
    count_of,
    is_count,
    parse,
    signers_of,
    text_of,
    verify,
)
from brakeline.trust.errors import Distrust
from brakeline.trust.times import parse_ms

ROOTS_MAX: Final = 64  # successors that are followed in one go
JUMP_MAX: Final = 1_000_000
CONTENT: Final = "content"
CONTENT_PATHS: Final = "content/*/*/*"  # a star of TUF's matches no slash: version, platform, bundle.tar
OURS: Final = "x-brakeline"


@dataclass(frozen=True, slots=True)
class Root:
    """Who may sign what. `kind`: developer | installation | project."""

    version: int
    expires_ms: int
    kind: str
    keys: Mapping[str, Any]
    roles: Mapping[str, Any]
    ours: Mapping[str, Any]  # conductor, cell/<name>, recall/<name>

    def signers(self, role: str) -> Signers:
        """Of a TUF role or one of ours. Raises `Distrust` if the root does not name it."""
        named = self.roles.get(role) if role in ("root", "timestamp", "snapshot", "targets") else self.ours.get(role)
        if named is None:
            raise Distrust("unknown_role", f"the root names nobody who may sign as {role}")
        return signers_of(self.keys, named, role)


@dataclass(frozen=True, slots=True)
class Target:
    """One signed file."""

    path: str
    sha256: str
    length: int
    custom: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Targets:
    """The signed files of one role, and what else its signers say."""

    version: int
    expires_ms: int
    files: Mapping[str, Target]
    pardons: Mapping[str, int]  # release_id -> version of the recall that it takes back
    delegated: Signers | None  # who signs endpoint content


def pinned(text: str) -> Root:
    """The root that came with the launcher. It must be signed by itself; raises `Distrust`."""
    envelope = parse(text, "root")
    root = _root(envelope)
    verify(envelope, root.signers("root"), "root")
    return root


def successor(root: Root, text: str) -> Root:
    """The next root: exactly one version on, signed by the old keys and by its own. Raises `Distrust`."""
    envelope = parse(text, "root")
    new = _root(envelope)
    if new.version != root.version + 1:
        raise Distrust("version", f"root {new.version} cannot follow root {root.version}")
    verify(envelope, root.signers("root"), "root (by the keys before it)")
    verify(envelope, new.signers("root"), "root (by its own keys)")
    return new


def _root(envelope: Envelope) -> Root:
    signed = envelope.signed
    shape.head(signed, "root")
    shape.root(signed)
    ours = signed.get(OURS) if isinstance(signed.get(OURS), dict) else {}
    own_roles = ours.get("roles") if isinstance(ours, dict) else None
    root = Root(
        count_of(signed, "version"),
        parse_ms(text_of(signed, "expires")),
        text_of(ours, "kind", "installation"),
        signed["keys"],
        signed["roles"],
        own_roles if isinstance(own_roles, dict) else {},
    )
    for role in shape.TUF_ROLES:  # a root under which nobody could sign would lock every later release out
        root.signers(role)
    return root


def checked(text: str, role: str, signers: Signers, floor: int, bytes_max: int = TARGETS_BYTES_MAX) -> Envelope:
    """A document of `role` whose signatures hold and whose version is neither lower than seen nor absurd."""
    envelope = parse(text, "targets" if role == CONTENT else role, bytes_max)
    verify(envelope, signers, role)
    shape.head(envelope.signed, role)
    if role in ("timestamp", "snapshot"):
        shape.listing(envelope.signed.get("meta"), role)
    else:
        shape.targets(envelope.signed)
    version = count_of(envelope.signed, "version")
    if version < floor:
        raise Distrust("rollback", f"{role} {version} is older than {floor}, which this endpoint has seen already")
    if version - floor > JUMP_MAX:
        raise Distrust(
            "version_jump", f"{role} jumps from {floor} to {version}; a stolen key would lock us out like that"
        )
    return envelope


def listed(meta: Any, name: str, text: str, envelope: Envelope) -> None:
    """Whether the document above names exactly this one: version, and length and hash if it gives them."""
    entry = meta.get(name) if isinstance(meta, dict) else None
    if not isinstance(entry, dict) or entry.get("version") != envelope.signed.get("version"):
        raise Distrust("mix_and_match", f"{name} is not the version that the document above it names")
    raw = text.encode()
    if entry.get("length", len(raw)) != len(raw):
        raise Distrust("mix_and_match", f"{name} has {len(raw)} bytes, the document above it says otherwise")
    hashes = entry.get("hashes")
    if hashes is not None and (not isinstance(hashes, dict) or not _hashes_hold(hashes, raw)):
        raise Distrust("mix_and_match", f"{name} is not the text that the document above it names")


def _hashes_hold(hashes: Mapping[str, Any], raw: bytes) -> bool:
    known = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}
    return bool(hashes) and all(n in known and known[n](raw).hexdigest() == hashes[n] for n in hashes)


def expires_ms(envelope: Envelope) -> int:
    """When the document stops permitting anything."""
    return parse_ms(text_of(envelope.signed, "expires"))


def targets_of(envelope: Envelope, prefix: str = "") -> Targets:
    """What a verified targets document says; only paths below `prefix` count."""
    signed = envelope.signed
    raw = signed.get("targets")
    files = {} if not isinstance(raw, dict) else raw
    found = {path: target for path, entry in files.items() if _below(path, prefix) and (target := _target(path, entry))}
    ours = signed.get(OURS)
    listing = ours.get("pardons") if isinstance(ours, dict) else None
    pardons = {
        text_of(p, "release_id"): p["recall"]
        for p in (listing if isinstance(listing, list) else ())
        if isinstance(p, dict) and is_count(p.get("recall"))
    }
    return Targets(count_of(signed, "version"), expires_ms(envelope), found, pardons, _delegated(signed))


def _below(path: str, prefix: str) -> bool:
    """Whether a role may speak of the path: the top role (no prefix) of any, else of what matches its pattern."""
    return not prefix or (path.startswith(prefix) and path.count("/") == CONTENT_PATHS.count("/"))


def _target(path: str, entry: Any) -> Target | None:
    """A usable entry, or None: one without a SHA-256 is for others."""
    if not isinstance(entry, dict) or not is_count(entry.get("length")):
        return None
    sha256 = text_of(entry.get("hashes"), "sha256")
    custom = entry.get("custom")
    if len(sha256) != 64 or any(c not in "0123456789abcdef" for c in sha256):
        return None
    return Target(path, sha256, entry["length"], custom if isinstance(custom, dict) else {})


def _delegated(signed: Mapping[str, Any]) -> Signers | None:
    delegations = signed.get("delegations")
    roles = delegations.get("roles") if isinstance(delegations, dict) else None
    role = next((r for r in roles or () if isinstance(r, dict) and r.get("name") == CONTENT), None)
    if role is None or not isinstance(delegations, dict) or role.get("paths") != [CONTENT_PATHS]:
        return None
    try:
        return signers_of(delegations.get("keys"), role, CONTENT)
    except Distrust:  # nobody can sign content then, and that is its own trouble
        return None
