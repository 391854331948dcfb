"""The statement of what a release was built from, signed by people: in-toto in an envelope of DSSE. Pure.

Whoever holds a key of the targets (for content: of the content role) vouches that these bytes were built from those
sources, best after building them again: a build has the same bytes everywhere. No endpoint asks for it; people and
their tools do. Invariants: it counts by the root that endpoints pin, with the role's threshold, for one file by hash.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import Key, Signer

from brakeline.releases.faults import BadAttestation
from brakeline.releases.keys import public_key
from brakeline.releases.model import CONTENT
from brakeline.trust.envelope import Signers, text_of

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
TEXT_BYTES_MAX: Final = 4 * 1024 * 1024
WORD_CHARS_MAX: Final = 300  # of what whoever signs is shown
_SHA256: Final = re.compile("[0-9a-f]{64}")
_STATEMENT, _PREDICATE = "https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1"


@dataclass(frozen=True, slots=True)
class Statement:
    """What it says. `commit`: "" = not of a clean checkout."""

    file: str
    sha256: str
    product: str
    commit: str
    builder: str
    sources: int

    @property
    def role(self) -> str:
        """Whose signatures count."""
        return CONTENT if self.product == CONTENT else "targets"


def read(text: str) -> Statement:
    """The statement, bare or in its envelope. Raises `BadAttestation`."""
    return _statement(_envelope(text).payload)


def sign(text: str, signer: Signer) -> str:
    """The envelope with one signature more. Raises `BadAttestation` for what is no statement of a build."""
    envelope = _envelope(text)
    _statement(envelope.payload)
    envelope.sign(signer)
    return json.dumps(envelope.to_dict(), indent=1) + "\n"


def verify(text: str, sha256: str, signers: Signers, role: str = "targets") -> Statement:
    """What enough holders have signed of the file with this hash. Raises `BadAttestation` with the reason.

    `role`: whose the signers are, by what the file is and not by what is said of it: a holder of content vouches for
    no program.
    """
    envelope = _envelope(text)
    said = _statement(envelope.payload)
    if said.role != role:
        what = ("endpoint content", "none") if said.role == CONTENT else (repr(said.product), "endpoint content")
        raise BadAttestation(f"it speaks of {what[0]}, and this file is {what[1]}")
    if said.sha256 != sha256:
        raise BadAttestation(f"it speaks of {said.file} with SHA-256 {said.sha256[:12]}…, this file has {sha256[:12]}…")
    if not envelope.signatures:
        raise BadAttestation("nobody has signed it: brakeline release attest")
    held: list[Key] = [public_key(public.hex()) for public in signers.keys.values()]
    try:
        envelope.verify(held, signers.threshold)
    except (VerificationError, UnverifiedSignatureError, ValueError):
        raise BadAttestation(
            f"fewer than the {signers.threshold} signatures hold that the role {said.role} needs"
        ) from None
    return said


def signatures(text: str) -> tuple[str, ...]:
    """Ids of the keys that have signed; whether the signatures hold is asked by `verify`."""
    return tuple(sorted(_envelope(text).signatures))


def words(said: Statement) -> tuple[str, ...]:
    """What whoever signs vouches for."""
    built = f"commit {said.commit}" if said.commit else "sources that are no clean commit"
    return (f"{said.file} with SHA-256 {said.sha256}", f"built from {built}, {said.sources} files, by {said.builder}")


def _envelope(text: str) -> Envelope:
    """A bare statement gets an envelope without signatures."""
    plain = _object(text)
    if "payload" not in plain:
        return Envelope(text.encode(), PAYLOAD_TYPE, {})
    try:
        envelope = Envelope.from_dict(plain)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BadAttestation("this is no envelope of DSSE") from None
    if envelope.payload_type != PAYLOAD_TYPE:
        raise BadAttestation(f"the envelope holds {str(envelope.payload_type)[:40]!r}, not a statement of in-toto")
    return envelope


def _statement(payload: bytes) -> Statement:
    plain = _object(payload.decode(errors="replace"))
    try:
        (subject,) = plain["subject"]
        built, run = plain["predicate"]["buildDefinition"], plain["predicate"]["runDetails"]
        sources = built["resolvedDependencies"]
        commits = [d["digest"]["gitCommit"] for d in sources if "gitCommit" in d["digest"]]
        said = Statement(
            str(subject["name"]), str(subject["digest"]["sha256"]), text_of(built["externalParameters"], "product"),
            str(commits[0]) if commits else "", text_of(run["builder"], "id"), len(sources) - len(commits),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError):
        raise BadAttestation("this is no statement of what a release was built from") from None
    if (plain.get("_type"), plain.get("predicateType")) != (_STATEMENT, _PREDICATE):
        raise BadAttestation("this is no provenance of SLSA v1 in a statement of in-toto v1")
    words = (said.file, said.product, said.commit, said.builder)
    if not _SHA256.fullmatch(said.sha256) or not all(w.isprintable() and len(w) <= WORD_CHARS_MAX for w in words):
        raise BadAttestation("it names its file, commit or builder in words that no screen shows as they are")
    return said


def _object(text: str) -> dict[str, Any]:
    try:
        plain = json.loads(text[:TEXT_BYTES_MAX])
    except (ValueError, RecursionError):
        raise BadAttestation("this is no JSON") from None
    if not isinstance(plain, dict):
        raise BadAttestation("this is no JSON object")
    return plain
