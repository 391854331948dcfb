"""The words of the catalogue. Frozen, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ENTRIES_MAX: Final = 500  # of one organisation, withdrawn ones too
PAYLOADS_BYTES_MAX: Final = 256 * 1024 * 1024  # of one organisation
REASON_CHARS_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class OwnPackage:
    """One version of one own package, as it was taken in."""

    name: str
    version: str  # the author's
    full_version: str  # with 12 hex of its text: what deployments pin
    title: str
    vendor: str
    platform: str
    script_only: bool  # no artifact: what it does is its scripts
    artifact: str  # file name, "" = none
    artifact_bytes: int
    artifact_sha256: str
    artifact_url: str  # "" = it travels in content
    has_payload: bool  # what travels in content is here, or nothing needs to
    signed_by: tuple[str, ...]  # hex keys whose signatures are genuine; who these are, each endpoint's root says
    takes_back: bool  # something takes it back, where the version before came from here too
    added_ms: int
    added_by: str
    withdrawn_ms: int = 0
    withdrawn_by: str = ""
    withdrawn_reason: str = ""

    @property
    def update_name(self) -> str:
        """As deployments name it."""
        return f"{self.name}:own"

    @property
    def complete(self) -> bool:
        """Whether the next content may have it."""
        return self.has_payload and not self.withdrawn_ms


@dataclass(frozen=True, slots=True)
class OwnPackageDetail:
    """One entry with the whole of what its authors signed."""

    entry: OwnPackage
    package: str  # the signed text
    scripts: dict[str, str]
    standing: str  # in a sentence: what stands between it and endpoints


@dataclass(frozen=True, slots=True)
class Adoption:
    """That a draft was made from the curated catalogue, and what vouched for its artifact."""

    product: str
    architecture: str
    version: str
    sha256: str
    url: str
    vouched: str  # a sentence
    key: str  # the vendor's; "" = nobody has signed
    signed_ms: int  # by the vendor's clock; 0 = not said
    adopted_ms: int
    adopted_by: str


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """One product of the curated catalogue, as lists have it."""

    name: str
    title: str
    vendor: str
    platform: str
    about: str
    licence: str
    architectures: tuple[str, ...]
    vouched_by: str
    adopted: str  # the newest version of which a draft was made here; "" = none
    taken_in: str  # the newest version that was taken in as an own package and stands


@dataclass(frozen=True, slots=True)
class CatalogueDetail:
    """One product with what adopting it needs and what it would run."""

    row: CatalogueRow
    homepage: str
    note: str
    detection: str  # in a sentence
    vouching: str  # in a sentence
    keys: tuple[str, ...]  # pinned
    files: dict[str, str]  # what to fetch: addresses by role, with VERSION where that is not known before
    scripts: dict[str, str]
    adoptions: tuple[Adoption, ...]
    edition: str
    origin: str
