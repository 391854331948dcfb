"""A release repository in memory, signed with `tuf` and `securesystemslib`: what a cell serves, and forgeries.

Every key can be taken (`keys`), every document made again with other fields: so attacks are written as what the holder
of a stolen key would do. Times are Unix milliseconds; `now_ms` is the cell's.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from brakeline.core.draw import U_END
from brakeline.trust.canonical import canonical
from brakeline.trust.metadata import CONTENT_PATHS
from brakeline.trust.model import ClockReading, Documents, Floors, Who
from brakeline.trust.times import instant

DAY_MS = 86_400_000
NOW_MS = 1_795_392_000_000  # 2026-11-23
ENDPOINT = "ep_01M82W4RXDPNAXW7MKTTG588VT"
WHO = Who(ENDPOINT, "cell", "eu")
NONCE = "5e" * 16
CLOCK = ClockReading(NOW_MS, NONCE)
FLOORS = Floors()
ROLES = ("root", "timestamp", "snapshot", "targets")


def _date(ms: int) -> datetime:
    return datetime.fromtimestamp(ms // 1000, UTC)


def bundle(version: str, files: dict[str, bytes], sequence: int = 1, product: str = "agent",
           entry: tuple[str, ...] = ("@python", "-I", "agent.pyz"), platform: str = "any") -> bytes:  # fmt: skip
    """A release as it is downloaded: a plain tar with release.json first."""
    about = {"product": product, "version": version, "sequence": sequence, "platform": platform, "entry": list(entry)}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in {"release.json": json.dumps(about, sort_keys=True).encode(), **files}.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755 if name == "agent" else 0o644
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


@dataclass
class Repository:
    """Keys and documents of one installation."""

    now_ms: int = NOW_MS
    keys: dict[str, CryptoSigner] = field(default_factory=dict)
    files: dict[str, TargetFile] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    roots: list[str] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*ROLES, "content", "recall"), 1))
    lifetimes_d: dict[str, float] = field(
        default_factory=lambda: {"root": 365, "targets": 90, "snapshot": 7, "timestamp": 1, "content": 90}
    )
    recalled: list[str] = field(default_factory=list)
    pardons: list[dict[str, Any]] = field(default_factory=list)
    leased: list[dict[str, Any]] = field(default_factory=list)
    thresholds: dict[str, int] = field(default_factory=dict)
    make_key: Callable[[], CryptoSigner] = CryptoSigner.generate_ed25519

    def __post_init__(self) -> None:
        for name in (*ROLES, "content", "conductor", "cell", "recall"):
            self.keys[name] = self.make_key()
        self.roots.append(self.root_text())

    # --- TUF's own roles ----------------------------------------------------------------------------------------------

    def _expires(self, role: str) -> datetime:
        return _date(self.now_ms + round(self.lifetimes_d[role] * DAY_MS))

    def root_text(self, signers: list[CryptoSigner] | None = None) -> str:
        """The present root, signed with the present root key or with `signers`."""
        root = Root(self.versions["root"], expires=self._expires("root"), consistent_snapshot=True)
        for role in ROLES:
            root.add_key(self.keys[role].public_key, role)
            root.roles[role].threshold = self.thresholds.get(role, 1)
        named = {"conductor": "conductor", "cell/cell": "cell", "recall/cell": "recall"}
        for key in named.values():
            public = self.keys[key].public_key
            root.keys[public.keyid] = public
        ours = {role: {"keyids": [self.keys[key].public_key.keyid], "threshold": 1} for role, key in named.items()}
        root.unrecognized_fields["x-brakeline"] = {"kind": "developer", "roles": ours}
        return text_of(root, signers or [self.keys["root"]])

    def rotate(self, *names: str) -> None:
        """A next root in which these keys are new."""
        old = self.keys["root"]
        for name in names:
            self.keys[name] = self.make_key()
        self.versions["root"] += 1
        self.roots.append(self.root_text([old, self.keys["root"]] if "root" in names else [old]))

    def _targets(self) -> tuple[str, str]:
        signed = Targets(self.versions["targets"], expires=self._expires("targets"))
        signed.targets = {p: t for p, t in self.files.items() if not p.startswith("content/")}
        key = self.keys["content"].public_key
        role = DelegatedRole("content", [key.keyid], 1, terminating=True, paths=[CONTENT_PATHS])
        signed.delegations = Delegations({key.keyid: key}, {"content": role})
        if self.pardons:
            signed.unrecognized_fields["x-brakeline"] = {"pardons": self.pardons}
        content = Targets(self.versions["content"], expires=self._expires("content"))
        content.targets = {p: t for p, t in self.files.items() if p.startswith("content/")}
        return text_of(signed, [self.keys["targets"]]), text_of(content, [self.keys["content"]])

    def documents(self, nonce: str = NONCE) -> Documents:
        """Everything as a cell would serve it now."""
        targets, content = self._targets()
        snapshot = Snapshot(self.versions["snapshot"], expires=self._expires("snapshot"))
        snapshot.meta = {"targets.json": meta(self.versions["targets"], targets),
                         "content.json": meta(self.versions["content"], content)}  # fmt: skip
        snapshot_text = text_of(snapshot, [self.keys["snapshot"]])
        timestamp = Timestamp(self.versions["timestamp"], expires=self._expires("timestamp"))
        timestamp.snapshot_meta = meta(self.versions["snapshot"], snapshot_text)
        return Documents(
            roots=tuple(self.roots[1:]), timestamp=text_of(timestamp, [self.keys["timestamp"]]), snapshot=snapshot_text,
            targets=targets, content=content, recall=self.recall(), time=self.time(nonce),
            leases=tuple(self.lease(**one) for one in self.leased),
        )  # fmt: skip

    # --- releases -----------------------------------------------------------------------------------------------------

    def publish(
        self, version: str, data: bytes, sequence: int = 1, product: str = "agent", platform: str = "any"
    ) -> str:
        """Sign a bundle into targets; its release_id."""
        path = f"{product}/{version}/{platform}/bundle.tar"
        target = TargetFile.from_data(path, data, ["sha256"])
        target.unrecognized_fields["custom"] = {"product": product, "version": version, "sequence": sequence,
                                                "platform": platform}  # fmt: skip
        self.files[path] = target
        self.blobs[target.hashes["sha256"]] = data
        self.bump()
        return f"{version}-{target.hashes['sha256'][:12]}"

    def bump(self, *roles: str) -> None:
        """Next versions."""
        for role in roles or ("targets", "snapshot", "timestamp", "content"):
            self.versions[role] += 1

    def target(self, release_id: str) -> TargetFile:
        version, _, digest = release_id.rpartition("-")
        return next(
            t for t in self.files.values() if t.hashes["sha256"].startswith(digest) and f"/{version}/" in t.path
        )

    def offer(self, release_id: str, **fields: Any) -> None:
        """Lease a release to everybody, or with other `fields` of `lease`."""
        self.leased = [{"release_id": release_id, **fields}]

    # --- the cell's statements ----------------------------------------------------------------------------------------

    def sign(self, key: str, signed: dict[str, Any]) -> dict[str, Any]:
        """An envelope by one of our keys."""
        signature = self.keys[key].sign(canonical(signed))
        return {"signatures": [{"keyid": signature.keyid, "sig": signature.signature}], "signed": signed}

    def time(self, nonce: str, key: str = "cell", now_ms: int | None = None) -> str:
        now = self.now_ms if now_ms is None else now_ms
        return json.dumps(self.sign(key, {"_type": "time", "cell": "cell", "nonce": nonce, "now_ms": now}))

    def recall(self, key: str = "recall", **fields: Any) -> str:
        signed = {
            "_type": "recall", "spec_version": "1.0", "cell": "cell", "version": self.versions["recall"],
            "issued": instant(self.now_ms), "expires": instant(self.now_ms + DAY_MS),
            "releases": [{"release_id": r, "reason": "harm"} for r in self.recalled], **fields,
        }  # fmt: skip
        return json.dumps(self.sign(key, signed))

    def grant(self, release_id: str, key: str = "conductor", **fields: Any) -> dict[str, Any]:
        signed = {
            "_type": "grant", "cell": "cell", "rollout_id": "ro_1", "generation": 3,
            "sha256": self.target(release_id).hashes["sha256"], "draw_below": U_END,
            "issued": instant(self.now_ms), "expires": instant(self.now_ms + 600_000), **fields,
        }  # fmt: skip
        return self.sign(key, signed)

    def lease(self, release_id: str, key: str = "cell", grant: dict[str, Any] | None = None, **fields: Any) -> str:
        """An offer lease; its grant covers everybody unless given."""
        target = self.target(release_id)
        custom = target.unrecognized_fields["custom"]
        signed = {
            "_type": "lease", "cell": "cell", "region": "", "channel": "stable", "rollout_id": "ro_1", "generation": 3,
            "release": {"path": target.path, "sha256": target.hashes["sha256"], "length": target.length,
                        "version": custom["version"], "sequence": custom["sequence"], "product": custom["product"]},
            "salt": "07" * 32, "draw_below": U_END, "enrolled_before_ms": 0, "issued": instant(self.now_ms),
            "expires": instant(self.now_ms + 600_000), "grant": grant or self.grant(release_id), **fields,
        }  # fmt: skip
        return json.dumps(self.sign(key, signed))

    def follow(self, key: str = "cell", **fields: Any) -> str:
        signed = {"_type": "follow", "cell": "cell", "endpoint_id": ENDPOINT, "generation": 1, "channel": "stable",
                  "self_update": True, "pin": "", "issued": instant(self.now_ms), **fields}  # fmt: skip
        return json.dumps(self.sign(key, signed))


def meta(version: int, text: str) -> MetaFile:
    raw = text.encode()
    return MetaFile(version, len(raw), {"sha256": hashlib.sha256(raw).hexdigest()})


def text_of(signed: Signed, signers: list[CryptoSigner]) -> str:
    """The document as text, signed by all `signers`."""
    metadata: Metadata[Any] = Metadata(signed)
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes().decode()


def without(documents: Documents, *names: str) -> Documents:
    """The documents with some left out."""
    return replace(documents, **{name: () if name in ("roots", "leases") else "" for name in names})
