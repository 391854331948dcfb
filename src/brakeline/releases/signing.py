"""Makes the documents that `brakeline.trust` verifies: TUF's roles with `tuf`, our own statements beside them.

Functions from facts and signers to text. They decide nothing: what to say stands in `decide`, when in `service`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from securesystemslib.signer import Signer, SSlibKey
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Role,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from brakeline.releases.faults import BadMetadata
from brakeline.releases.keys import public_key
from brakeline.releases.model import CONTENT, LIFETIME_MS, LeaseWish
from brakeline.trust.canonical import canonical
from brakeline.trust.metadata import CONTENT_PATHS, OURS, Target
from brakeline.trust.statements import LEASE_MS_MAX
from brakeline.trust.times import instant

TUF_ROLES: Final = ("root", "timestamp", "snapshot", "targets")


@dataclass(frozen=True, slots=True)
class Holder:
    """Who signs a role."""

    keys: tuple[SSlibKey, ...]
    threshold: int = 1

    @property
    def keyids(self) -> tuple[str, ...]:
        return tuple(k.keyid for k in self.keys)


@dataclass(frozen=True, slots=True)
class Roster:
    """A root as data: who holds which role."""

    version: int
    kind: str
    roles: Mapping[str, Holder]  # TUF's, conductor, cell/<cell>, recall/<cell>
    expires_ms: int = 0
    names: Mapping[str, str] = field(
        default_factory=dict
    )  # what people call the holders, by key id; no more than words

    def with_role(self, role: str, holder: Holder) -> Roster:
        return replace(self, roles={**self.roles, role: holder})


# --- TUF -----------------------------------------------------------------------------------------------------------


def root_text(roster: Roster, now_ms: int, signers: Iterable[Signer]) -> str:
    """A root of `roster`, from now for a year."""
    root = Root(roster.version, expires=_expires("root", now_ms), consistent_snapshot=True)
    ours: dict[str, Any] = {}
    for role, holder in roster.roles.items():
        root.keys.update({k.keyid: k for k in holder.keys})
        if role in TUF_ROLES:
            root.roles[role] = Role(list(holder.keyids), holder.threshold)
        else:
            ours[role] = {"keyids": list(holder.keyids), "threshold": holder.threshold}
    root.unrecognized_fields[OURS] = {"kind": roster.kind, "roles": ours}
    if roster.names:
        root.unrecognized_fields[OURS]["names"] = dict(roster.names)
    return signed_text(root, signers)


def roster_of(text: str) -> Roster:
    """The reverse of `root_text`, signatures not looked at. Raises `BadMetadata`."""
    signed = _parsed(text, Root)
    assert isinstance(signed, Root)
    said = signed.unrecognized_fields.get(OURS) or {}
    try:
        named = {r: (role.keyids, role.threshold) for r, role in signed.roles.items()}
        named |= {r: (role["keyids"], role["threshold"]) for r, role in said.get("roles", {}).items()}
        roles = {r: Holder(tuple(_ed25519(signed.keys[k]) for k in ids), n) for r, (ids, n) in named.items()}
        names = {str(k): str(name) for k, name in said.get("names", {}).items()}
        return Roster(signed.version, str(said.get("kind", "installation")), roles, _ms(signed.expires), names)
    except (KeyError, TypeError, AttributeError) as e:
        raise BadMetadata(f"the root cannot be read: {type(e).__name__} {e}") from None


def targets_text(version: int, now_ms: int, files: Mapping[str, Target], signers: Iterable[Signer], *,
                 content: Holder | None = None, pardons: Mapping[str, int] | None = None) -> str:  # fmt: skip
    """A targets document; that of the top role names who signs endpoint `content`."""
    signed = Targets(version, expires=_expires("targets", now_ms))
    for path, target in sorted(files.items()):
        file = TargetFile(target.length, {"sha256": target.sha256}, path)
        file.unrecognized_fields["custom"] = dict(target.custom)
        signed.targets[path] = file
    if content is not None:
        role = DelegatedRole(CONTENT, list(content.keyids), content.threshold, terminating=True, paths=[CONTENT_PATHS])
        signed.delegations = Delegations({k.keyid: k for k in content.keys}, {CONTENT: role})
    if pardons:
        listed = [{"release_id": r, "recall": v} for r, v in sorted(pardons.items())]
        signed.unrecognized_fields[OURS] = {"pardons": listed}
    return signed_text(signed, signers)


def content_holder(targets: str) -> Holder | None:
    """Who signs endpoint content, by a targets document. Raises `BadMetadata`."""
    signed = _parsed(targets, Targets)
    assert isinstance(signed, Targets)
    delegations = signed.delegations
    role = (delegations.roles or {}).get(CONTENT) if delegations else None
    if role is None or delegations is None:
        return None
    return Holder(tuple(_ed25519(delegations.keys[k]) for k in role.keyids), role.threshold)


def snapshot_text(version: int, now_ms: int, below: Mapping[str, tuple[int, str]], signers: Iterable[Signer]) -> str:
    """`below`: file name -> (version, text)."""
    signed = Snapshot(version, expires=_expires("snapshot", now_ms))
    signed.meta = {name: _meta(v, text) for name, (v, text) in below.items()}
    return signed_text(signed, signers)


def timestamp_text(version: int, now_ms: int, snapshot_version: int, snapshot: str, signers: Iterable[Signer]) -> str:
    signed = Timestamp(version, expires=_expires("timestamp", now_ms))
    signed.snapshot_meta = _meta(snapshot_version, snapshot)
    return signed_text(signed, signers)


def signed_text(signed: Signed, signers: Iterable[Signer]) -> str:
    """The document as text, with a signature of each signer (none: to be signed elsewhere)."""
    metadata: Metadata[Any] = Metadata(signed)
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes().decode()


def add_signature(text: str, signer: Signer) -> str:
    """The same document with one more signature; one by the same key is replaced. Raises `BadMetadata`."""
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(text.encode())
        metadata.sign(signer, append=True)
        return metadata.to_bytes().decode()
    except (RepositoryError, ValueError) as e:
        raise BadMetadata(f"it cannot be signed: {e}") from None


def merged_text(one: str, other: str) -> str:
    """The document with the signatures of both copies. Raises `BadMetadata` unless both say the same."""
    try:
        first: Metadata[Any] = Metadata.from_bytes(one.encode())
        second: Metadata[Any] = Metadata.from_bytes(other.encode())
    except (RepositoryError, ValueError) as e:
        raise BadMetadata(f"it cannot be read: {e}") from None
    if first.signed != second.signed:
        raise BadMetadata("the two copies say different things: whoever signed has not signed the same")
    first.signatures = {**second.signatures, **first.signatures}
    return first.to_bytes().decode()


def _parsed(text: str, kind: type[Any]) -> Signed:
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(text.encode())
    except (RepositoryError, ValueError, KeyError, TypeError) as e:
        raise BadMetadata(f"it is no {kind.__name__.lower()} document: {e}") from None
    if not isinstance(metadata.signed, kind):
        raise BadMetadata(f"it is a {metadata.signed.type} document, {kind.__name__.lower()} was expected")
    signed: Signed = metadata.signed
    return signed


def _ed25519(key: Any) -> SSlibKey:
    if not isinstance(key, SSlibKey) or key.scheme != "ed25519":
        raise BadMetadata("it names a key that is not Ed25519; endpoints know no other")
    return key


def _expires(role: str, now_ms: int) -> datetime:
    return datetime.fromtimestamp((now_ms + LIFETIME_MS[role]) // 1000, UTC)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp()) * 1000


def _meta(version: int, text: str) -> MetaFile:
    raw = text.encode()
    return MetaFile(version, len(raw), {"sha256": hashlib.sha256(raw).hexdigest()})


# --- statements of a cell ------------------------------------------------------------------------------------------


def statement(signed: Mapping[str, Any], signers: Iterable[Signer]) -> dict[str, Any]:
    """An envelope as `trust.envelope` reads it."""
    message = canonical(dict(signed))
    made = [signer.sign(message) for signer in signers]
    return {"signatures": [{"keyid": s.keyid, "sig": s.signature} for s in made], "signed": dict(signed)}


def time_text(cell: str, nonce: str, now_ms: int, signers: Iterable[Signer]) -> str:
    return json.dumps(statement({"_type": "time", "cell": cell, "nonce": nonce, "now_ms": now_ms}, signers))


def recall_text(cell: str, version: int, now_ms: int, listed: Iterable[tuple[str, str]],
                signers: Iterable[Signer]) -> str:  # fmt: skip
    """`listed`: (release_id, reason)."""
    signed = {
        "_type": "recall", "spec_version": "1.0", "cell": cell, "version": version, "issued": instant(now_ms),
        "expires": instant(now_ms + LIFETIME_MS["recall"]),
        "releases": [{"release_id": r, "reason": reason} for r, reason in listed],
    }  # fmt: skip
    return json.dumps(statement(signed, signers))


def lease_text(cell: str, wish: LeaseWish, now_ms: int, cell_signers: Iterable[Signer],
               conductor_signers: Iterable[Signer]) -> str:  # fmt: skip
    """An offer lease with the conductor's grant inside: this cell's own, for ten minutes from now and the same share,
    or, without `conductor_signers`, the one that the wish brings, for as long as that lasts."""
    ends_ms = now_ms // 1000 * 1000 + LEASE_MS_MAX
    issued, expires = instant(now_ms), instant(min(ends_ms, wish.until_ms) if wish.grant else ends_ms)
    common = {"cell": cell, "rollout_id": wish.rollout_id, "generation": wish.generation,
              "draw_below": wish.draw_below, "issued": issued, "expires": expires}  # fmt: skip
    signers = list(conductor_signers)
    own = {"_type": "grant", "sha256": wish.release.sha256, **common}
    grant = json.loads(wish.grant) if wish.grant and not signers else statement(own, signers)
    r = wish.release
    release = {"path": r.path, "sha256": r.sha256, "length": r.length, "version": r.version, "sequence": r.sequence,
               "product": r.product}  # fmt: skip
    lease = {"_type": "lease", "region": wish.region, "channel": wish.channel, "release": release,
             "salt": wish.salt.hex(), "enrolled_before_ms": wish.enrolled_before_ms, "grant": grant,
             **common, **({} if wish.only is None else {"only": list(wish.only)})}  # fmt: skip
    return json.dumps(statement(lease, cell_signers))


def grant_text(signed: Mapping[str, Any], public_hex: str, sign: Callable[[bytes], bytes]) -> str:
    """A conductor's grant for endpoints of another cell, by a key that is no `Signer`."""
    message = canonical(dict(signed))
    keyid = public_key(public_hex).keyid
    return json.dumps({"signatures": [{"keyid": keyid, "sig": sign(message).hex()}], "signed": dict(signed)})


def follow_text(cell: str, endpoint_id: str, generation: int, channel: str, self_update: bool, pin: str, now_ms: int,
                signers: Iterable[Signer]) -> str:  # fmt: skip
    signed = {"_type": "follow", "cell": cell, "endpoint_id": endpoint_id, "generation": generation,
              "channel": channel, "self_update": self_update, "pin": pin, "issued": instant(now_ms)}  # fmt: skip
    return json.dumps(statement(signed, signers))
