"""How an installation adopts an official release: the project's signature is verified by whoever signs here.

Endpoints follow one root, the installation's. A release of the project comes to them only by standing in the
installation's own targets, so a stolen key of the project alone reaches nobody. Pure. Reasons: ADR 0019.
"""

from __future__ import annotations

from brakeline.releases.faults import BadMetadata
from brakeline.trust import metadata
from brakeline.trust.envelope import TARGETS_BYTES_MAX, Signers, parse, text_of
from brakeline.trust.errors import Distrust
from brakeline.trust.metadata import Root, Target
from brakeline.trust.model import Documents, Who
from brakeline.trust.statements import recall_of
from brakeline.trust.times import instant


def official(pinned: str, given: Documents, sha256: str, length: int, now_ms: int) -> Target:
    """What the project has signed of a bundle with this hash. `pinned`: the project's root as it was handed over.

    Raises `BadMetadata` with the reason: not signed by the project, signed too long ago, or recalled.
    """
    try:
        root = _newest_root(pinned, given.roots)
        said = metadata.targets_of(
            metadata.checked(given.targets, "targets", root.signers("targets"), 0, TARGETS_BYTES_MAX)
        )
        for what, expires_ms in (("root", root.expires_ms), ("targets", said.expires_ms)):
            if expires_ms <= now_ms:
                raise Distrust(
                    "expired", f"the project's {what} expired on {instant(expires_ms)[:10]}: fetch newer ones"
                )
        found = next((t for t in said.files.values() if (t.sha256, t.length) == (sha256, length)), None)
        if found is None:
            raise Distrust("unsigned", f"the project has not signed a bundle with SHA-256 {sha256}")
        _require_not_recalled(root, given.recall, found)
    except Distrust as e:
        raise BadMetadata(f"not adopted: {e.text}") from None
    return found


def holders(pinned: str, given: Documents, role: str) -> Signers:
    """Who signs `targets` or `content` by the newest root that follows from `pinned`. Raises `BadMetadata`."""
    try:
        root = _newest_root(pinned, given.roots)
        signers = root.signers("targets")
        if role == "targets":
            return signers
        said = metadata.targets_of(metadata.checked(given.targets, "targets", signers, 0, TARGETS_BYTES_MAX))
    except Distrust as e:
        raise BadMetadata(f"nobody is named for {role}: {e.text}") from None
    if said.delegated is None:
        raise BadMetadata("the targets name nobody for endpoint content")
    return said.delegated


def _newest_root(pinned: str, roots: tuple[str, ...]) -> Root:
    """Along the chain that the documents bring; those up to the pinned one are passed over."""
    root = metadata.pinned(pinned)
    for text in roots:
        try:
            root = metadata.successor(root, text)
        except Distrust as e:
            if e.reason != "version":
                raise
    return root


def _require_not_recalled(root: Root, recall: str, found: Target) -> None:
    if not recall:
        return
    release_id = f"{found.custom.get('version')}-{found.sha256[:12]}"
    cell = text_of(parse(recall, "recall").signed, "cell")
    if release_id in recall_of(root, recall, Who("", cell, ""), 0).releases:
        raise Distrust("recalled", f"the project has recalled {release_id}")
